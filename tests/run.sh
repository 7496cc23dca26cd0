#!/usr/bin/env bash
# All checks that must pass before a change is merged: formatting, lints, tests, licences. `tests/long.sh` has those that
# take longer or need more programs.
# Installs the programs that the tests need and that are missing (on Debian and derived systems). Starts none as a service.
# CI=1 makes warnings errors.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/programs.sh

need_programs_of_the_harness
install_missing

step "test tooling: the npm packages of tests/node"
(cd tests/node && npm ci --no-audit --no-fund --loglevel=error)
python_environment tests/python/requirements.txt target/python

step "formatting: cargo fmt --check"
cargo fmt --check

step "lints: cargo clippy, of every target"
# The long tests are a target that `--all-targets` leaves out, because they are not run with the others.
lints=(cargo clippy --all-targets --test long)
if [ -n "${CI:-}" ]; then
  "${lints[@]}" -- -D warnings
else
  "${lints[@]}"
fi

step "places to change when something is added"
tests/places.sh

step "documentation: every link resolves"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items

# Not --all-targets: that would run the benches too. The target `long` is left out: tests/long.sh runs it.
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
