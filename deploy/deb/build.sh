#!/usr/bin/env bash
# Builds the Debian package with Debian's own tools, from the list in Cargo.toml ([package.metadata.deb]). cargo-deb reads
# the same list: `cargo build --release && deploy/deb/generate.sh target/release/forgebell && cargo deb --no-build`.
#
# Usage: deploy/deb/build.sh [PROGRAM [VERSION [FOLDER]]]
# The defaults are target/release/forgebell, the version in Cargo.toml, and target/debian. Prints the package's path.
# COMPRESSION=gzip is faster than xz. Needs cargo, python3, dpkg-deb and objdump (binutils).
set -euo pipefail
program=$(realpath "${1:-target/release/forgebell}")
version=${2:-}
folder=$(realpath -m "${3:-target/debian}")
cd "$(dirname "$0")/../.."

deploy/deb/generate.sh "$program"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$folder"

# The program needs the libc that it was linked with, or a newer one.
libc=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
cargo metadata --no-deps --format-version 1 --offline |
  PROGRAM="$program" VERSION="$version" LIBC="${libc#GLIBC_}" ROOT="$root" python3 deploy/deb/stage.py
(cd "$root" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
architecture=$(dpkg --print-architecture)
package="$folder/forgebell_$(sed -n 's/^Version: //p' "$root/DEBIAN/control")_$architecture.deb"
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$root" "$package" >&2
echo "$package"
