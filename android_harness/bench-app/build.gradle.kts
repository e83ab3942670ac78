plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "io.qsredge.bench"
    compileSdk = 36
    defaultConfig {
        applicationId = "io.qsredge.bench"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
            // To be installed on one's own phone; sign with a key of your own what you publish.
            signingConfig = signingConfigs.getByName("debug")
        }
    }
    // One runtime in each build.
    flavorDimensions += "runtime"
    productFlavors {
        create("litert") { isDefault = true }
        create("executorch")
        create("onnx")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

kotlin {
    compilerOptions {
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11
    }
}

dependencies {
    implementation(project(":runtime-android"))
    implementation(project(":bench-core"))
    "litertImplementation"(project(":runtime-litert"))
    "executorchImplementation"(project(":runtime-executorch"))
    "onnxImplementation"(project(":runtime-onnx"))
}
