#!/usr/bin/env bash
# All checks that must pass before a change is merged: formatting, lints, tests, licences.
# Installs the programs that the tests need and that are missing (on Debian and derived systems). Starts none as a service.
# CI=1 makes warnings errors.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
has() { command -v "$1" >/dev/null 2>&1; }

if ! has cargo; then
  echo "missing: cargo of Rust 1.91 or newer; install it with https://rustup.rs or from the packages of this system" >&2
  exit 1
fi

# The required programs and their packages: a C compiler for SQLite, RabbitMQ and PostgreSQL for private servers,
# promtool to check the metrics, irkerd and an IRC server, a mail server, Node and a browser for third-party renderers,
# Python and curl as clients of the API.
missing=()
has cc || missing+=(build-essential)
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=(rabbitmq-server)
has promtool || missing+=(prometheus)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
has irkerd || missing+=(irker)
[ -x /usr/sbin/ngircd ] || missing+=(ngircd)
[ -x /usr/sbin/exim4 ] || missing+=(exim4-daemon-light)
has chromium || missing+=(chromium)
has node || missing+=(nodejs)
has python3 || missing+=(python3)
has npm || missing+=(npm)
has curl || missing+=(curl)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)

# A function in a subshell, so that its trap runs when it ends.
install_missing() (
  if ! has apt-get; then
    echo "missing: ${missing[*]} (names as in Debian); install them as usual on this system, then run this script again" >&2
    exit 1
  fi
  step "installing ${missing[*]}, without starting them as services"
  # Debian's packages start their services when they are installed, unless this file forbids it.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
)
[ ${#missing[@]} -eq 0 ] || install_missing

step "test tooling: the npm packages of tests/node"
(cd tests/node && npm ci --no-audit --no-fund --loglevel=error)

step "test tooling: the Python packages of tests/python"
made=target/python/made-of
if ! cmp -s tests/python/requirements.txt "$made"; then
  rm -rf target/python
  python3 -m venv target/python
  target/python/bin/pip install --quiet --disable-pip-version-check --requirement tests/python/requirements.txt
  cp tests/python/requirements.txt "$made"
fi

step "formatting: cargo fmt --check"
cargo fmt --check

if [ -n "${CI:-}" ]; then
  step "lints: cargo clippy --all-targets, warnings denied"
  cargo clippy --all-targets -- -D warnings
else
  step "lints: cargo clippy --all-targets"
  cargo clippy --all-targets
fi

step "places to change when something is added"
tests/places.sh

step "documentation: every link resolves"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items

# Not --all-targets: that would run the benches too.
step "tests: library, program, and tests/it with private servers of every kind"
cargo test --lib --bins --tests

step "tests: examples in the documentation"
cargo test --doc

if has cargo-deny; then
  step "dependencies: cargo deny check licenses bans sources"
  cargo deny check licenses bans sources
else
  step "dependencies: not checked, since cargo-deny is not installed"
fi

step "all checks passed"
