"""Whether a back end can do what it is asked to, by what it says of itself; told before any work."""

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.conversion.backend import Backend, ConvertOptions, HasOptionalKernels, optional_families
from qsr_edge.conversion.registry import targets_that
from qsr_edge.errors import BackendError
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.quant.arithmetic import Profile

MAX_FIXED_PIXELS = 1 << 20
"""Largest fixed input: the golden interpreter takes about 1 kB a pixel, and larger images are tiled anyway."""


def checked_kernels(backend: Backend, kernels: str, profile: Profile, flavor: str | None) -> tuple[str, ...]:
    """The families of kernels that are to be verified besides: those of a name, such as ``htp`` and ``htp-v73``.

    Args:
        backend: the target.
        kernels: name of a family, or what the names of several begin with.
        profile: the network's.
        flavor: of the arithmetic; None for the default one.

    Raises:
        BackendError: if there is none of this name, it cannot run here, or it does not compute such networks' bytes.
    """
    offered = optional_families(backend)
    wanted = tuple(family for family in offered if f"{family}-".startswith(f"{kernels}-"))
    if not isinstance(backend, HasOptionalKernels) or not wanted:
        known = f"--verify or --verify {' or '.join(offered)}" if offered else "--verify alone"
        raise BackendError(f"{backend.name}: no optional family of kernels is called {kernels!r}; use {known}")
    for family in wanted:
        backend.check_kernels(family, profile, flavor)
    return wanted


def check_options(backend: Backend, options: ConvertOptions) -> None:
    """Refuse options that a back end cannot meet, whatever the network.

    Raises:
        BackendError: naming the option, the reason and what to use instead.
    """
    name, can = backend.name, backend.capabilities
    for choice, options_left in ((options.storage, tuple(Storage)), (options.pack, tuple(Pack))):
        if choice in can.lacks:
            option = type(choice).__name__.lower()
            left = " or ".join(f"--{option} {other}" for other in options_left if other not in can.lacks)
            raise BackendError(f"{name}: {can.lacks[choice]}; use {left}")
    if options.flavor is not None and can.flavor(options.flavor) is None:
        if not can.flavors:
            others = ", ".join(targets_that(lambda other: bool(other.flavors)))
            raise BackendError(f"{name} has one flavour only; --flavor is for {others}")
        known = ", ".join(flavor.name for flavor in can.flavors)
        raise BackendError(f"{name} has no flavour {options.flavor!r}; choose one of {known}")
    _check_sizes(backend, options)


def _check_sizes(backend: Backend, options: ConvertOptions) -> None:
    name, can = backend.name, backend.capabilities
    sizes = () if options.input_size_px is None else (options.input_size_px, *options.more_sizes_px)
    for height, width in sizes:
        if min(height, width) < 1:
            raise BackendError(f"{name}: the input size is {width}x{height}, expected at least 1 pixel a side")
        if height * width > MAX_FIXED_PIXELS:
            raise BackendError(
                f"a fixed input of {width}x{height} has more than {MAX_FIXED_PIXELS:,} pixels; "
                "convert for a smaller size and tile, or for any size"
            )
    if not can.any_size:
        fixed_size_px(name, options)
    if len(sizes) > 1 and can.most_sizes == 1:
        alternative = " or any" if can.any_size else ""
        raise BackendError(f"{name}: a model takes one input size{alternative}, not several; give --input-size once")
    if len(set(sizes)) != len(sizes) or len(sizes) > max(1, can.most_sizes):
        raise BackendError(f"{name}: got {len(sizes)} input sizes, expected different ones, {can.most_sizes} at most")


def fixed_size_px(name: str, options: ConvertOptions) -> tuple[int, int]:
    """The (height, width) that was asked for, of a model that cannot take any size.

    Raises:
        BackendError: if none was.
    """
    if options.input_size_px is None:
        raise BackendError(f"{name}: such graphs have a fixed input size; give one, such as --input-size 128x128")
    return options.input_size_px


def check_request(backend: Backend, network: LoweredNetwork, options: ConvertOptions) -> None:
    """Refuse, besides, what a back end cannot write of a network.

    Raises:
        BackendError: as :func:`check_options`, or for the network's kind.
    """
    check_options(backend, options)
    name = backend.name
    if not network:
        raise BackendError("the network has no graph to convert")
    window_px = network.deepest.window_px
    if window_px == 1:
        return
    if not backend.capabilities.transformers:
        *others, last = targets_that(lambda other: other.transformers)
        choice = f"{', '.join(others)} or {last}" if others else last
        raise BackendError(f"{name}: transformers are not written; use --target {choice}")
    height, width = fixed_size_px(name, options)
    if options.more_sizes_px:
        raise BackendError(f"{name}: a transformer has one fixed input size, not several; give --input-size once")
    if options.pack is not Pack.PER_DEPTH:
        raise BackendError(f"{name}: a transformer's file holds one depth; use --pack per-depth")
    if height % window_px or width % window_px:
        raise BackendError(
            f"{name}: an input of {width}x{height} is not divided by windows of {window_px} pixels; give a multiple"
        )
