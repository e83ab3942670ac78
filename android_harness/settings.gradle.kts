pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        google()
        mavenCentral()
    }
    versionCatalogs {
        create("libs") {
            from(files("gradle/versions.toml"))
            // For an app that takes this build in and has other versions: -Pqsr.agp=8.9.0 -Pqsr.kotlin=2.2.20.
            for (name in listOf("agp", "kotlin", "litert", "executorch", "onnxruntime")) {
                providers.gradleProperty("qsr.$name").orNull?.let { version(name, it) }
            }
        }
    }
}

rootProject.name = "qsr-edge-android"
include(":runtime-core", ":runtime-android", ":runtime-litert", ":runtime-executorch", ":runtime-onnx")
include(":bench-core", ":bench-jvm", ":bench-app")
