plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.android) apply false
    alias(libs.plugins.kotlin.jvm) apply false
}

subprojects {
    // By these names an app's build finds the modules, published or taken in by includeBuild.
    group = "io.qsredge"
    version = "0.1.0"
    // `./gradlew publishToMavenLocal`: each module of the library with its sources.
    pluginManager.withPlugin("maven-publish") {
        configure<PublishingExtension> {
            publications.withType<MavenPublication>().configureEach {
                pom {
                    name = "qsr-edge ${project.name}"
                    description = "Integer-only image super-resolution on Android, equal byte for byte to its reference"
                    licenses {
                        license {
                            name = "Apache-2.0"
                            url = "https://www.apache.org/licenses/LICENSE-2.0"
                        }
                    }
                }
            }
        }
    }
}
