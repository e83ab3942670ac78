"""Bundles of the networks that come with qsr-edge, converted when first asked for and kept in the cache folder."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import platformdirs

from qsr_edge import __version__
from qsr_edge.assets import demo_photo
from qsr_edge.bundle.reader import read_bundle
from qsr_edge.conversion.backend import ConvertOptions
from qsr_edge.conversion.convert import convert_checkpoint, model_metadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.images import read_picture
from qsr_edge.errors import BundleError, CheckpointError, QsrError
from qsr_edge.files import hold
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import WEIGHTS_AUTHOR, WEIGHTS_LICENCE, zoo_entry

CACHE_VARIABLE = "QSR_EDGE_CACHE"
"""Names the cache folder, if it is not to be the system's usual one."""
_POLL_S = 0.2


class _BusyError(QsrError):
    """Another process converts the same network."""


def cache_folder() -> Path:
    """Where converted bundles are kept; it need not exist. What is in it may be deleted at any time."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("qsr-edge")


def cached_path(name: str, target: str) -> Path:
    """Where the bundle of a bundled network for a target is, or will be once :func:`cached_bundle` made it.

    Raises:
        CheckpointError: if there is no such network, or it is a float one.
        BackendError: if the back end is missing.
    """
    entry = zoo_entry(name)
    if not entry.bits:
        raise CheckpointError(f"{name}: a float network, which no bundle holds; choose a quantized one")
    version = f"{__version__} {find_backend(target).runtime_version()}".encode()
    digest = hashlib.sha256(entry.path.read_bytes() + version).hexdigest()[:16]
    return cache_folder() / f"{name}-{target}-{digest}"


def cached_bundle(name: str, target: str) -> Path:
    """The bundle of a bundled network for a target, for images of any size: verified and kept for the next time.

    It is converted anew with another version of qsr-edge, of the target's runtime or of the network, and when what is
    in the cache is damaged. Processes that want it at the same time wait for the one that converts it.

    Args:
        name: ``x2_w4a4`` or another that ``qsr-edge models`` lists.
        target: back end, with models that take images of any size.

    Raises:
        CheckpointError: if there is no such network, or it is a float one.
        BackendError: if the back end is missing or takes fixed sizes only.
        OSError: if the cache folder cannot be written.
    """
    bundle = cached_path(name, target)
    if _is_whole(bundle):
        return bundle
    bundle.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            with hold(bundle, _BusyError(f"{bundle}: another process converts it")):
                if not _is_whole(bundle):
                    _convert(name, target, bundle)
                return bundle
        except _BusyError:
            time.sleep(_POLL_S)


def _is_whole(bundle: Path) -> bool:
    try:
        read_bundle(bundle)
    except BundleError:
        return False
    return True


def _convert(name: str, target: str, bundle: Path) -> None:
    if bundle.exists():  # damaged; everything in this folder is ours
        shutil.rmtree(bundle)
    backend, checkpoint = find_backend(target), read_checkpoint(zoo_entry(name).path)
    metadata = model_metadata(checkpoint, backend, author=WEIGHTS_AUTHOR, licence=WEIGHTS_LICENCE)
    photo = read_picture(demo_photo()).rgb
    convert_checkpoint(checkpoint, backend, ConvertOptions(metadata=metadata), bundle, natural=photo)
