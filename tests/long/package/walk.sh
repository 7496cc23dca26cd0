#!/usr/bin/env bash
# What a person does with the package, in a clean root with systemd running. Fails where something is not as it should be.
# Usage: walk.sh, in the namespaces of boot.sh.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

clean() { env -i PATH="$PATH" DEBIAN_FRONTEND=noninteractive "$@"; }
as_daemon() { clean setpriv --reuid=forgebell --regid=forgebell --init-groups -- "$@"; }
fail() {
  echo "FAILED: $*" >&2
  clean systemctl status --no-pager --full forgebell >&2 || true
  clean journalctl --no-pager -u forgebell >&2 || true
  exit 1
}
until_ready() {
  for _ in $(seq 300); do
    if curl -fsS -o /dev/null http://127.0.0.1:8090/readyz 2>/dev/null; then return; fi
    read -rt 0.2 <> <(:) || true
  done
  fail "the daemon is not ready"
}
send() {
  curl -sS -o /dev/null -w '%{http_code}' -H "X-Gitlab-Token: $1" -H "Idempotency-Key: $2" \
    -H 'Content-Type: application/json' --data-binary @"/packages/push.json" http://127.0.0.1:8090/events
}
main_process() { clean systemctl show --property MainPID --value forgebell; }
others_files() { clean find /var/lib/forgebell -not -user forgebell; }

echo "== booted: $(clean systemctl --version | head -1)"
for _ in $(seq 300); do
  case $(clean systemctl is-system-running 2>/dev/null || true) in running | degraded) break ;; esac
  read -rt 0.2 <> <(:) || true
done

echo "== installed"
clean dpkg -i /packages/first.deb
[ -z "$(clean dpkg --verify forgebell)" ] || fail "dpkg --verify"
[ -z "$(clean dpkg --audit)" ] || fail "dpkg --audit"
clean getent passwd forgebell | grep -q nologin || fail "the user"
[ "$(clean stat -c '%a %U %G' /etc/forgebell/secrets)" = "750 root forgebell" ] || fail "the folder of secrets"
[ "$(clean stat -c '%a %U %G' /var/lib/forgebell)" = "700 forgebell forgebell" ] || fail "the folder of the store"
token_file=/etc/forgebell/secrets/webhook-token
[ "$(clean stat -c '%a %U %G' /etc/forgebell/secrets/webhook-token)" = "640 root forgebell" ] || fail "the token"
for page in forgebell forgebell-deliveries-list forgebell-backup; do
  [ -s "/usr/share/man/man1/$page.1.gz" ] || fail "the manual page $page"
done
clean bash -c '. /usr/share/bash-completion/completions/forgebell && complete -p forgebell' >/dev/null || fail "completions"

echo "== started by the unit"
until_ready
[ "$(clean systemctl is-enabled forgebell)" = enabled ] || fail "the unit is not enabled"
[ "$(clean stat -c %U "/proc/$(main_process)")" = forgebell ] || fail "the daemon's user"
token=$(cat "$token_file")
[ "$(send "$token" one)" = 202 ] || fail "an event is not taken"
[ "$(send wrong two)" = 401 ] || fail "an event without the token is taken"
as_daemon forgebell check || fail "check"
as_daemon forgebell status || fail "status"
as_daemon forgebell backup /var/lib/forgebell/before.db || fail "backup"
# Another user reads no secret, and needs none for this.
clean setpriv --reuid=nobody --regid=nogroup --clear-groups -- forgebell preview /packages/push.json --to slack >/dev/null ||
  fail "preview needs a secret"
# Commands of root leave nothing that the daemon can't open.
clean forgebell deliveries list >/dev/null || fail "deliveries as root"
[ -z "$(others_files)" ] || fail "files of another user: $(others_files)"
process=$(main_process)
clean systemctl reload forgebell || fail "a reload"
[ "$(main_process)" = "$process" ] || fail "a reload restarts it"
clean systemctl restart forgebell || fail "a restart"
until_ready

echo "== upgraded"
echo '# A line of the operator.' >>"/etc/forgebell/forgebell.toml"
process=$(main_process)
clean dpkg -i /packages/second.deb
until_ready
[ "$(main_process)" != "$process" ] || fail "the upgrade does not restart it"
tail -1 "/etc/forgebell/forgebell.toml" | grep -q operator || fail "the operator's settings"
[ "$(cat "$token_file")" = "$token" ] || fail "the token was made anew"
[ "$(send "$token" three)" = 202 ] || fail "an event is not taken after the upgrade"
as_daemon forgebell status | tail -1 | grep -qx ok || fail "status after the upgrade"

echo "== restored"
clean systemctl stop forgebell
[ ! -e "/var/lib/forgebell/forgebell.db-wal" ] || fail "the store was not closed"
clean forgebell restore /var/lib/forgebell/before.db || fail "restore"
clean forgebell migrate >/dev/null || fail "migrate"
[ -z "$(others_files)" ] || fail "files of another user: $(others_files)"
clean systemctl start forgebell || fail "a start after the restore"
until_ready

echo "== removed"
clean dpkg -r forgebell
if curl -fsS -o /dev/null http://127.0.0.1:8090/healthz 2>/dev/null; then fail "the daemon runs on"; fi
[ -e "/var/lib/forgebell/forgebell.db" ] || fail "the store is gone"
[ -e "/etc/forgebell/forgebell.toml" ] || fail "the settings are gone"
[ ! -e "/usr/bin/forgebell" ] || fail "the program is still there"

echo "== purged"
clean dpkg -P forgebell
for path in /var/lib/forgebell /etc/forgebell /usr/share/doc/forgebell; do
  [ ! -e "$path" ] || fail "$path is still there: $(find "$path")"
done
[ -z "$(clean find /etc/systemd -name 'forgebell*')" ] || fail "links of the unit are still there"
echo "== done"
