"""The recipe of a training run."""

from dataclasses import dataclass

from qsr_edge.errors import CheckpointError, RecipeError
from qsr_edge.nn.config import EdgeConfig, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """Every setting that decides what comes out of a training run.

    Attributes:
        name: name of the run; files are called after it.
        scale: upscaling factor.
        bits: bit width of body weights and activations; 0 for a float network.
        profile: arithmetic of the requantization.
        channels: width of the residual stream.
        blocks: residual blocks of the deepest model.
        depths: block counts to train, ascending, the last one ``blocks``.
        iterations: optimizer steps.
        batch: patches per step.
        patch_px: side of a low-resolution patch.
        learning_rate: Adam's first learning rate; falls to 1 % of it by a cosine.
        shallow_weight: weight of the loss of the one shallower depth that is drawn in each step; the deepest has 1.
        gradient_clip: bound on the global norm of all gradients, step sizes and shifts included.
        ema_decay: decay of the exponential moving average of the weights, which is what gets saved.
        order_iteration: step after which the block order is decided by learned importance and frozen; 0 keeps the
        start's order.
        seed: decides weights, patches, depths.
        validation_images: training images held out to show progress; the test sets are never looked at.
    """

    name: str
    scale: int
    bits: int
    iterations: int
    profile: Profile = Profile.PORTABLE
    channels: int = 32
    blocks: int = 8
    depths: tuple[int, ...] = (2, 4, 8)
    batch: int = 8
    patch_px: int = 40
    learning_rate: float = 5e-4
    shallow_weight: float = 0.5
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
        positive = ("iterations", "batch", "patch_px", "learning_rate", "gradient_clip", "validation_images")
        for key in positive:
            if not getattr(self, key) > 0:
                raise RecipeError(f"{self.name}: {key} = {getattr(self, key)} must be greater than 0")
        if not 0 <= self.ema_decay < 1:
            raise RecipeError(f"{self.name}: ema_decay = {self.ema_decay} must be in [0, 1)")
        try:
            EdgeConfig(
                scale=self.scale,
                channels=self.channels,
                blocks=self.blocks,
                depths=self.depths,
                order=tuple(range(self.blocks)),
                bits=self.bits or None,
                profile=self.profile,
            )
        except CheckpointError as error:
            raise RecipeError(f"{self.name}: {error}") from error
        if self.order_iteration > self.iterations or (self.order_iteration and self.bits):
            raise RecipeError(
                f"{self.name}: order_iteration = {self.order_iteration} must lie within the iterations of a float run"
            )
        if not self.shallow_weight >= 0 or self.order_iteration < 0 or self.seed < 0:
            raise RecipeError(f"{self.name}: shallow_weight, order_iteration and seed must not be negative")
