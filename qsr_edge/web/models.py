"""The models of a site: one file for each depth of a bundle, whose input size the page sets.

``browser_models(bundle)`` is what a site and a bench in the browser share. Each :class:`BrowserModel` gives

- ``resizable.content``, the file to serve, and ``resizable.sized(h, w)``, the same for another input size;
- ``table()``, what JavaScript needs to do that itself: ``sizedModel`` in ``assets/models.mjs``.
"""

import hashlib
from dataclasses import dataclass

from qsr_edge.bundle.golden import golden_image, image_sha256
from qsr_edge.bundle.manifest import DepthEntry
from qsr_edge.bundle.reader import Bundle
from qsr_edge.conversion.registry import find_backend, registered_backend, targets_that
from qsr_edge.conversion.resizable import MakesResizable, ResizableModel
from qsr_edge.errors import WebError
from qsr_edge.files import temporary_folder

BROWSER = "browser"
"""The place of browsers in :attr:`qsr_edge.conversion.backend.Capabilities.kernels_on`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserModel:
    """One depth.

    Attributes:
        entry: the bundle's entry.
        name: of the file: ``net-d2.tflite``.
        resizable: the file; as it is, it takes the golden input.
    """

    entry: DepthEntry
    name: str
    resizable: ResizableModel

    def table(self, address: str) -> dict[str, object]:
        """For a page that finds the file at ``address``, relative to its own: JSON values."""
        content = self.resizable.content
        return {
            "depth": self.entry.depth,
            "file": address,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "places": [[place.offset, place.factor] for place in self.resizable.places],
            "halo_px": self.entry.grid.halo_px if self.entry.grid else self.entry.halo_px,
            "grid_px": self.entry.grid.step_px if self.entry.grid else 1,
            "macs_per_pixel": self.entry.macs_per_pixel,
            "golden_sha256": self.entry.golden_sha256,
            "psnr_db": {quality.dataset: quality.psnr_db for quality in self.entry.quality},
        }


def browser_models(bundle: Bundle) -> tuple[BrowserModel, ...]:
    """Every depth of a bundle, rewritten so that its input size can be set, and run here to see that it is the same.

    Each computes the golden output of the bundle's manifest with the runtime that is installed here, or there is an
    error.

    Raises:
        WebError: if no runtime for browsers runs such bundles, or a rewritten file computes something else.
        BackendError: if the runtime is missing here, or a file is damaged.
    """
    manifest = bundle.manifest
    if BROWSER not in registered_backend(manifest.target).capabilities.kernels_on:
        others = " or ".join(targets_that(lambda can: BROWSER in can.kernels_on))
        raise WebError(
            f"{manifest.name}: no runtime for browsers runs bundles for {manifest.target} here; convert with "
            f"--target {others}"
        )
    backend = find_backend(manifest.target)
    if not isinstance(backend, MakesResizable):
        raise WebError(f"{manifest.name}: {manifest.target} cannot set a model's input size; choose another target")
    golden = manifest.golden
    size_px = (golden.height_px, golden.width_px)
    models = []
    for entry in manifest.depths:
        resizable = backend.resizable(bundle.root / entry.file, entry.depth, size_px)
        name = f"{manifest.name}-d{entry.depth}{backend.capabilities.suffix}"
        with temporary_folder("web") as folder:
            path = folder / name
            path.write_bytes(resizable.content)
            made = backend.open_model(path, depth=entry.depth).run(golden_image(golden.seed, *size_px))
        if image_sha256(made) != entry.golden_sha256:
            raise WebError(
                f"{manifest.name}: depth {entry.depth}, rewritten for the browser, does not compute its golden output; "
                "please report this with the runtime's version"
            )
        models.append(BrowserModel(entry=entry, name=name, resizable=resizable))
    return tuple(models)
