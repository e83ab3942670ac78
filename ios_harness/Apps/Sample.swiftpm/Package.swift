// swift-tools-version: 6.0
import AppleProductTypes
import PackageDescription

// Open this folder in Xcode, or in Swift Playgrounds on an iPad. The bundle goes into `qsr`:
//     qsr-edge convert --target coreml --bits 4 -o ios_harness/Apps/Sample.swiftpm/qsr
let package = Package(
    name: "Sample",
    platforms: [.iOS(.v17)],
    products: [
        .iOSApplication(
            name: "Sample", targets: ["SampleApp"], bundleIdentifier: "io.qsredge.sample", displayVersion: "1.0",
            bundleVersion: "1", appIcon: .placeholder(icon: .camera), accentColor: .presetColor(.blue),
            supportedDeviceFamilies: [.pad, .phone],
            supportedInterfaceOrientations: [.portrait, .landscapeLeft, .landscapeRight])
    ],
    dependencies: [.package(path: "../..")],
    targets: [
        .executableTarget(
            name: "SampleApp", dependencies: [.product(name: "QsrCoreML", package: "ios_harness")], path: ".",
            exclude: ["Package.swift", "README.md"], resources: [.copy("qsr")])
    ]
)
