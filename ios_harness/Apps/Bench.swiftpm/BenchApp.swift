import Charts
import QsrBench
import QsrCoreML
import SwiftUI

@main
struct BenchApp: App {
    @Environment(\.scenePhase) private var phase
    @State private var host = BenchHost(
        documents: FileManager.default.urls(for: .documentDirectory, in: .userDomainMask)[0])

    var body: some Scene {
        WindowGroup {
            BenchView(host: host)
                .task {
                    // The screen stays on: a phone that sleeps measures nothing.
                    UIApplication.shared.isIdleTimerDisabled = true
                    if await host.run(ProcessInfo.processInfo.arguments) { exit(0) }
                }
                .onReceive(told(ProcessInfo.thermalStateDidChangeNotification)) { _ in host.tell(.thermal) }
                .onReceive(told(UIApplication.didReceiveMemoryWarningNotification)) { _ in host.tell(.lowMemory) }
        }
        .onChange(of: phase) { before, now in
            if now == .active { host.tell(.resumed) } else if before == .active { host.tell(.paused) }
        }
    }

    private func told(_ name: Notification.Name) -> NotificationCenter.Publisher {
        NotificationCenter.default.publisher(for: name)
    }
}

/// Latency and heat as they come, the depth, and a picture before and after.
struct BenchView: View {
    let host: BenchHost

    var body: some View {
        TimelineView(.periodic(from: .now, by: 1)) { _ in
            let state = host.state
            VStack {
                Text(state.status)
                Text(state.variant)
                Text(state.medianMs.map { "median \($0) ms, \(state.queries) steady" } ?? "")
                Chart(Array(state.latenciesMs.enumerated()), id: \.offset) { point in
                    LineMark(x: .value("inference", point.offset), y: .value("ms", point.element))
                }
                Text(state.heat)
                Chart(Array(state.thermalStatuses.enumerated()), id: \.offset) { point in
                    LineMark(x: .value("time", point.offset), y: .value("thermal status", point.element))
                }
                HStack {
                    PictureView(picture: state.before)
                    PictureView(picture: state.after)
                }
            }
        }
    }
}

/// Raw pixels of a file.
struct PictureView: View {
    let picture: RawPicture?

    var body: some View {
        if let image = try? picture?.read()?.makeCGImage() {
            Image(decorative: image, scale: 1).resizable().scaledToFit()
        }
    }
}
