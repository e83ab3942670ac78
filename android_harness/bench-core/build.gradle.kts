plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
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
    kotlin.srcDir("../runtime-core/src/testFixtures/kotlin")
}

dependencies {
    api(project(":runtime-core"))
    testImplementation(libs.junit)
}
