"""Facts of our ONNX files and names in them, shared by the writer and the readers."""

OPSET = 21
"""The version of the operators: the first with INT4, and one that the runtimes of phones take."""
IR_VERSION = 10
"""The version of the file format: the one that came with opset 21."""
PRODUCER = "qsr-edge"
INPUT_NAME = "image"
OUTPUT_NAME = "upscaled"
IMAGE_LAYOUT = "NCHW"
HEIGHT_NAME, WIDTH_NAME = "height", "width"
"""Names of the input's dimensions in a model for any size; a session can fix them."""
WEIGHTS_SUFFIX = ".weights"
"""How the file that the models of several depths share ends."""
