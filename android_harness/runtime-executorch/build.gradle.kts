plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
    `maven-publish`
}

android {
    namespace = "io.qsredge.executorch"
    compileSdk = 36
    defaultConfig {
        minSdk = 26
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
        consumerProguardFiles("consumer-rules.pro")
    }
    publishing {
        singleVariant("release") { withSourcesJar() }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

android.sourceSets.named("androidTest") {
    kotlin.srcDir("../runtime-android/src/androidTestFixtures/kotlin")
}

kotlin {
    explicitApi()
    compilerOptions {
        optIn.add("io.qsredge.core.InternalQsrApi")
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11
    }
}

dependencies {
    api(project(":runtime-core"))
    implementation(libs.executorch)
    androidTestImplementation(project(":runtime-android"))
    androidTestImplementation(libs.androidx.test.runner)
    androidTestImplementation(libs.junit)
}

publishing {
    publications {
        register<MavenPublication>("library") {
            afterEvaluate { from(components["release"]) }
        }
    }
}
