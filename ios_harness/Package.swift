// swift-tools-version: 6.0
import PackageDescription

#if os(Linux)
    // Modules of Apple's that Linux lacks, for the tests there; see StandIns/README.md.
    let standIns: [Target] = [
        .target(name: "CoreGraphics", path: "StandIns/CoreGraphics"),
        .target(name: "CoreVideo", dependencies: ["CoreGraphics"], path: "StandIns/CoreVideo"),
        .target(name: "CoreML", dependencies: ["CoreVideo"], path: "StandIns/CoreML", exclude: ["model_worker.py"]),
        .target(name: "UIKit", dependencies: ["CoreGraphics"], path: "StandIns/UIKit"),
        .target(name: "os", path: "StandIns/os"),
    ]
#else
    let standIns: [Target] = []
#endif

#if os(Linux)
    // The apps are packages of their own, which only Xcode builds; here they are compiled, and never run.
    func app(_ name: String, _ folder: String, _ modules: [Target.Dependency], resources: [Resource] = []) -> Target {
        .executableTarget(
            name: name, dependencies: modules + ["SwiftUI"], path: "Apps/\(folder).swiftpm", exclude: ["Package.swift"],
            resources: resources)
    }
    let linuxOnly: [Target] = [
        // A command, which iPhones have no place for.
        .executableTarget(name: "qsr-host", dependencies: ["QsrBench", "QsrCoreML", "QsrRuntime"]),
        .target(name: "SwiftUI", dependencies: ["UIKit", "CoreGraphics"], path: "StandIns/SwiftUI"),
        .target(name: "PhotosUI", dependencies: ["SwiftUI"], path: "StandIns/PhotosUI"),
        .target(name: "Charts", dependencies: ["SwiftUI"], path: "StandIns/Charts"),
        app("SampleApp", "Sample", ["QsrCoreML", "QsrRuntime", "PhotosUI"], resources: [.copy("README.md")]),
        app("BenchApp", "Bench", ["QsrBench", "QsrCoreML", "Charts"]),
    ]
#else
    let linuxOnly: [Target] = []
#endif

let package = Package(
    name: "qsr-edge",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "QsrCoreML", targets: ["QsrCoreML", "QsrRuntime"]),
        .library(name: "QsrBench", targets: ["QsrBench"]),
    ],
    targets: [
        .systemLibrary(name: "CZlib"),
        .target(
            name: "QsrRuntime", dependencies: ["CZlib"], resources: [.embedInCode("manifest.schema.json")]),
        .target(name: "QsrCoreML", dependencies: ["QsrRuntime"] + standIns.map { .target(name: $0.name) }),
        .target(name: "QsrBench", dependencies: ["QsrCoreML", "QsrRuntime"]),
        .testTarget(name: "QsrRuntimeTests", dependencies: ["QsrRuntime"]),
        .testTarget(name: "QsrBenchTests", dependencies: ["QsrBench", "QsrCoreML", "QsrRuntime"]),
        .testTarget(name: "QsrCoreMLTests", dependencies: ["QsrCoreML", "QsrRuntime"]),
    ] + standIns + linuxOnly
)
