#!/usr/bin/env bash
# Train the edge networks, x2 and x4, float and quantized, in nine minutes of one data-centre GPU: as much as it can.
#
#     benchmarks/train_on_gpu.sh DATA OUTPUT
#
# DATA is a folder of images. Every stage first runs PROBE steps to learn its speed, and then as many as its share of
# the time holds. Finished networks lie in OUTPUT at once; run again, it goes on where it stopped.
#
# BUDGET_S=540    seconds in all          DEVICE=cuda    or cpu, to try the script itself
# SCALES="2 4"    scale factors           BATCH=64 PATCH_PX=64    of every stage
# START=DIR       folder with x2_fp32.safetensors and x4_fp32.safetensors to go on from
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
data=$1 output=$2
: "${BUDGET_S:=540}" "${DEVICE:=cuda}" "${SCALES:=2 4}" "${BATCH:=64}" "${PATCH_PX:=64}" "${PROBE:=300}" "${START:=}"
presets=$(python -c 'import qsr_edge.recipe as r; print(r.__path__[0])')/presets
mkdir -p "$output"
# Shares of a scale factor's time: what floats learn is worth most, and later stages start from it.
declare -A share=([fp32]=46 [w4a8]=18 [w8a8]=6 [w4a4]=12 [w3a3]=8 [w2a2]=10)
stages=(fp32 w4a8 w8a8 w4a4 w3a3 w2a2)
scales=($SCALES)

run() { # RECIPE OUTPUT START ITERATIONS...
    local recipe=$1 file=$2 start=$3
    shift 3
    qsr-edge train --recipe "$recipe" --data "$data" --device "$DEVICE" --cache "$output/cache" -o "$file" \
        --save-every 2000 ${start:+--start "$start"} "$@"
}

for scale in "${scales[@]}"; do
    for stage in "${stages[@]}"; do
        name=x${scale}_$stage
        file=$output/$name.safetensors recipe=$output/$name.toml
        if [ -e "$file" ] && [ ! -e "$file.state" ]; then continue; fi
        seconds=$((BUDGET_S * share[$stage] / 100 / ${#scales[@]}))
        if [ "$stage" = fp32 ]; then
            start=${START:+$START/$name.safetensors}
        else
            start=$output/$(sed -n 's/^start = "\(.*\)"/\1/p' "$presets/$name.toml").safetensors
        fi
        if [ ! -e "$recipe" ]; then
            sed -e '/^batch = /d' -e '/^patch_px = /d' -e '/^order_iteration = /d' "$presets/$name.toml" >"$recipe.probe.toml"
            printf 'batch = %d\npatch_px = %d\n' "$BATCH" "$PATCH_PX" >>"$recipe.probe.toml"
            [ -n "$start" ] || sed -i '/^start = /d' "$recipe.probe.toml"
            # The second half of a probe is what a run costs: capturing and the first validation are over by then.
            rm -f "$output"/probe.safetensors*
            began=$(date +%s%N)
            run "$recipe.probe.toml" "$output/probe.safetensors" "$start" --iterations "$((PROBE / 2))" >/dev/null
            middle=$(date +%s%N)
            rm -f "$output"/probe.safetensors*
            run "$recipe.probe.toml" "$output/probe.safetensors" "$start" --iterations "$PROBE" >/dev/null
            ended=$(date +%s%N)
            rm -f "$output"/probe.safetensors*
            more_ns=$(((ended - middle) - (middle - began)))
            [ "$more_ns" -gt 0 ] || more_ns=$(((ended - middle)))
            left_ns=$((seconds * 1000000000 - (ended - began)))
            [ "$left_ns" -gt 0 ] || left_ns=$((seconds * 500000000))
            iterations=$((left_ns * (PROBE - PROBE / 2) / more_ns))
            [ "$iterations" -ge 1 ] || iterations=1
            sed "s/^iterations = .*/iterations = $iterations/" "$recipe.probe.toml" >"$recipe.new"
            rm "$recipe.probe.toml"
            mv "$recipe.new" "$recipe"
            echo "$name: $iterations iterations of $BATCH patches of ${PATCH_PX}x$PATCH_PX in ${seconds} s"
        fi
        run "$recipe" "$file" "$start"
    done
done
