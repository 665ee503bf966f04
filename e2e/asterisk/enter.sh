#!/bin/sh
# Runs one program inside the root that root.sh built, as the process itself:
# the pid of this script is the program's pid, and every mount belongs to a
# namespace that vanishes with it.
#
#   enter.sh ROOT FOLDER PROGRAM [ARGUMENTS…]
#
# FOLDER is a folder of the host that the program sees under the same path; it
# is where the program starts. Nothing else of the host's files is visible, and
# the root itself is read-only.
set -eu
if [ "${1:-}" != --inside ]; then
	exec unshare --mount --propagation private -- "$0" --inside "$@"
fi
root=$2 folder=$3
shift 3
mount --bind "$root" "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root$folder"
mount --bind "$folder" "$root$folder"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot "$root" /usr/bin/env -i -C "$folder" \
	PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$folder" LC_ALL=C.UTF-8 TERM=dumb "$@"
