#!/usr/bin/env bash
# Runs a command where Swift is: here if `swift` of version 6 or newer is on PATH, else in the folder that `make swift-root` made.
#
#     bash ios_harness/swift.sh swift build
#
# In that folder this checkout, /tmp and the working directory have their own paths, and this machine's files lie below /host.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(dirname "$here")
root=${QSR_EDGE_SWIFT_ROOT:-$repository/.swift-root}

if [ -z "${QSR_EDGE_SWIFT_ROOT:-}" ] && command -v swift >/dev/null && swift --version 2>/dev/null | grep -Eq 'Swift version ([6-9]|[1-9][0-9])\.'; then
    exec "$@"
fi
[ -L "$root/usr/bin/swift" ] || [ -x "$root/usr/bin/swift" ] || { echo "error: no Swift 6 on PATH and none in $root; run \`make swift-root\` (Debian, root)" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "error: Swift in $root is run by root only, as /proc is mounted in it" >&2; exit 1; }

# Mounts of this namespace end with it. Swift's driver needs /proc.
export QSR_EDGE_HOST_ROOT=/host
exec unshare -m bash -euo pipefail -c '
    root=$1 repository=$2 place=$PWD
    shift 2
    mount --make-rprivate /
    mkdir -p "$root/host" "$root$repository" "$root$place"
    mount --rbind / "$root/host"
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /tmp "$root/tmp"
    for folder in "$repository" "$place"; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
    done
    exec chroot "$root" /usr/bin/env -C "$place" HOME=/root PATH=/usr/bin:/bin "$@"
' bash "$root" "$repository" "$@"
