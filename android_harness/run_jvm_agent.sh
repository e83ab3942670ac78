#!/usr/bin/env bash
# The benchmark app's agent on this machine: run_jvm_agent.sh JOB.json, after `make android`.
# QSR_EDGE_PYTHON names a Python with qsr-edge installed, QSR_EDGE_JVM_TARGET the back end of the bundles (tflite).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$here/build
[ -d "$build/bench" ] || { echo "error: $build/bench is missing; run make android" >&2; exit 2; }
# One process: whoever limits or ends it by its number means the agent.
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dqsr.python="${QSR_EDGE_PYTHON:-python3}" -Dqsr.target="${QSR_EDGE_JVM_TARGET:-tflite}" \
    -Dqsr.worker="$here/bench-jvm/runtime_worker.py" -cp "$build/core:$build/bench:$build/kotlin-stdlib.jar" "${QSR_EDGE_JVM_MAIN:-io.qsredge.jvm.JvmAgentKt}" "$@"
