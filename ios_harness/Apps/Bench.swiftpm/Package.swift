// swift-tools-version: 6.0
import AppleProductTypes
import PackageDescription

// The benchmark app: `qsr-edge bench --device iPhone` puts bundles and jobs into its Documents and starts it.
let package = Package(
    name: "Bench",
    platforms: [.iOS(.v17)],
    products: [
        .iOSApplication(
            name: "Bench", targets: ["BenchApp"], bundleIdentifier: "io.qsredge.bench", displayVersion: "1.0",
            bundleVersion: "1", appIcon: .placeholder(icon: .gauge), accentColor: .presetColor(.blue),
            supportedDeviceFamilies: [.pad, .phone],
            supportedInterfaceOrientations: [.portrait, .landscapeLeft, .landscapeRight])
    ],
    dependencies: [.package(path: "../..")],
    targets: [
        .executableTarget(
            name: "BenchApp", dependencies: [.product(name: "QsrBench", package: "ios_harness")], path: ".",
            exclude: ["Package.swift"])
    ]
)
