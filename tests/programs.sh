# What `tests/run.sh` and `tests/long.sh` share: the programs that the tests need, and how they are installed. It is sourced.
# shellcheck shell=bash

step() { printf '\n== %s\n' "$*"; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
has() { command -v "$1" >/dev/null 2>&1; }

missing=()
# need PACKAGE COMMAND…: the package (named as in Debian) is missing where the command fails.
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

# The programs of tests/it and its harness: a C compiler for SQLite, RabbitMQ and PostgreSQL for private servers, promtool
# to check the metrics, systemd to check its unit, irkerd and an IRC server, a mail server, Node and a browser for third-party renderers, Python and
# curl as clients of the API.
need_programs_of_the_harness() {
  if ! has cargo; then
    echo "missing: cargo of Rust 1.91 or newer; install it with https://rustup.rs or from the packages of this system" >&2
    exit 1
  fi
  need build-essential has cc
  need rabbitmq-server [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]
  need prometheus has promtool
  need prometheus-alertmanager has prometheus-alertmanager
  need postgresql compgen -G '/usr/lib/postgresql/*/bin/initdb'
  need irker has irkerd
  need ngircd [ -x /usr/sbin/ngircd ]
  need exim4-daemon-light [ -x /usr/sbin/exim4 ]
  need chromium has chromium
  need nodejs has node
  need npm has npm
  need curl has curl
  need systemd has systemd-analyze
  need util-linux has unshare
  need python3 has python3
  need python3-venv python3 -c 'import venv, ensurepip'
}

# Installs what is missing (on Debian and derived systems), without starting any of it as a service. A function in a
# subshell, so that its trap runs when it ends.
install_missing() (
  [ ${#missing[@]} -gt 0 ] || exit 0
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

# The Python packages of a file of requirements, in an environment of their own; made anew when the file changes.
python_environment() {
  local requirements=$1 environment=$2
  step "test tooling: the Python packages of $requirements"
  cmp -s "$requirements" "$environment/made-of" && return
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
  cp "$requirements" "$environment/made-of"
}
