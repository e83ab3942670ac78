#!/usr/bin/env bash
# On a started emulator, from the repository's root: android_emulator.sh API. Never run so far.
set -euo pipefail
api=$1
mkdir -p printed
adb shell getprop ro.build.fingerprint | tee printed/fingerprint.txt
status=0
(cd android_harness && ./gradlew --no-daemon connectedDebugAndroidTest :bench-app:installLitertRelease) 2>&1 |
    tee printed/tests.txt || status=$?
# The figures of an emulator are no phone's: what is tested is the way there and back, and the bytes.
qsr-edge bench --device emulator --bundle android_harness/runtime-litert/src/androidTest/assets/qsr \
    --quick --size 64x48 -o "runs/emulator-$api" 2>&1 | tee printed/bench.txt || status=$?
qsr-edge report "runs/emulator-$api" -o "runs/emulator-$api.html" 2>&1 | tee -a printed/bench.txt || status=$?
exit "$status"
