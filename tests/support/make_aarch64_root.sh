#!/usr/bin/env bash
# Makes a folder with an AArch64 Python, LiteRT and ONNX Runtime that run under qemu's user emulation, for tests/parity/test_aarch64_parity.py.
#
#     bash tests/support/make_aarch64_root.sh FOLDER [PYTHON]
#
# On Debian or Ubuntu of the amd64 architecture; installs qemu-user-static if it is missing, which needs root. PYTHON (python3
# by default) is of this machine: its pip fetches the wheels. The emulated one is Debian's Python 3.11.
set -euo pipefail
folder=$1
python=${2:-python3}

command -v apt-get >/dev/null || { echo "error: this needs apt (Debian or Ubuntu)" >&2; exit 1; }
# Newly added architectures are unknown to apt until it updates.
if ! dpkg --print-foreign-architectures | grep -qx arm64; then
    dpkg --add-architecture arm64
fi
apt-get update -qq
command -v qemu-aarch64-static >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user-static >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The packages that the interpreter and the wheels link to; unpacked, not installed, so that nothing here changes.
packages="python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libstdc++6 libgcc-s1 libgomp1
    zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libcrypt1"
mkdir -p "$work/debs" "$work/root/proc"
(cd "$work/debs" && apt-get download -qq $(printf '%s:arm64 ' $packages) 2>/dev/null)
for package in "$work"/debs/*.deb; do dpkg -x "$package" "$work/root"; done
"$python" -m pip download -qq --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    -d "$work/wheels" 'ai-edge-litert==2.3.0' 'numpy==2.4.*' flatbuffers 'onnxruntime==1.32.0'
mkdir -p "$work/root/site"
for wheel in "$work"/wheels/*.whl; do "$python" -m zipfile -e "$wheel" "$work/root/site"; done
# LiteRT asks /proc/cpuinfo what the processor can do, and crashes on this machine's own. These are a Cortex-A76's features.
cat > "$work/root/proc/cpuinfo" <<'CPU'
processor	: 0
BogoMIPS	: 50.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0b
CPU revision	: 0
CPU
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
mv "$work/root" "$folder"
PYTHONPATH="$folder/site" qemu-aarch64-static -cpu cortex-a76 -L "$folder" "$folder/usr/bin/python3.11" \
    -c 'import platform, ai_edge_litert.interpreter, onnxruntime; print("emulated", platform.machine(), "runs LiteRT and ONNX Runtime")'
