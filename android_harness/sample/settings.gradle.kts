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
        // Where `./gradlew publishToMavenLocal` of android_harness put the library; nothing else is taken from there.
        mavenLocal {
            content { includeGroup("io.qsredge") }
        }
        google()
        mavenCentral()
    }
}

rootProject.name = "qsr-edge-sample"
