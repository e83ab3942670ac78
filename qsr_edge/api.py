"""What a Python program uses: load a network, upscale pictures with it, convert, evaluate. See docs/python.md.

All of it is at the top of the package (``qsr_edge.load``), where it is imported when it is first used.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.assets import demo_photo
from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.conversion.backend import ConvertOptions
from qsr_edge.conversion.checkpoint import load_checkpoint
from qsr_edge.conversion.convert import Conversion, convert_checkpoint, model_metadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.decoding import jpeg_quality
from qsr_edge.data.images import open_pictures, read_picture, write_picture
from qsr_edge.data.in_memory import array_of_picture, image_of_picture, picture_of_array, picture_of_image
from qsr_edge.data.picture import Picture
from qsr_edge.errors import CheckpointError, QsrError, RecipeError
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.variant import Variant, VariantChoice
from qsr_edge.runtime.evaluation import Evaluation, checkpoint_models, evaluate_models
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX
from qsr_edge.runtime.variants import Variants, bundled_networks, given_networks
from qsr_edge.zoo import WEIGHTS_AUTHOR, WEIGHTS_LICENCE, zoo_names, zoo_path

__all__ = [
    "Conversion",
    "Evaluation",
    "Network",
    "Picture",
    "convert",
    "evaluate",
    "load",
    "networks",
    "read_picture",
    "write_picture",
]

Source = NDArray[Any] | Image.Image | Picture | str | os.PathLike[str]
"""A picture: an array, a Pillow image, what ``read_picture`` gives, or the name of a file."""
Progress = Callable[[int, int], None]
"""Called with what is done and all that there is to do."""


def networks() -> tuple[str, ...]:
    """Names of the bundled networks, such as ``x2_w4a4``; those that end in ``fp32`` are float ones."""
    return zoo_names()


class Network:
    """A network, ready to upscale; made by :func:`load`.

    Any number of threads may use it, and it works in a forked process. It is a context manager that closes it.
    """

    def __init__(self, networks: Variants, closing: ExitStack):
        """Take networks at hand, and what is to be closed with them; the first one is opened, and converted if need be.

        Raises:
            QsrError: of the kind that fits, if that cannot be done; everything is closed then.
        """
        self._networks = networks
        self._closing = closing
        closing.callback(networks.close)
        with ExitStack() as failed:
            failed.callback(closing.close)
            self._manifest = networks.bundle(networks.at_hand[0]).manifest
            failed.pop_all()

    @property
    def manifest(self) -> Manifest:
        """All that the bundle tells of itself; of the first one, if there are two."""
        return self._manifest

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What pictures its networks were trained for: one, or both ``clean`` and ``photo``."""
        return self._networks.at_hand

    @property
    def scale(self) -> int:
        """Upscaling factor r."""
        return self.manifest.scale

    @property
    def depths(self) -> tuple[int, ...]:
        """Depths that it can be run with, in residual blocks, ascending: fewer are faster, more are better.

        Of two networks, the first one's.
        """
        return tuple(entry.depth for entry in self.manifest.depths)

    @overload
    def upscale(
        self, source: NDArray[Any], *, depth: int | None = ..., progress: Progress | None = ..., tile_px: int = ...
    ) -> NDArray[Any]: ...

    @overload
    def upscale(
        self, source: Image.Image, *, depth: int | None = ..., progress: Progress | None = ..., tile_px: int = ...
    ) -> Image.Image: ...

    @overload
    def upscale(
        self,
        source: Picture | str | os.PathLike[str],
        *,
        depth: int | None = ...,
        progress: Progress | None = ...,
        tile_px: int = ...,
    ) -> Picture: ...

    def upscale(
        self,
        source: Source,
        *,
        depth: int | None = None,
        progress: Progress | None = None,
        tile_px: int = DEFAULT_TILE_PX,
    ) -> NDArray[Any] | Image.Image | Picture:
        """Upscale one picture; what comes out is of the kind that went in.

        Of two networks the picture's own takes it, see :meth:`variant_for`.

        Args:
            source: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA array of uint8 or uint16; a Pillow image; a
                :class:`Picture`; or the name of a file.
            depth: one of ``depths``; None for the deepest.
            progress: called after each tile with the number of tiles done and of all tiles.
            tile_px: side of what is upscaled at once, in input pixels. Less takes less memory and more time; the
                result is the same.

        Returns:
            An array of the same type, (rH, rW, ...); a Pillow image; or, of a file or a :class:`Picture`, a
            :class:`Picture` with colour profile, metadata, alpha and 16 bits where the source had them.

        Raises:
            ImageError: if the picture cannot be read, or the array is of another type or shape.
            BundleError: if the network has no such depth.
            BackendError: if the runtime is missing or fails.
            QsrError: if the network is closed.
        """

        def run(picture: Picture) -> Picture:
            model = self._networks.model(self._networks.choose(picture.jpeg_quality).variant, depth)
            return model.upscale_picture(picture, tile_px=tile_px, on_tile=progress)

        match source:
            case np.ndarray():
                return array_of_picture(run(picture_of_array(source)), source)
            case Image.Image():
                return image_of_picture(run(picture_of_image(source)))
            case Picture():
                return run(source)
            case str() | os.PathLike():
                return run(read_picture(Path(source), native=True))
        raise TypeError(f"a picture is an array, a Pillow image, a Picture or a path, got {type(source).__name__}")

    def variant_for(self, source: Source) -> Variant:
        """Which network takes a picture: the only one, or for a JPEG of a quality below 92 that for photos.

        An array is no JPEG. A Pillow image is one as ``PIL.Image.open`` gives it, and not what its methods make of it.

        Args:
            source: as for :meth:`upscale`.

        Raises:
            ImageError: if it is a file that cannot be read.
        """
        match source:
            case np.ndarray():
                quality = None
            case Image.Image():
                quality = jpeg_quality(source)
            case Picture():
                quality = source.jpeg_quality
            case _:
                with open_pictures(Path(source), native=True) as opened:
                    quality = opened.jpeg_quality
        return self._networks.choose(quality).variant

    def upscale_all(
        self, sources: Iterable[Source], *, depth: int | None = None, progress: Progress | None = None
    ) -> Iterator[NDArray[Any] | Image.Image | Picture]:
        """Upscale pictures one after another, each when it is asked for; as :meth:`upscale`."""
        for source in sources:
            yield self.upscale(source, depth=depth, progress=progress)

    def evaluate(
        self,
        dataset: str | os.PathLike[str],
        *,
        lr_folder: str | os.PathLike[str] | None = None,
        depths: Iterable[int] | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """PSNR and SSIM of what is deployed, of two networks of the first; as :func:`evaluate`."""
        first = self.variants[0]
        models = tuple(self._networks.model(first, depth) for depth in (self.depths if depths is None else depths))
        return _evaluated(models, dataset, lr_folder, progress)

    def close(self) -> None:
        """Let go of models and files. What other threads upscale at the moment comes to its end."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self._networks.is_open else ", closed"
        both = f", {' and '.join(self.variants)}" if self.variants[1:] else ""
        about = f"x{self.scale}, depths {self.depths}, {self.manifest.target}"
        return f"<Network {self.manifest.name}: {about}{both}{state}>"


def load(
    network: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    variant: VariantChoice | str = VariantChoice.AUTO,
    target: str = "tflite",
    threads: int = 1,
    kernels: str | None = None,
) -> Network:
    """Load a network.

    Args:
        network: a bundle's folder or .zip, or two, for clean pictures and for photos; or the name of a bundled
            network, such as ``x2_w4a8``, which is converted when it is first used and kept in the cache folder
            (``QSR_EDGE_CACHE``).
        variant: ``clean`` or ``photo`` for the network that was trained on such pictures. ``auto``: where both are at
            hand, each picture goes to its own (:meth:`Network.variant_for`), and that for photos is converted when a
            picture first needs it; else the one that is. Who names a network for photos means that one.
        target: back end, for a bundled network; a bundle has its own.
        threads: CPU threads of one picture. Pictures of several Python threads run at the same time beside that.
        kernels: one of the back end's families of kernels; None for its default.

    Raises:
        BundleError: if the bundle is missing or damaged, or of another variant; of two, if they do not fit together.
        CheckpointError: if it is neither a file nor the name of a quantized bundled network, or none of the variant is
            bundled.
        BackendError: if the back end is missing.
        QsrError: if there is no such variant.
    """
    if variant not in tuple(VariantChoice):
        raise QsrError(f"got the variant {variant!r}, expected one of {', '.join(VariantChoice)}")
    wanted = VariantChoice(variant).variant
    with ExitStack() as stack:
        if isinstance(network, str) and _is_name(network):
            at_hand = bundled_networks(network, wanted, target)
        else:
            given = [network] if isinstance(network, str | os.PathLike) else network
            opened = [(Path(path), stack.enter_context(open_bundle(Path(path)))) for path in given]
            at_hand = given_networks(opened, wanted)
        return Network(Variants(at_hand, threads=threads, kernels=kernels), stack.pop_all())


def _is_name(network: str) -> bool:
    """Whether it can only be meant as the name of a bundled network."""
    path = Path(network)
    return not path.exists() and os.sep not in network and path.suffix != ".zip"


def convert(
    network: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    target: str,
    author: str | None = None,
    licence: str | None = None,
    storage: Storage | str = Storage.FAST,
    pack: Pack | str = Pack.PER_DEPTH,
    input_size_px: tuple[int, int] | None = None,
    flavor: str | None = None,
    verify: bool = True,
    force: bool = False,
    progress: Callable[[str], None] = lambda what: None,
) -> Conversion:
    """Turn a network into a verified bundle for a target, as ``qsr-edge convert`` does.

    Args:
        network: name of a bundled network, or a checkpoint's file.
        output: folder, or .zip, to write.
        target: back end: ``tflite``, ``executorch``, ``coreml`` ...
        author: of the weights; needed for a file.
        licence: of the weights, an SPDX expression; needed for a file.
        storage: layout of the weights: ``fast`` or ``compact``.
        pack: ``per-depth``, ``shared`` or ``external``.
        input_size_px: fixed (height, width) of the input; None for any size.
        flavor: form of the arithmetic, where the target has several.
        verify: run what was written, and compare every byte with the golden interpreter.
        force: replace a bundle that is there already.
        progress: called with what is being verified.

    Raises:
        QsrError: of the kind that fits, if anything cannot be done; nothing is written then.
    """
    bundled = _bundled(network)
    if bundled is not None:
        author, licence = author or WEIGHTS_AUTHOR, licence or WEIGHTS_LICENCE
    if not (author and licence):
        raise RecipeError(f"{network}: author and licence are missing: who made the weights, and their SPDX licence")
    checkpoint = load_checkpoint(bundled or Path(network), scale=None, bits=None)
    if checkpoint.config.bits is None:
        raise CheckpointError(f"{network}: a float network; train a quantized one from it: qsr-edge train --start")
    backend = find_backend(target)
    options = ConvertOptions(
        storage=Storage(storage),
        pack=Pack(pack),
        input_size_px=input_size_px,
        flavor=flavor,
        metadata=model_metadata(checkpoint, backend, flavor=flavor, author=author, licence=licence),
    )
    return convert_checkpoint(
        checkpoint,
        backend,
        options,
        Path(output),
        natural=read_picture(demo_photo()).rgb if verify else None,
        force=force,
        on_result=lambda result: progress(f"depth {result.depth} under {result.kernels}"),
    )


def evaluate(
    network: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    *,
    lr_folder: str | os.PathLike[str] | None = None,
    depths: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """PSNR and SSIM on luma of a network and of bicubic interpolation, by the field's protocol.

    Args:
        network: a bundle, whose runtime is measured; or a checkpoint's file or the name of a bundled network, whose
            integer graph is computed by the golden interpreter, and a float network by torch.
        dataset: folder of high-resolution pictures.
        lr_folder: folder of their low-resolution versions; None to make them by bicubic reduction.
        depths: which depths; None for all.
        progress: called with the number of pictures done and of all pictures.

    Raises:
        DatasetError: if a folder or a picture in it cannot serve.
        QsrError: of the kind that fits, if the network cannot be used.
    """
    path = _bundled(network) or Path(network)
    if path.suffix == ".zip" or path.is_dir():
        with load(path) as opened:
            return opened.evaluate(dataset, lr_folder=lr_folder, depths=depths, progress=progress)
    checkpoint = read_checkpoint(path)
    offered = checkpoint.config.depths
    wanted = offered if depths is None else tuple(depths)
    if not wanted or not set(wanted) <= set(offered):
        raise CheckpointError(f"{network}: got depths {wanted}, expected some of {', '.join(map(str, offered))}")
    models = tuple(model for model in checkpoint_models(checkpoint) if model.depth in wanted)
    return _evaluated(models, dataset, lr_folder, progress)


def _evaluated(
    models: Any,
    dataset: str | os.PathLike[str],
    lr_folder: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> Evaluation:
    lr = None if lr_folder is None else Path(lr_folder)
    return evaluate_models(models, Path(dataset), lr, progress or (lambda done, total: None))


def _bundled(network: str | os.PathLike[str]) -> Path | None:
    """The file of the bundled network of this name; None if there is none, or there is such a file."""
    return None if Path(network).exists() else zoo_path(os.fspath(network))
