plugins {
    alias(libs.plugins.kotlin.jvm)
    `maven-publish`
}

kotlin {
    explicitApi()
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
    withSourcesJar()
}

sourceSets.test {
    kotlin.srcDir("src/testFixtures/kotlin")
}

dependencies {
    testImplementation(libs.junit)
}

// The one published schema; the manifest reader checks against it.
tasks.processResources {
    from("../../qsr_edge/bundle/manifest.schema.json") { into("io/qsredge/core") }
}

tasks.test {
    systemProperty("qsr.vectors", file("../../tests/vectors").path)
}

publishing {
    publications {
        register<MavenPublication>("library") {
            from(components["java"])
        }
    }
}
