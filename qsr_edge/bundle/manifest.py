"""The manifest of a bundle: its records, its one form as JSON, and reading it back checked.

``manifest.schema.json`` beside this module is the published JSON Schema. Keys that it does not name are ignored, so
that an older release reads what a newer one of the same major version wrote.

The file has one form: two-space indents, keys in the records' order, UTF-8, and ``manifest_sha256`` alone on the second
line. That is the sha256 of the file without its second line: any language can check it without writing JSON, and it
covers every byte. It finds damage; it is no signature.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from qsr_edge.bundle.layout import Deployment, Pack, Storage
from qsr_edge.codec import Decoder, encode
from qsr_edge.errors import BundleError, PolicyError, one_line
from qsr_edge.graph.cost import TileGrid
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.selector.latency import LatencyTable
from qsr_edge.selector.policy import Policy

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = "1.4"
MANIFEST_LIMIT_BYTES = 1 << 20
MODEL_CARD_NAME = "MODEL_CARD.md"
BOM = b"\xef\xbb\xbf"
CHANGED_TEXT = (
    "its line ends were changed, or a byte-order mark added, as git's core.autocrlf and editors do; fetch the bundle "
    "anew as qsr-edge wrote it: write '* -text' into a .gitattributes beside it and check it out again"
)
REMEDY = "convert again with 'qsr-edge convert' to another output, or fetch the bundle anew"

_DECODER = Decoder(error=BundleError, ignores_unknown_keys=True)
_DIGEST_LINE = re.compile(rb'\{\n  "manifest_sha256": "([0-9a-f]{64})",\n')
# No leading dot, so neither "." nor ".." nor a hidden file; no slash in front; no backslash or control character.
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEntry:
    """Quality of one depth on one data set, on luma, borders cropped.

    Attributes:
        dataset: name of the data set.
        psnr_db: mean PSNR.
        ssim: mean SSIM.
        images: number of images.
    """

    dataset: str
    psnr_db: float
    ssim: float
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthEntry:
    """One depth of the network.

    Attributes:
        depth: number of residual blocks.
        file: path of the model in the bundle: of a file, or of a folder that is one model.
        signature: entry point within the file, if it holds several depths.
        macs_per_pixel: multiply-accumulates per pixel of the input.
        bops_per_pixel: multiply-accumulates times weight bits times activation bits, per pixel of the input.
        peak_activation_bytes_per_pixel: most bytes of activations alive at once, per pixel of the input.
        halo_px: pixels of the input around a tile that its output depends on; 32,768 if only tiles on a grid have such
            a halo, so that readers of versions before 1.3 refuse other sizes than the model's own.
        grid: tiles of a network that sees where an image begins; None for tiles that begin anywhere.
        golden_sha256: sha256 of the output's bytes for the golden input.
        quality: as measured on the deployed graph.
    """

    depth: int
    file: str
    macs_per_pixel: int
    bops_per_pixel: int
    peak_activation_bytes_per_pixel: int
    halo_px: int
    golden_sha256: str
    signature: str | None = None
    grid: TileGrid | None = None
    quality: tuple[QualityEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenInput:
    """The image of :func:`qsr_edge.bundle.golden.golden_image` that ``golden_sha256`` belongs to; seed below 2^53."""

    seed: int
    height_px: int
    width_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityEntry:
    """What a comparison of a runtime with the golden interpreter found.

    Attributes:
        kernels: runtime and family of kernels.
        depth: number of residual blocks.
        images: number of images.
        bytes_compared: bytes of output that were compared.
        mismatching_bytes: how many of them differed.
        max_difference: largest difference in levels (1/255); left out where none may differ.
        mean_difference: mean of the differences' magnitudes, in levels.
        psnr_cost_db: PSNR on luma of a photo, reduced by the scale factor and upscaled again, under the golden
            interpreter minus that under the runtime.
    """

    kernels: str
    depth: int
    images: int
    bytes_compared: int
    mismatching_bytes: int
    max_difference: int | None = None
    mean_difference: float | None = None
    psnr_cost_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of the bundle: path relative to the manifest, with forward slashes; sha256 in lower case; size."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle holds.

    Attributes:
        schema_version: major and minor version of this format.
        name: what the bundle is called.
        target: back end that runs it.
        storage: layout of the weights.
        pack: how depths are spread over files.
        profile: arithmetic of the requantization.
        bits: bit width of body weights, and of body activations unless ``activation_bits`` says otherwise.
        activation_bits: bit width of body activations where it is another than that of weights; since 1.4.
        scale: upscaling factor.
        runtime: name and version of the SDK it was converted with.
        licence: of the weights, an SPDX expression.
        input_size_px: fixed (height, width) of the input; None for any size.
        more_sizes_px: further (height, width) that the models take beside ``input_size_px``; None for none.
        deployment: what the models are made for, where the target has several forms.
        integer_only: whether nothing in the model files is floating-point, as the back end saw to; bundles of versions
            before 1.2 do not say.
        selector: which depth runs when; bundles of version 1.0 have none.
        latency: of every depth, as measured or estimated.
        depths: ascending.
        golden: input of the self-test.
        parity: what the verification at conversion found.
        provenance: how the checkpoint was trained; JSON values.
        files: every file but the manifest, by path; empty until the bundle is written.
    """

    schema_version: str = SCHEMA_VERSION
    name: str
    target: str
    storage: Storage
    pack: Pack
    profile: Profile
    bits: int
    activation_bits: int | None = None
    scale: int
    runtime: str
    licence: str
    input_size_px: tuple[int, int] | None = None
    more_sizes_px: tuple[tuple[int, int], ...] | None = None
    deployment: Deployment | None = None
    integer_only: bool | None = None
    selector: Policy | None = None
    latency: LatencyTable | None = None
    depths: tuple[DepthEntry, ...]
    golden: GoldenInput
    parity: tuple[ParityEntry, ...] = ()
    provenance: dict[str, object]
    files: tuple[FileEntry, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself; ranges of single values are the schema's business.

        Raises:
            BundleError: naming what contradicts what.
        """
        depths = [entry.depth for entry in self.depths]
        if depths != sorted(set(depths)):
            raise BundleError(f"depths are {', '.join(map(str, depths))}, expected ascending and each once; {REMEDY}")
        models = [(entry.file, entry.signature) for entry in self.depths]
        if len(set(models)) != len(models):
            raise BundleError(f"two depths are in the same file under the same signature; {REMEDY}")
        if self.latency and list(self.latency.depths) != depths:
            raise BundleError(f"the latency table has the depths {self.latency.depths}, expected {depths}; {REMEDY}")
        if self.selector:
            try:
                self.selector.check_depths(depths)
            except PolicyError as error:
                raise BundleError(f"selector: {error}; {REMEDY}") from error
        golden_px = (self.golden.height_px, self.golden.width_px)
        if self.input_size_px not in (None, golden_px):
            raise BundleError(f"the golden input is {golden_px}, but models take {self.input_size_px} only; {REMEDY}")
        for model in self.depths:
            self._check_grid(model)
        for entry in self.parity:
            if entry.depth not in depths:
                raise BundleError(f"parity names depth {entry.depth}, which the bundle does not offer; {REMEDY}")
        if not self.files:
            return
        _check_paths([entry.path for entry in self.files])
        for model in self.depths:
            if not self.model_bytes(model.file):
                raise BundleError(f"depth {model.depth} is in {model.file!r}, which 'files' does not list; {REMEDY}")

    def _check_grid(self, model: DepthEntry) -> None:
        if model.grid is None:
            return
        step_px, halo_px = model.grid.step_px, model.grid.halo_px
        if 2 * halo_px % step_px:
            raise BundleError(
                f"depth {model.depth}: tiles on a grid of {step_px} px with a halo of {halo_px} px; expected a "
                f"multiple of half the grid; {REMEDY}"
            )
        if any(side % step_px for side in self.input_size_px or ()):
            raise BundleError(
                f"depth {model.depth}: tiles on a grid of {step_px} px, but models take {self.input_size_px}; expected "
                f"multiples; {REMEDY}"
            )

    @property
    def widths(self) -> str:
        """Bit widths of body weights and activations: ``W4A8``."""
        return f"W{self.bits}A{self.activation_bits or self.bits}"

    def model_bytes(self, model: str) -> int:
        """Size of a model: of the file with this path, or of all files in the folder; 0 if none is listed."""
        return sum(entry.bytes for entry in self.files if entry.path == model or entry.path.startswith(f"{model}/"))

    def run_bytes(self, depth: int) -> int:
        """Size of what running a depth needs: its model, and the weights that models share in a file apart.

        Raises:
            BundleError: if the bundle does not offer it.
        """
        models = {entry.file for entry in self.depths}
        apart = (
            entry.bytes
            for entry in self.files
            if entry.path != MODEL_CARD_NAME and entry.path not in models and entry.path.split("/")[0] not in models
        )
        return self.model_bytes(self.depth_entry(depth).file) + sum(apart)

    def depth_entry(self, depth: int) -> DepthEntry:
        """The entry of a depth.

        Raises:
            BundleError: if the bundle does not offer it.
        """
        for entry in self.depths:
            if entry.depth == depth:
                return entry
        offered = ", ".join(str(entry.depth) for entry in self.depths)
        raise BundleError(f"{self.name}: depth {depth} is not in this bundle; choose one of {offered}")


def _check_paths(paths: list[str]) -> None:
    # Compared without case: some file systems do not tell "A" from "a".
    seen: set[str] = set()
    for path in paths:
        if not _PATH.fullmatch(path):
            raise BundleError(
                f"path {path!r} is not allowed, expected a relative path that stays in the bundle, of letters, digits, "
                f"'_', '-', '.' and '/'; {REMEDY}"
            )
        if path.casefold() in seen or path.casefold() == MANIFEST_NAME:
            raise BundleError(f"path {path!r} is listed twice or is the manifest's own; {REMEDY}")
        seen.add(path.casefold())
    for path in seen:
        folders = path.split("/")[:-1]
        if any("/".join(folders[: i + 1]) in seen for i in range(len(folders))):
            raise BundleError(f"path {path!r} lies in another file, expected a folder; {REMEDY}")


def file_entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    """Entries of files by path: size and sha256 of their contents, in order of the paths."""
    return tuple(
        FileEntry(path=path, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for path, content in sorted(files.items())
    )


def schema() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of a manifest."""
    text = resources.files("qsr_edge.bundle").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table


def dump_manifest(manifest: Manifest) -> bytes:
    """The content of ``manifest.json``; equal manifests give equal bytes.

    Raises:
        BundleError: if a value is not JSON, or the reader would refuse the result.
    """
    try:
        provenance = json.loads(json.dumps(manifest.provenance, sort_keys=True, allow_nan=False))
        table = encode(replace(manifest, provenance=provenance))
        body = (json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"{manifest.name}: no JSON can hold the manifest ({error}); mend its provenance") from error
    line = f'  "manifest_sha256": "{hashlib.sha256(body).hexdigest()}",\n'.encode()
    content = b"{\n" + line + body.removeprefix(b"{\n")
    parse_manifest(content, f"{manifest.name}: the manifest to be written")
    return content


def _load_json(content: bytes, source: str) -> dict[str, object]:
    if content.startswith(BOM) or content.startswith(b"{\r\n"):
        raise BundleError(f"{source}: {CHANGED_TEXT}")
    try:
        table = _DECODER.parse_json(content, source, limit_bytes=MANIFEST_LIMIT_BYTES)
    except BundleError as error:
        raise BundleError(f"{error}; {REMEDY}") from error
    if not isinstance(table, dict):
        raise BundleError(f"{source}: a JSON {type(table).__name__}, expected an object; {REMEDY}")
    return table


def _check_version(table: dict[str, object], source: str) -> None:
    version = table.get("schema_version")
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,6}\.[0-9]{1,6}", version):
        raise BundleError(
            f"{source}: schema_version is {one_line(repr(version))}, expected one like {SCHEMA_VERSION!r}; {REMEDY}"
        )
    major = SCHEMA_VERSION.partition(".")[0]
    if version.partition(".")[0] != major:
        raise BundleError(f"{source}: schema_version {version}, this release reads {major}.x; update qsr-edge")


def _check_digest(content: bytes, source: str) -> None:
    found = _DIGEST_LINE.match(content)
    if not found:
        raise BundleError(f"{source}: the second line is not its manifest_sha256: edited or damaged; {REMEDY}")
    actual = hashlib.sha256(b"{\n" + content[found.end() :]).hexdigest()
    expected = found[1].decode()
    if actual != expected:
        raise BundleError(f"{source}: sha256 is {actual}, expected {expected}: edited or damaged; {REMEDY}")


def parse_manifest(content: bytes, source: str) -> Manifest:
    """Read a manifest and check all that can be checked without the files it lists.

    Args:
        content: the file.
        source: its name, for messages.

    Raises:
        BundleError: if it is too large, not JSON, of an unknown version, damaged, against the schema or itself.
    """
    table = _load_json(content, source)
    _check_version(table, source)
    _check_digest(content, source)
    # Slow to import, and wanted only where there is a bundle.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    instance: Any = table  # JSON, whose recursive type the validator spells otherwise
    error = best_match(Draft202012Validator(schema()).iter_errors(instance))
    if error is not None:
        raise BundleError(f"{source}: at {error.json_path}: {one_line(error.message)}; {REMEDY}")
    return _DECODER.decode(Manifest, table, source)
