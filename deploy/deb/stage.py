"""Lays the package's files out in $ROOT, from the list of Cargo.toml (`cargo metadata` on standard input)."""

import glob
import json
import os
import shutil
import subprocess
import sys
import textwrap

root = os.environ["ROOT"]
package = json.load(sys.stdin)["packages"][0]
deb = package["metadata"]["deb"]


def put(source, target, mode):
    target = os.path.join(root, target)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, int(mode, 8))


for source, target, mode in deb["assets"]:
    if source == "target/release/forgebell":
        put(os.environ["PROGRAM"], os.path.join(target, "forgebell"), mode)
        continue
    found = sorted(glob.glob(source))
    if not found:
        sys.exit(f"Cargo.toml lists {source}, which is not there")
    for file in found:
        put(file, os.path.join(target, os.path.basename(file)) if target.endswith("/") else target, mode)

control = os.path.join(root, "DEBIAN")
os.makedirs(control)
for script in ["postinst", "prerm", "postrm"]:
    put(os.path.join(deb["maintainer-scripts"], script), f"DEBIAN/{script}", "755")
with open(os.path.join(control, "conffiles"), "w") as conffiles:
    conffiles.writelines(f"/{file.lstrip('/')}\n" for file in deb["conf-files"])
subprocess.run(["strip", "--strip-unneeded", os.path.join(root, "usr/bin/forgebell")], check=True)

size = sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(root) for file in files)
architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
description = textwrap.wrap(" ".join(deb["extended-description"].split()), 76)
fields = {
    "Package": package["name"],
    "Version": os.environ["VERSION"] or f"{package['version']}-1",
    "Architecture": architecture.stdout.strip(),
    "Maintainer": deb["maintainer"],
    "Installed-Size": str(size // 1024),
    "Depends": deb["depends"].replace("$auto", f"libc6 (>= {os.environ['LIBC']})"),
    "Section": deb["section"],
    "Priority": deb["priority"],
    "Description": "\n ".join([package["description"], *description]),
}
with open(os.path.join(control, "control"), "w") as file:
    file.writelines(f"{name}: {value}\n" for name, value in fields.items())
