#!/usr/bin/env bash
# The checks that take long or need more programs than tests/run.sh: the tests of tests/long, one after the other, because
# some of them measure. They print their figures.
# Usage: tests/long.sh [FILTER…], where a filter is a part of a test's name, as for `cargo test`.
# Installs what is missing, as tests/run.sh does. Starts none of it as a service.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/programs.sh

need_programs_of_the_harness
# go_client: the client of GitLab's API under the Terraform provider of its time, as Debian has it.
need golang-go has go
need golang-github-xanzy-go-gitlab-dev [ -d /usr/share/gocode/src/github.com/xanzy/go-gitlab ]
# redmine: a real tracker. Its own instance is not set up: each test has one of its own.
need redmine [ -d /usr/share/redmine ]
need redmine-sqlite dpkg-query --show redmine-sqlite
# package: a clean Debian, and the proxy of the operators' page.
need debootstrap has debootstrap
need nginx-light has nginx
need binutils has objdump
need iproute2 has ip
install_missing

python_environment tests/python/requirements.txt target/python
# matrix: a real homeserver. second_opinion: another sender.
python_environment tests/python/long-requirements.txt target/python-long

# github_status: GitHub's description of its API.
step "test tooling: the npm packages of tests/node-long"
(cd tests/node-long && npm ci --no-audit --no-fund --loglevel=error)

step "long tests: ${*:-all of them}"
cargo test --test long -- --nocapture --test-threads=1 "$@"

step "all long checks passed"
