#!/usr/bin/env bash
# Boots systemd in a clean root, in namespaces of its own: processes, mounts, network, names and control groups. It ends with this
# process. Usage: boot.sh ROOT
set -euo pipefail
root=$1

if [ "${2:-}" != inside ]; then
  # A control group of its own, so that systemd sees and touches no other.
  groups=/sys/fs/cgroup
  if [ -d "$groups/systemd" ]; then groups=$groups/systemd; fi
  own=$groups/forgebell-package-$$
  mkdir "$own"
  echo $$ >"$own/cgroup.procs"
  exec unshare --cgroup --mount --pid --fork --kill-child --net --uts --ipc bash "$0" "$root" inside
fi

ip link set lo up
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
if [ -d /sys/fs/cgroup/systemd ]; then
  mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
  mkdir "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
else
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
# Not `chroot`: the kernel makes no user namespace (PrivateUsers) in one.
cd "$root"
mkdir -p former-root
pivot_root . former-root
exec env -i container=chroot PATH=/usr/sbin:/usr/bin /bin/sh -c \
  'cd / && umount -l /former-root && exec /lib/systemd/systemd --system --unit=multi-user.target'
