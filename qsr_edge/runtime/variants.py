"""Which network upscales a picture, where one for clean pictures and one for photos are at hand."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from qsr_edge.bundle.reader import Bundle, open_bundle
from qsr_edge.conversion.cached import cached_bundle, cached_path
from qsr_edge.errors import BundleError, CheckpointError, QsrError
from qsr_edge.nn.variant import Variant, variant_of
from qsr_edge.runtime.upscale import LoadedDepth, load_depth
from qsr_edge.zoo import ZooEntry, variants_of, zoo_entry

PHOTO_BELOW_QUALITY = 92
"""A JPEG of less goes to the network for photos.

What the two gain over bicubic interpolation on Set14, x2, W4A8 (docs/results/compressed.md): at quality 90 the clean
one 1.36 dB and the other 1.57, at 95 2.03 and 1.66. The two lines meet a little below 92."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A network for a picture.

    Attributes:
        variant: what it was trained for.
        reason: why, for a person; empty if there was no choice.
    """

    variant: Variant
    reason: str


def choose_variant(at_hand: Collection[Variant], jpeg_quality: int | None) -> Choice:
    """The network for a picture.

    Args:
        at_hand: what the networks were trained for; at least one.
        jpeg_quality: of the picture's file, 1 to 100; None if it is no JPEG.
    """
    if len(at_hand) == 1:
        [variant] = at_hand
        return Choice(variant=variant, reason="")
    if jpeg_quality is None:
        variant, why = Variant.CLEAN, "no JPEG"
    else:
        below = jpeg_quality < PHOTO_BELOW_QUALITY
        variant, why = (Variant.PHOTO if below else Variant.CLEAN), f"JPEG of quality {jpeg_quality}"
    return Choice(variant=variant, reason=f"{variant} network: {why}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkAtHand:
    """A network that pictures may need; its bundle is opened, and made if need be, when the first one does.

    Attributes:
        name: of the network or bundle, for a person.
        path: where the bundle is, or will be.
        target: back end.
        scale: upscaling factor.
        depths: residual blocks that it can be run with, ascending.
        open: gives the bundle, as :func:`qsr_edge.bundle.reader.open_bundle` does.
    """

    name: str
    path: Path
    target: str
    scale: int
    depths: tuple[int, ...]
    open: Callable[[], AbstractContextManager[Bundle]]


def given_networks(bundles: Sequence[tuple[Path, Bundle]], wanted: Variant | None) -> Mapping[Variant, NetworkAtHand]:
    """Open bundles by what their networks were trained for; the wanted one alone, if there is a wish.

    Args:
        bundles: the path and the opened bundle of each; they stay open as long as they are used.
        wanted: the only variant to take; None for what there is.

    Raises:
        BundleError: if there is none, two are of one variant or of different scale factors, or there is none of the
            wanted variant.
    """
    if not bundles:
        raise BundleError("no network is at hand; give a bundle")
    found: dict[Variant, NetworkAtHand] = {}
    for path, bundle in bundles:
        manifest = bundle.manifest
        variant = variant_of(manifest.provenance)
        if variant in found:
            raise BundleError(
                f"{path} and {found[variant].path}: two {variant} networks; give one, or one of each variant"
            )
        found[variant] = NetworkAtHand(
            name=manifest.name,
            path=path,
            target=manifest.target,
            scale=manifest.scale,
            depths=tuple(entry.depth for entry in manifest.depths),
            open=_opened(bundle),
        )
    scales = {network.scale for network in found.values()}
    if len(scales) > 1:
        raise BundleError(f"the bundles upscale by {' and '.join(map(str, sorted(scales)))}; give two of one scale")
    if wanted is None:
        return found
    if wanted not in found:
        raise BundleError(
            f"variant {wanted} was asked for, but only a {' and a '.join(found)} network is at hand; leave it out, "
            f"or convert one by --variant {wanted}"
        )
    return {wanted: found[wanted]}


def _opened(bundle: Bundle) -> Callable[[], AbstractContextManager[Bundle]]:
    return lambda: nullcontext(bundle)


def bundled_networks(name: str, wanted: Variant | None, target: str) -> Mapping[Variant, NetworkAtHand]:
    """The bundled networks that serve for one of them, converted when they are first opened, and kept in the cache.

    Args:
        name: ``x2_w4a8`` or another that ``qsr-edge models`` lists.
        wanted: the only variant to take; None for all that there are, but of a network for photos that one alone: who
            names it means it.
        target: back end.

    Returns:
        At least one, the named one first if it is among them.

    Raises:
        CheckpointError: if there is no such network, it is a float one, or there is none of the wanted variant.
        BackendError: if the back end is missing.
    """
    named = zoo_entry(name)
    alike = {named.variant: named} | variants_of(named)
    if wanted is not None and wanted not in alike:
        raise CheckpointError(
            f"{name}: variant {wanted} was asked for, but only a {' and a '.join(alike)} network of this kind is "
            "bundled; leave it out, or train one"
        )
    only = wanted or (Variant.PHOTO if named.variant is Variant.PHOTO else None)
    return {variant: _bundled(entry, target) for variant, entry in alike.items() if only in (None, variant)}


def _bundled(entry: ZooEntry, target: str) -> NetworkAtHand:
    return NetworkAtHand(
        name=entry.name,
        path=cached_path(entry.name, target),
        target=target,
        scale=entry.scale,
        depths=entry.depths,
        open=lambda: open_bundle(cached_bundle(entry.name, target)),
    )


class Variants:
    """Networks of one scale factor, at most one of each variant; each is opened and loaded when it is first needed.

    Any number of threads may use it. It is to be closed.
    """

    def __init__(self, at_hand: Mapping[Variant, NetworkAtHand], *, threads: int = 1, kernels: str | None = None):
        """Take networks, at least one; nothing is opened yet.

        Args:
            at_hand: the networks.
            threads: CPU threads of one picture.
            kernels: one of the back end's families of kernels; None for its default.
        """
        self._at_hand = at_hand
        self._threads = threads
        self._kernels = kernels
        self._lock = threading.Lock()
        self._bundles: dict[Variant, Bundle] = {}
        self._models: dict[tuple[Variant, int], LoadedDepth] = {}
        self._closing = ExitStack()
        self._is_open = True

    @property
    def first(self) -> NetworkAtHand:
        """The first of them."""
        return next(iter(self._at_hand.values()))

    @property
    def at_hand(self) -> tuple[Variant, ...]:
        """What they were trained for, the first one's first."""
        return tuple(self._at_hand)

    @property
    def opened(self) -> tuple[NetworkAtHand, ...]:
        """Those that were needed so far."""
        return tuple(self._at_hand[variant] for variant in self._bundles)

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self._is_open

    def choose(self, jpeg_quality: int | None) -> Choice:
        """The network for a picture; as :func:`choose_variant`."""
        return choose_variant(self._at_hand, jpeg_quality)

    def bundle(self, variant: Variant) -> Bundle:
        """The opened bundle of one of those at hand; errors as :meth:`model`."""
        with self._lock:
            return self._bundle(variant)

    def model(
        self, variant: Variant, depth: int | None = None, on_wait: Callable[[str], None] = lambda name: None
    ) -> LoadedDepth:
        """A network, loaded.

        Args:
            variant: one of those at hand.
            depth: residual blocks; None for the deepest.
            on_wait: called with the network's name if it must be loaded, and perhaps converted, first.

        Raises:
            QsrError: if it was closed; and of the kind that fits, if the network cannot be converted, opened or loaded.
        """
        with self._lock:
            self._check_open()
            network = self._at_hand[variant]
            chosen = network.depths[-1] if depth is None else depth
            if (variant, chosen) not in self._models:
                on_wait(network.name)
                self._models[variant, chosen] = load_depth(
                    self._bundle(variant), depth=chosen, threads=self._threads, kernels=self._kernels
                )
            return self._models[variant, chosen]

    def _bundle(self, variant: Variant) -> Bundle:
        self._check_open()
        if variant not in self._bundles:
            self._bundles[variant] = self._closing.enter_context(self._at_hand[variant].open())
        return self._bundles[variant]

    def _check_open(self) -> None:
        if not self._is_open:
            raise QsrError(f"{self.first.path}: this network was closed; load it again")

    def close(self) -> None:
        """Let go of models and files. What other threads upscale at the moment comes to its end."""
        with self._lock:
            self._is_open = False
            self._models.clear()
            self._closing.close()
