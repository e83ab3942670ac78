"""Does Core ML compute what was verified off-device? Run on a Mac; elsewhere only the executor of saved packages runs.

    pip install 'qsr-edge[coreml]'
    python ios_harness/verify_on_mac.py

Converts every bundled network in both flavours, runs each depth under every family of kernels that this machine has,
compares with the golden interpreter, and says where Core ML would place the operations. The last line is PASS or FAIL.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from qsr_edge.assets import demo_photo
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, model_contents
from qsr_edge.conversion.convert import INEXACT_PSNR_COST_LIMIT_DB
from qsr_edge.conversion.parity import compare_with_golden, verification_images
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.images import read_picture
from qsr_edge.errors import QsrError
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.lowering.network import model_name
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.zoo import zoo_entries
from qsr_edge_converters.coreml.flavor import CoremlFlavor

SIZE_PX = (48, 64)
"""Fixed height and width: placement on the Neural Engine is best with one size."""


def placement(package: Path) -> str:
    """How many operations each device would take, by Core ML's own plan; macOS only."""
    import coremltools as ct

    compiled = ct.models.utils.compile_model(str(package))
    plan = ct.models.compute_plan.MLComputePlan.load_from_path(compiled)
    counts: Counter[str] = Counter()
    for operation in plan.model_structure.program.functions["main"].block.operations:
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is not None:
            counts[type(usage.preferred_compute_device).__name__] += 1
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing"


def main() -> int:
    """Verify, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", help="names as in `qsr-edge models`; all of them by default")
    wanted = parser.parse_args().networks
    entries = [entry for entry in zoo_entries() if entry.bits and (not wanted or entry.name in wanted)]
    backend = find_backend("coreml")
    families = backend.kernel_families()
    natural = read_picture(demo_photo()).rgb
    print(f"{backend.runtime_version()}; kernels: {', '.join(families)}")
    wrong = 0 if entries else 1
    for entry in entries:
        checkpoint = read_checkpoint(entry.path)
        network, name = lower_checkpoint(checkpoint), model_name(checkpoint.config)
        metadata = ModelMetadata(name=name, version="1", author="-", licence="-", description="-")
        images = verification_images(natural, SIZE_PX)
        for flavor in CoremlFlavor:
            options = ConvertOptions(metadata=metadata, flavor=flavor, input_size_px=SIZE_PX)
            try:
                models = backend.convert(network, options)
                results = compare_with_golden(backend, network, models, images, natural=natural, fixed_size_px=SIZE_PX)
            except QsrError as error:
                wrong += 1
                print(f"{entry.name} {flavor}: FAIL: {error}")
                continue
            for result in results:
                if flavor is CoremlFlavor.EXACT:
                    bad = result.mismatching_bytes > 0
                    found = f"{result.mismatching_bytes} of {result.bytes_compared} bytes differ"
                else:
                    cost = np.nan if result.psnr_cost_db is None else result.psnr_cost_db
                    bad = not cost <= INEXACT_PSNR_COST_LIMIT_DB
                    found = f"largest {result.max_difference} levels, {cost:.3f} dB lost"
                wrong += bad
                print(
                    f"{entry.name} {flavor} depth {result.depth} {result.kernels}: {'FAIL' if bad else 'ok'}, {found}"
                )
            if sys.platform == "darwin":
                with tempfile.TemporaryDirectory() as folder:
                    for path, content in model_contents(models).items():
                        (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                        (Path(folder) / path).write_bytes(content)
                    for model in models:
                        print(f"{model.name} {flavor}: {placement(Path(folder) / model.name)}")
    if "coreml" not in families:
        print("Core ML itself was not run: this is no Mac.")
    print("FAIL" if wrong else "PASS")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
