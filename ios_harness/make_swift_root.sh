#!/usr/bin/env bash
# Makes a folder with Debian 13 and its Swift compiler in it, for toolchain.sh. About 530 MB to download, 2.7 GB on disk.
#
#     bash ios_harness/make_swift_root.sh FOLDER
#
# On Debian or Ubuntu of the amd64 or arm64 architecture, as root: it installs debootstrap if that is missing, and mounts.
# A Swift 6 that is on PATH already needs none of this: toolchain.sh takes that one.
set -euo pipefail
folder=$1
SWIFT=6.0.3 # what the package is written and tested with; the Debian package is swiftlang

fail() { echo "error: $*" >&2; exit 1; }
command -v apt-get >/dev/null || fail "this needs apt (Debian or Ubuntu); elsewhere install Swift 6 from swift.org and put it on PATH"
[ "$(id -u)" = 0 ] || fail "this needs root, to unpack a system and to mount /proc in it; or install Swift 6 and put it on PATH"
if ! command -v debootstrap >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
fi
unshare -m true 2>/dev/null || fail "unshare -m is refused here (a container without CAP_SYS_ADMIN?); install Swift 6 and put it on PATH"

mkdir -p "$(dirname "$folder")"
work=$(mktemp -d "$(cd "$(dirname "$folder")" && pwd)/.swift-root.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "unpacking Debian 13 into $folder"
# A mount namespace of its own: whatever happens, no mount of this stays behind, and `rm -rf` meets no /proc.
unshare -m bash -euo pipefail -s "$work" "$SWIFT" <<'INSIDE'
root=$1 version=$2
mount --make-rprivate /
debootstrap --variant=minbase --include=ca-certificates trixie "$root" >"$root.log" 2>&1 ||
    { tail -5 "$root.log" >&2; rm -f "$root.log"; echo "error: debootstrap failed, as above" >&2; exit 1; }
rm -f "$root.log"
mountpoint -q "$root/proc" || mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
found=$(chroot "$root" apt-cache show swiftlang | sed -n 's/^Version: //p' | head -1)
case $found in
    "$version"-*) ;;
    *) echo "error: Debian 13 offers swiftlang $found, expected $version" >&2; exit 1 ;;
esac
echo "installing Swift $found"
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "swiftlang=$found" libc6-dev libstdc++-14-dev zlib1g-dev git >"$root/install.log" 2>&1 ||
    { tail -5 "$root/install.log" >&2; echo "error: Swift could not be installed, as above" >&2; exit 1; }
rm -f "$root/install.log"
chroot "$root" apt-get clean
chroot "$root" swift --version
INSIDE
rm -rf "$folder"
mv "$work" "$folder"
chmod 755 "$folder"
