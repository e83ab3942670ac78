#!/usr/bin/env bash
# Compiles runtime-core and runtime-android with warnings as errors and runs the tests of runtime-core on the JVM.
# Needs a JDK of 11 or newer, JUnit 4 (Debian: junit4) and npm; fetches a pinned kotlinc. See README.md.
set -euo pipefail
cd "$(dirname "$0")"

KOTLIN=2.4.20
KOTLIN_SHA512=IF5IVM7LpPhA/ntHQQpaVt1yxpaaQovtEVYLyqWMuaLr0XelLPPm7/sM6HLhtcRjjjoSsK7I7lP2kzYJkMy73w==
TOOLS=.toolchain
BUILD=build
CLASSPATH_JUNIT=${JUNIT_CLASSPATH:-/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar}

need() { command -v "$1" >/dev/null || { echo "error: $1 is missing; $2" >&2; exit 1; }; }
need javac "install a JDK (Debian: openjdk-17-jdk-headless)"
need npm "install Node.js with npm; it brings the Kotlin compiler"
for jar in ${CLASSPATH_JUNIT//:/ }; do
    [ -f "$jar" ] || { echo "error: $jar is missing; install JUnit 4 (Debian: junit4), or set JUNIT_CLASSPATH" >&2; exit 1; }
done

if [ ! -x $TOOLS/kotlin-$KOTLIN/bin/kotlinc ]; then
    echo "fetching kotlinc $KOTLIN"
    rm -rf $TOOLS && mkdir -p $TOOLS/unpacked
    (cd $TOOLS && npm pack --silent "kotlin-compiler@$KOTLIN" >/dev/null)
    found=$(openssl dgst -sha512 -binary "$TOOLS/kotlin-compiler-$KOTLIN.tgz" | base64 -w0)
    [ "$found" = "$KOTLIN_SHA512" ] || { echo "error: kotlin-compiler-$KOTLIN.tgz has another sha512 than expected; fetch it anew" >&2; exit 1; }
    tar -xzf "$TOOLS/kotlin-compiler-$KOTLIN.tgz" -C $TOOLS/unpacked
    chmod +x $TOOLS/unpacked/package/bin/*
    mv $TOOLS/unpacked/package $TOOLS/kotlin-$KOTLIN
    rm -rf "$TOOLS/kotlin-compiler-$KOTLIN.tgz" $TOOLS/unpacked
fi
KOTLINC="$TOOLS/kotlin-$KOTLIN/bin/kotlinc -Werror -progressive -jvm-target 11"
STDLIB=$TOOLS/kotlin-$KOTLIN/lib/kotlin-stdlib.jar

rm -rf $BUILD && mkdir -p $BUILD/core/io/qsredge/core $BUILD/test $BUILD/stubs $BUILD/android
echo "compiling runtime-core"
$KOTLINC -Xexplicit-api=strict -d $BUILD/core runtime-core/src/main/kotlin
cp ../qsr_edge/bundle/manifest.schema.json $BUILD/core/io/qsredge/core/
echo "compiling runtime-android against signatures"
javac --release 11 -d $BUILD/stubs $(find stubs -name '*.java')
$KOTLINC -Xexplicit-api=strict -cp $BUILD/core:$BUILD/stubs -d $BUILD/android runtime-android/src/main/kotlin
echo "compiling and running the tests"
$KOTLINC -Xfriend-paths=$BUILD/core -cp "$BUILD/core:$CLASSPATH_JUNIT" -d $BUILD/test runtime-core/src/test/kotlin
java -cp "$BUILD/core:$BUILD/test:$STDLIB:$CLASSPATH_JUNIT" -Dqsr.vectors="${QSR_VECTORS:-../tests/vectors}" \
    org.junit.runner.JUnitCore io.qsredge.core.VectorTest io.qsredge.core.CoreTest
