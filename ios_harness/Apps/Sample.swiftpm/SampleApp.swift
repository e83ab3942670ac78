import PhotosUI
import QsrCoreML
import QsrRuntime
import SwiftUI

@main
struct SampleApp: App {
    var body: some Scene {
        WindowGroup { PhotoView() }
    }
}

/// Picks a photo and shows it upscaled, with the bundle in the folder `qsr`.
struct PhotoView: View {
    @State private var picked: PhotosPickerItem?
    @State private var picture: UIImage?
    @State private var status = ""
    @State private var upscaler: QsrUpscaler?

    var body: some View {
        VStack {
            PhotosPicker("Upscale a photo", selection: $picked, matching: .images)
            Text(status)
            if let picture { Image(uiImage: picture).resizable().scaledToFit() }
        }
        // A new photo ends the work on the one before.
        .task(id: picked) { await upscale() }
    }

    private func upscale() async {
        guard let picked else { return }
        do {
            let content = try await picked.loadTransferable(type: Data.self)
            guard let photo = content.flatMap(UIImage.init(data:)), let image = photo.cgImage else {
                status = "This is no picture."
                return
            }
            let upscaler = try await open()
            let work = upscaler.upscaling(image)
            for await progress in work.progress { status = "tile \(progress.done) of \(progress.total)" }
            let large = try await work.result()
            picture = UIImage(cgImage: large, scale: 1, orientation: photo.imageOrientation)
            status = "\(large.width) x \(large.height), depth \(await upscaler.depth)"
        } catch is CancellationError {
            // Another photo was picked.
        } catch {
            status = error.localizedDescription
        }
    }

    /// The first use checks the bundle and has Core ML compile a model: a moment.
    private func open() async throws -> QsrUpscaler {
        if let upscaler { return upscaler }
        let made = try await QsrUpscaler(QsrBundle(resource: "qsr", of: .module))
        upscaler = made
        return made
    }
}
