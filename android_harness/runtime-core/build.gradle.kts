plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    explicitApi()
    compilerOptions {
        allWarningsAsErrors = true
        optIn.add("io.qsredge.core.InternalQsrApi")
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_11
    targetCompatibility = JavaVersion.VERSION_11
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
