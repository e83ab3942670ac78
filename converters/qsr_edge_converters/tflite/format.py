"""Facts of the .tflite format and names that the writer and the readers share."""

from enum import IntEnum

IDENTIFIER = b"TFL3"
"""The identifier at bytes 4 to 7 of every file."""
SCHEMA_VERSION = 3
BUFFER_ALIGNMENT = 16
INPUT_NAME = "image"
OUTPUT_NAME = "upscaled"
METADATA_NAME = "qsr_edge"
"""Name of the metadata buffer with our JSON."""
MIN_RUNTIME_METADATA_NAME = "min_runtime_version"
"""Name by which TensorFlow's tools look up the oldest runtime that can run a file."""
MIN_RUNTIME_VERSION = "2.14.0"
"""The oldest runtime that the parity tests run."""


def signature_key(depth: int) -> str:
    """Name of the signature that runs a network at ``depth``."""
    return f"d{depth}"


class TensorType(IntEnum):
    """Element types of the schema."""

    FLOAT32 = 0
    FLOAT16 = 1
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    STRING = 5
    BOOL = 6
    INT16 = 7
    COMPLEX64 = 8
    INT8 = 9
    FLOAT64 = 10
    COMPLEX128 = 11
    UINT64 = 12
    RESOURCE = 13
    VARIANT = 14
    UINT32 = 15
    UINT16 = 16
    INT4 = 17
    BFLOAT16 = 18
    INT2 = 19
    UINT4 = 20


class Operator(IntEnum):
    """The schema's codes of the operators that qsr-edge writes."""

    ADD = 0
    CONV_2D = 3
    DEPTHWISE_CONV_2D = 4
    DEPTH_TO_SPACE = 5
    QUANTIZE = 114


class OptionsType(IntEnum):
    """The schema's codes of these operators' option tables."""

    CONV_2D = 1
    DEPTHWISE_CONV_2D = 2
    ADD = 11
    QUANTIZE = 89
    DEPTH_TO_SPACE = 94
