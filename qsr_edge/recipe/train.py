"""The recipe of a training run."""

import math
import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar

from qsr_edge.data.degradation import Degradation
from qsr_edge.errors import CheckpointError, RecipeError
from qsr_edge.nn.config import MAX_BLOCKS, ArchitectureName, NetworkConfig
from qsr_edge.nn.registry import ARCHITECTURES
from qsr_edge.quant.arithmetic import Profile

_SHAPE_KEYS = frozenset(
    {"channels", "blocks", "depths", "depth_biases", "activation_bits", "groups", "heads", "window_px"}
)
"""Keys that are fields of the network's configuration, in some architectures at least."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Precision(StrEnum):
    """Type of the factors in the products that training spends its time on; sums are float32 in either."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """Every setting that decides what comes out of a training run.

    Attributes:
        name: name of the run; files are called after it.
        architecture: what kind of network; keys that only others have must be left out.
        start: name of the recipe whose result this run starts from; empty for random weights.
        scale: upscaling factor.
        bits: bit width of body weights, and of body activations unless the next key says otherwise; 0 for a float
            network.
        activation_bits: 8: blocks read the residual stream's own 8-bit codes; 0: as many bits as weights.
        profile: arithmetic of the requantization.
        channels: width of the residual stream.
        blocks: residual blocks of the deepest model.
        depths: block counts to train, ascending, the last one ``blocks``.
        iterations: optimizer steps.
        batch: patches per step.
        patch_px: side of a low-resolution patch.
        permute_colours: whether each patch's colour channels are put in a random order (48 views of a patch, not 8).
        plain_colours: whether pictures of one colour are trained on too, so that borders of plain areas stay plain.
        plain_weight: weight of the worst pixel of each patch of one colour: corners are too few to count on average.
        degradation: what the inputs have been through besides reduction; held-out images are reduced only.
        learning_rate: Adam's first learning rate; falls to 1 % of it by a cosine.
        shallow_weight: weight of the loss of the one shallower depth that is drawn in each step; the deepest has 1.
        distillation: share of the shallower depth's loss that asks for the deepest depth's image, not the original.
        teacher_weight: share of every loss against the original that asks for a float teacher's image instead.
        depth_biases: whether each depth adds its own bias to the tail's.
        groups: residual Swin transformer blocks, each with ``blocks / groups`` layers (quantsr_t).
        heads: attention heads of a layer (quantsr_t).
        window_px: side of an attention window (quantsr_t).
        precision: type of the products of a float network, and of a quantized one's gradients.
        gradient_clip: bound on the global norm of all gradients, step sizes and shifts included.
        ema_decay: decay of the exponential moving average of the weights, which is what gets saved.
        order_iteration: step after which the block order is decided by learned importance and frozen; 0 keeps the
        start's order.
        seed: decides weights, patches, depths.
        validation_images: training images held out to show progress; the test sets are never looked at.
    """

    preset_folder: ClassVar[str] = "presets"

    name: str
    scale: int
    bits: int
    activation_bits: int = 0
    iterations: int
    architecture: ArchitectureName = ArchitectureName.QUANTSR_C_EDGE
    start: str = ""
    profile: Profile = Profile.PORTABLE
    channels: int = 32
    blocks: int = 8
    depths: tuple[int, ...] = (2, 4, 8)
    batch: int = 8
    patch_px: int = 40
    permute_colours: bool = False
    plain_colours: bool = False
    plain_weight: float = 0.0
    degradation: Degradation = Degradation.NONE
    learning_rate: float = 5e-4
    shallow_weight: float = 0.5
    distillation: float = 0.5
    teacher_weight: float = 0.0
    depth_biases: bool = False
    groups: int = 4
    heads: int = 6
    window_px: int = 8
    precision: Precision = Precision.FLOAT32
    gradient_clip: float = 0.5
    ema_decay: float = 0.999
    order_iteration: int = 0
    seed: int = 0
    validation_images: int = 8

    def __post_init__(self) -> None:
        """Refuse values that no run can have.

        Raises:
            RecipeError: naming the key and the value.
        """
        if not _NAME.fullmatch(self.name):
            raise RecipeError(f"name = {self.name!r} must consist of letters, digits, '_', '-' and '.'")
        positive = ("iterations", "batch", "patch_px", "learning_rate", "gradient_clip", "validation_images")
        for key in positive:
            if not (getattr(self, key) > 0 and math.isfinite(getattr(self, key))):
                raise RecipeError(f"{key} = {getattr(self, key)} must be greater than 0, and finite")
        for key in ("distillation", "teacher_weight", "ema_decay"):
            if not 0 <= getattr(self, key) <= 1:
                raise RecipeError(f"{key} = {getattr(self, key)} must be in [0, 1]")
        if self.ema_decay == 1:
            raise RecipeError("ema_decay = 1 would keep the start for ever; it must be less than 1")
        for key in ("shallow_weight", "plain_weight"):
            if not (math.isfinite(getattr(self, key)) and getattr(self, key) >= 0):
                raise RecipeError(f"{key} = {getattr(self, key)} must not be negative, and finite")
        if self.seed < 0:
            raise RecipeError(f"seed = {self.seed} must not be negative")
        if self.order_iteration < 0 or self.order_iteration > self.iterations or (self.order_iteration and self.bits):
            raise RecipeError(
                f"order_iteration = {self.order_iteration} must lie within the iterations of a float run (bits = 0)"
            )
        try:
            self.config()
        except CheckpointError as error:
            raise RecipeError(str(error)) from error

    def config(self, order: tuple[int, ...] | None = None) -> NetworkConfig:
        """The network's configuration, with a block order of its own or the blocks' own sequence.

        Raises:
            CheckpointError: naming the value that no network can have.
        """
        kind = ARCHITECTURES.find(self.architecture).config_type
        wanted = {field.name for field in fields(kind)}
        for field in fields(self):
            if field.name in _SHAPE_KEYS - wanted and getattr(self, field.name) != field.default:
                raise CheckpointError(f"{field.name} is not a setting of the architecture {self.architecture.value}")
        settings = {name: getattr(self, name) for name in _SHAPE_KEYS & wanted}
        if "activation_bits" in settings:
            settings["activation_bits"] = self.activation_bits or None
        return kind(
            **settings,
            scale=self.scale,
            # Not of as many blocks as the recipe asks for before it is known that there can be so many.
            order=tuple(range(min(self.blocks, MAX_BLOCKS))) if order is None else order,
            bits=self.bits or None,
            profile=self.profile,
        )
