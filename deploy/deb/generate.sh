#!/usr/bin/env bash
# Writes the program's manual pages and completions into target/deb, where build.sh finds them.
# Usage: deploy/deb/generate.sh PROGRAM
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")/../.."

rm -rf target/deb
mkdir -p target/deb/man target/deb/completions
"$program" man target/deb/man
gzip -9n target/deb/man/*.1
"$program" completions bash >target/deb/completions/forgebell
"$program" completions zsh >target/deb/completions/_forgebell
"$program" completions fish >target/deb/completions/forgebell.fish
gzip -9nc CHANGELOG.md >target/deb/changelog.gz
