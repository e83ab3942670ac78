"""The float network in 8 bits, by each peer's own quantizer from the same calibration pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from float_models import FoldedNetwork, exported_float, float_module, xnnpack_program
from numpy.typing import NDArray

Codes = NDArray[np.float32]
"""(1, 3, H, W) levels minus 128."""


def litert_int8(float_file: Path, pictures: Sequence[Codes], *, careful: bool) -> bytes:
    """By ai-edge-quantizer, weights by channel.

    Args:
        float_file: the float .tflite file.
        pictures: for calibration.
        careful: take the range that all pictures need. By default the tool takes a moving average, in which the first
            picture has most of the weight, and what exceeds it is clipped.
    """
    from ai_edge_quantizer import quantizer, recipe

    def calibrated(some: Sequence[Codes]) -> dict[str, Any]:
        fresh = quantizer.Quantizer(str(float_file), recipe.static_wi8_ai8())
        ranges = fresh.calibrate({"float": [{"image": codes.transpose(0, 2, 3, 1)} for codes in some]}, num_threads=1)
        return dict(ranges)

    if careful:
        each = [calibrated([codes]) for codes in pictures]
        ranges = {
            name: {
                "min": np.min([found[name]["min"] for found in each], axis=0),
                "max": np.max([found[name]["max"] for found in each], axis=0),
            }
            for name in each[0]
        }
    else:
        ranges = calibrated(pictures)
    made = quantizer.Quantizer(str(float_file), recipe.static_wi8_ai8())
    result = made.quantize(ranges, enable_progress_report=False)
    return bytes(result.quantized_model)


def executorch_int8(network: FoldedNetwork, pictures: Sequence[Codes]) -> bytes:
    """By torch's PT2E with XNNPACK's quantizer, weights by channel, symmetric."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(exported_float(float_module(network)).module(), quantizer)
    with torch.no_grad():
        for codes in pictures:
            prepared(torch.from_numpy(codes))
    return xnnpack_program(exported_float(convert_pt2e(prepared)))


def onnx_int8(float_file: Path, pictures: Sequence[Codes], target: Path) -> None:
    """By ONNX Runtime: unsigned activations, signed weights by channel (U8S8), ranges by minimum and maximum."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # has no type annotations
        def __init__(self) -> None:
            self._left = iter(pictures)

        def get_next(self) -> dict[str, Codes] | None:
            codes = next(self._left, None)
            return None if codes is None else {"image": codes}

    quantization.quantize_static(
        float_file,
        target,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


def openvino_int8(float_file: Path, pictures: Sequence[Codes], target: Path) -> None:
    """By NNCF's ``quantize`` with its defaults, saved as OpenVINO's .xml and .bin."""
    import nncf
    import openvino

    model = openvino.Core().read_model(float_file)
    openvino.save_model(nncf.quantize(model, nncf.Dataset(list(pictures))), target, compress_to_fp16=False)
