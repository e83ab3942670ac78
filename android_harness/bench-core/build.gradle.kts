plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    compilerOptions {
        optIn.add("io.qsredge.core.InternalQsrApi")
        // The library of Java 8, as Android 8 has it: with a newer one ByteBuffer.limit is a method that it lacks.
        freeCompilerArgs.add("-Xjdk-release=8")
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_1_8
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

sourceSets.test {
    kotlin.srcDir("../runtime-core/src/testFixtures/kotlin")
}

dependencies {
    api(project(":runtime-core"))
    testImplementation(libs.junit)
}
