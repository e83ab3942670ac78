"""What a page needs of a part: the page itself, the job, models whose size it sets, pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import urlencode

from qsr_edge.bench.browser.claims import output_name
from qsr_edge.bench.device import PartPlan
from qsr_edge.bundle.manifest import GoldenInput
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.codec import encode
from qsr_edge.web.litert_js import litert_js_files
from qsr_edge.web.models import BrowserModel, browser_models

_SHARED = ("golden.mjs", "models.mjs", "network.mjs", "planner.mjs", "sha256.mjs", "upscale.mjs")
"""Modules of the site that the measuring page uses as they are."""


def page_files() -> dict[str, bytes]:
    """The page, by the paths below its address.

    Raises:
        WebError: if LiteRT.js is not in the cache folder and cannot be fetched.
    """
    own = resources.files("qsr_edge.bench.browser").joinpath("assets")
    shared = resources.files("qsr_edge.web").joinpath("assets")
    return {
        **{entry.name: entry.read_bytes() for entry in own.iterdir() if entry.is_file()},
        **{name: shared.joinpath(name).read_bytes() for name in _SHARED},
        **{f"litert/{path}": content for path, content in litert_js_files().items()},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBundle:
    """What a page needs of a bundle.

    Attributes:
        scale: upscaling factor.
        golden: the input of the golden outputs.
        models: one for each depth, by the address that the page asks for.
    """

    scale: int
    golden: GoldenInput
    models: Mapping[str, BrowserModel]

    def table(self) -> dict[str, object]:
        """For the page: JSON values."""
        models = [model.table(address) for address, model in self.models.items()]
        return {"scale": self.scale, "golden": encode(self.golden), "models": models}


class JobFiles:
    """The files of a part.

    Attributes:
        contents: of models and pictures, by the name that a page asks for.
        job: of docs/device-protocol.md; its paths are names, or those of ``bundles``.
        bundles: what the page needs of each bundle, by the path in the job.
        golden_sha256: that each bundle's manifest has, by variant label.
        output_bytes: size of each picture that the page may send, by its name.
    """

    def __init__(self, plan: PartPlan) -> None:
        """Read the bundles of a plan, and make their models fit for browsers.

        Raises:
            QsrError: if a bundle is damaged, or none for browsers.
        """
        self.contents: dict[str, bytes] = {}
        self.bundles: dict[str, PageBundle] = {}
        self.golden_sha256: dict[str, str] = {}
        self.output_bytes: dict[str, int] = {}
        paths = {bundle: f"/bundle-{i}" for i, bundle in enumerate(dict.fromkeys(v.bundle for v in plan.variants))}
        pictures = {image.name: f"/images/{i}.rgb" for i, image in enumerate(plan.images)}
        for image in plan.images:
            self.contents[pictures[image.name]] = Path(image.path).read_bytes()
        for folder, path in paths.items():
            self._add_bundle(plan, folder, path)
        self.job = plan.job(bundles=paths, images=pictures, results=f"/results-{plan.part}.jsonl", outputs="/outputs")

    def _add_bundle(self, plan: PartPlan, folder: str, path: str) -> None:
        with open_bundle(Path(folder)) as bundle:
            manifest, models = bundle.manifest, {}
            for model in browser_models(bundle):
                name = f"{path}/{model.name}"
                self.contents[name] = model.resizable.content
                models[f"file?{urlencode({'name': name})}"] = model
            self.bundles[path] = PageBundle(scale=manifest.scale, golden=manifest.golden, models=models)
            for variant in (each for each in plan.variants if each.bundle == folder):
                self.golden_sha256[variant.label] = manifest.depth_entry(variant.depth).golden_sha256
                for image in plan.images:
                    pixels = image.height_px * image.width_px * manifest.scale**2
                    self.output_bytes[output_name(plan, variant.label, image.name) or ""] = 3 * pixels
