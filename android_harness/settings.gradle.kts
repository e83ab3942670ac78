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
}

rootProject.name = "qsr-edge-android"
include(":runtime-core", ":runtime-android", ":runtime-litert", ":runtime-executorch", ":runtime-onnx")
include(":bench-core", ":bench-jvm", ":bench-app", ":sample")
