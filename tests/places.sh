#!/usr/bin/env bash
# Counts the files that change when an adapter, a shared setting, an API route or a kind of event is added, prints their
# names, and fails where there are more than the limit. Each count takes an example that is there already and looks for
# the files that name it: these are the files that its like would have to be added to.
#
# Not counted are generated snapshots, and what uses the example without being needed for it: adapters that choose to offer
# a setting or to take a kind of event, and tests about something else that use it as their example.
set -euo pipefail
cd "$(dirname "$0")/.."

# So that `count`, at the end of a pipe, can set it.
shopt -s lastpipe
failed=0

# count LIMIT TITLE: counts the file names on standard input.
count() {
  local limit=$1 title=$2 files number
  files=$(sort -u)
  number=$(printf '%s\n' "$files" | grep -c . || true)
  printf '%s: %s of at most %s\n' "$title" "$number" "$limit"
  printf '%s\n' "$files" | sed 's/^/  /'
  if [ "$number" -gt "$limit" ]; then
    printf '  more files than the limit\n'
    failed=1
  fi
  if [ "$number" -eq 0 ]; then
    printf '  no file at all: the example is gone, choose another in %s\n' "$0"
    failed=1
  fi
}

# The Rust files in a folder, without those that are for tests alone.
code_in() {
  find "$1" -name '*.rs' -not -path '*/tests/*' -not -path '*/suite/*' -not -name tests.rs -not -name example.rs
}

# naming REGEX: of the file names on standard input, those whose code names it. Tests at a file's end are no code.
naming() {
  local file
  while read -r file; do
    # A test module at the end is left out; one in a file of its own is a line, and the file goes on.
    if awk '/^#\[cfg\(test\)\]$/ { held = 1; next } held && /^mod [a-z_]+ \{$/ { exit } { held = 0; print }' "$file" |
      grep -qE "$1"; then
      printf '%s\n' "$file"
    fi
  done
}

# An adapter: everything that names Pushover, tests and documentation included. Not counted are the second opinion, which
# another program gives about those services that it knows too, and the table of the services in GitLab's documents.
{ grep -rliE "pushover" src tests benches config deploy \
  --exclude="*.snap" --exclude-dir=node_modules --exclude-dir=site-packages --exclude="$(basename "$0")" --exclude="second_opinion.*" --exclude="documented_services.*" || true; } |
  count 2 "an adapter (pushover)"

# An adapter of a family whose adapters share files, mail and slash commands: the code that names it. The demo, which tells
# its story with some services, is not counted.
adapter() {
  code_in src | grep -v '^src/cli/demo/' | naming "\\b$1\\b|\\b$2\\b|\"${1//_/-}\"" |
    count 2 "an adapter ($1)"
}
adapter pipelines_email PipelinesEmail
adapter slack_slash_commands SlackSlashCommands

# A shared setting: what names it outside of the adapters that offer it, and the example that tests begin with.
{
  code_in src | grep -v '^src/adapters/[a-z]*/'
  echo src/integration/example.rs
} | naming '\b(only_status_changes|notify_only_when_pipeline_status_changes)\b' |
  count 6 'a shared setting (notify_only_when_pipeline_status_changes)'

# An API route: the file of the handler that declares it, and what names the handler or the path elsewhere. The page for people
# has routes of its own.
code_in src/api | grep -v '^src/api/page/' | naming '\{delivery_id\}/retry|\bretry\{Level\}Delivery\b|\bdelivery_changes::retry\b' |
  count 2 'an API route (retry of a delivery)'

# A kind of event: what names it outside of the adapters, and the files that are named after it. Where GitLab's own objects
# show its flag, the API's list of these (src/api/resources/flags.rs) comes on top; other flags follow by themselves.
kind() {
  local name=$1 variant=$2
  {
    code_in src | grep -v '^src/adapters/' | naming "\b(Payload|Trigger)::$variant\b|\"${name}(_events)?\"|\b$name::"
    find src payloads \( -name "$name.rs" -o -name "$name.json" -o -name "${name}_*.json" \) \
      -not -path 'src/adapters/*' -not -path 'payloads/*/*'
  } | count 6 "a kind of event ($name)"
}
kind vulnerability Vulnerability

exit $failed
