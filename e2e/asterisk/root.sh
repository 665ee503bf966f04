#!/bin/sh
# Builds, once, the Debian sid root that the e2e tests run Asterisk 22, SIPp and
# the stock XML-RPC clients in, and prints its folder on standard output.
# Everything else (progress, errors) goes to standard error.
#
#   root.sh           build it if it is not there, then print the folder
#   root.sh --print   print the folder, build nothing
#
# Why a root of its own: Debian 12 has no Asterisk, and the clients of a
# developer's machine are whatever they happen to be.
#
# The root is built in a temporary folder beside its final place and renamed
# when it is complete, so a killed build leaves nothing that looks finished.
# Its name carries a hash of this file: a change here builds a new one.
set -eu

PACKAGES="
asterisk asterisk-modules asterisk-core-sounds-en-gsm asterisk-moh-opsound-gsm
sip-tester
python3
libxmlrpc-core-c3-dev
librpc-xml-perl libxmlrpc-lite-perl
ruby ruby-xmlrpc
php-cli php-xmlrpc
nodejs
ca-certificates
"
NPM_XMLRPC=xmlrpc@1.3.2

say() { echo "e2e root: $*" >&2; }
die() { say "$*"; exit 1; }

cache=${RINGMASTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ringmaster}
version=$(cksum <"$0" | cut -d' ' -f1)
root=$cache/sid-root-$version

if [ "${1:-}" = --print ]; then
	echo "$root"
	exit 0
fi
if [ -e "$root/.complete" ]; then
	touch "$root/.complete" # in use: see the end
	echo "$root"
	exit 0
fi

[ "$(id -u)" = 0 ] || die "building the Asterisk root needs root (debootstrap, chroot). Run it once as root, or set RINGMASTER_CACHE to a cache that has one."
command -v apt-get >/dev/null || die "building the Asterisk root needs a Debian host: apt-get is not here."

mkdir -p "$cache"
exec 9>"$cache/sid-root.lock"
if ! flock -n 9; then
	say "another build is under way, waiting for it"
	flock 9
fi
if [ -e "$root/.complete" ]; then
	echo "$root"
	exit 0
fi

# A package list that has never been fetched, or is stale, is the usual reason for a failed install.
installed_here() { # COMMAND PACKAGE
	command -v "$1" >/dev/null && return
	say "installing $2 on this host"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >&2 ||
		{ apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >&2; } ||
		die "couldn't install $2 with apt-get"
	command -v "$1" >/dev/null || die "$2 is installed but there is no command $1"
}
installed_here debootstrap debootstrap
installed_here unshare util-linux
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || die "the Debian archive keyring is missing: apt-get install debian-archive-keyring"

# The mirror is the one this host's apt uses for Debian itself.
mirror_of_apt() {
	apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(COMPONENT) $(SUITE) $(REPO_URI)' |
		awk '$1 == "Packages" && $2 == "Debian" && $3 == "main" && $4 !~ /security|updates|backports/ { print $5; exit }'
}
mirror=${RINGMASTER_DEBIAN_MIRROR:-$(mirror_of_apt)}
if [ -z "$mirror" ]; then
	say "apt has no package lists yet: apt-get update"
	apt-get update -qq >&2 || die "apt-get update failed"
	mirror=$(mirror_of_apt)
fi
[ -n "$mirror" ] || die "couldn't find a Debian mirror in this host's apt sources; set RINGMASTER_DEBIAN_MIRROR"

started=$(date +%s)
elapsed() { echo $(($(date +%s) - started)); }
building=$(mktemp -d "$cache/building.XXXXXX")
chmod 755 "$building" # apt downloads as its own user
log=$cache/sid-root-$version.log
: >"$log"
trap 'code=$?; [ -d "$building" ] && rm -rf --one-file-system "$building"; exit $code' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
failed() { tail -n 25 "$log" >&2; die "$1 (whole log: $log)"; }

say "building the Debian sid root with Asterisk and SIPp (about two minutes, once)"
say "1/4 base system"
debootstrap --variant=minbase sid "$building" "$mirror" >>"$log" 2>&1 9>&- || {
	[ -e "$building/debootstrap/debootstrap.log" ] && cat "$building/debootstrap/debootstrap.log" >>"$log"
	failed "debootstrap failed"
}

# Nothing in the root is started by its packages, nothing unread is unpacked,
# and a crash in the middle throws the whole folder away: no fsync per file.
printf '#!/bin/sh\nexit 101\n' >"$building/usr/sbin/policy-rc.d"
chmod 755 "$building/usr/sbin/policy-rc.d"
printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
	'path-exclude=/usr/share/locale/*' >"$building/etc/dpkg/dpkg.cfg.d/e2e"

say "2/4 packages ($(elapsed) s)"
in_building() {
	# Mounts belong to a namespace of this one command and vanish with it.
	unshare --mount --propagation private sh -c '
		mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 1
		dir=$1; shift
		exec chroot "$dir" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
			DEBIAN_FRONTEND=noninteractive "$@"' sh "$building" "$@" >>"$log" 2>&1 9>&-
}
# A mirror that lags, or a snapshot of one, has an expired but still signed index: good enough for a test root.
in_building apt-get -o Acquire::Check-Valid-Until=false update || failed "apt-get update in the root failed"
# shellcheck disable=SC2086
in_building apt-get install -y --no-install-recommends $PACKAGES || failed "couldn't install the packages in the root"

say "3/4 npm package $NPM_XMLRPC ($(elapsed) s)"
mkdir -p "$building/opt/clients"
installed_here npm npm
npm install --silent --no-save --ignore-scripts --prefix "$building/opt/clients" "$NPM_XMLRPC" >>"$log" 2>&1 9>&- ||
	failed "npm install $NPM_XMLRPC failed"

say "4/4 does it run ($(elapsed) s)"
in_building asterisk -V || failed "asterisk does not run in the root"
case $(chroot "$building" asterisk -V) in
"Asterisk 22."*) ;;
*) say "note: the notes are about Asterisk 22, sid now has: $(chroot "$building" asterisk -V)" ;;
esac
for program in sipp xmlrpc python3 perl ruby php node; do
	chroot "$building" sh -c "command -v $program" >>"$log" || failed "$program is missing in the root"
done
rm -rf "$building"/var/cache/apt/archives/*.deb "$building"/var/lib/apt/lists/*
touch "$building/.complete"
rm -rf --one-file-system "$root"
mv "$building" "$root"
# Roots of other versions of this file, when nobody has asked for them for two weeks.
find "$cache" -mindepth 2 -maxdepth 2 -path '*/sid-root-*/.complete' -mtime +14 | while read -r mark; do
	rm -rf --one-file-system "${mark%/.complete}"
done
say "done in $(elapsed) s: $(chroot "$root" asterisk -V), $(du -sh --one-file-system "$root" | cut -f1)"
echo "$root"
