"""The recipe of a comparison: many training runs that differ in one thing each."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from qsr_edge.errors import RecipeError
from qsr_edge.nn.config import ArchitectureName
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.recipe.train import Precision, TrainRecipe


class Method(StrEnum):
    """What can be compared.

    The first six quantize the body alone and compute in floats, so that they differ in the quantizer and in nothing
    else. The others are the integer network that is deployed, head, tail and residual stream quantized too.
    """

    MIN_MAX = "minmax"
    LEARNED_CLIP = "pact"
    LSQ = "lsq"
    RLQ_WITHOUT_PHI = "rlq_no_phi"
    RLQ_WITHOUT_SHIFT = "rlq_no_shift"
    RLQ = "rlq"
    INTEGER_SCALED = "integer_scaled"
    INTEGER_PORTABLE = "integer_portable"
    NO_DISTILLATION = "integer_no_distillation"
    DEPTH_BIASES = "integer_depth_biases"

    @property
    def is_integer(self) -> bool:
        """Whether the whole network is quantized, as deployed."""
        return self.value.startswith("integer_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training of a comparison; ``recipe`` holds every setting, its bits and seed included."""

    method: Method
    recipe: TrainRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRecipe:
    """Settings that all runs of a comparison share, and what they differ in.

    Attributes:
        name: name of the comparison.
        start: float checkpoint that every run starts from: name of a bundled one.
        methods: what is compared.
        reference: the method that the others are held against, seed by seed.
        bits: bit widths of body weights and activations.
        seeds: each decides the patches and the depths drawn, equally for every method.
        scale: upscaling factor.
        iterations: optimizer steps of each run.
        batch: patches per step.
        patch_px: side of a low-resolution patch.
        learning_rate: Adam's first learning rate; falls to 1 % of it by a cosine.
        precision: type of the factors in the products of the backward pass.
        channels: width of the residual stream.
        blocks: residual blocks.
        depths: block counts that are trained.
        architecture: what kind of network.
        groups: see :class:`~qsr_edge.recipe.train.TrainRecipe`.
        heads: likewise.
    """

    preset_folder: ClassVar[str] = "comparisons"

    name: str
    start: str
    methods: tuple[Method, ...]
    reference: Method
    bits: tuple[int, ...]
    seeds: tuple[int, ...]
    scale: int
    iterations: int
    batch: int
    patch_px: int
    learning_rate: float
    precision: Precision = Precision.FLOAT32
    channels: int = 32
    blocks: int = 8
    depths: tuple[int, ...] = (8,)
    architecture: ArchitectureName = ArchitectureName.QUANTSR_C_EDGE
    groups: int = 4
    heads: int = 6

    def __post_init__(self) -> None:
        """Refuse comparisons that cannot be run.

        Raises:
            RecipeError: naming the key and the value.
        """
        for key in ("methods", "bits", "seeds"):
            values = getattr(self, key)
            if not values or len(set(values)) != len(values):
                raise RecipeError(f"{key} = {list(map(str, values))} must not be empty, nor name one thing twice")
        if self.reference not in self.methods:
            raise RecipeError(f"reference = {self.reference.value!r} is not among the methods")
        if 0 in self.bits:
            raise RecipeError("bits = 0 is a float network; there is nothing to compare")
        if Method.NO_DISTILLATION in self.methods and len(self.depths) < 2:
            raise RecipeError(f"{Method.NO_DISTILLATION.value} needs several depths, depths = {list(self.depths)}")
        for _ in self.runs():
            pass  # making a run checks its settings

    def runs(self) -> Iterator[Run]:
        """Every run, seed by seed, so that an unfinished comparison has whole seeds."""
        for seed in self.seeds:
            for bits in self.bits:
                for method in self.methods:
                    yield Run(method=method, recipe=self._recipe(method, bits, seed))

    def _recipe(self, method: Method, bits: int, seed: int) -> TrainRecipe:
        scaled = method is Method.INTEGER_SCALED or not method.is_integer
        return TrainRecipe(
            name=f"{self.name}_{method.value}_w{bits}a{bits}_seed{seed}",
            scale=self.scale,
            bits=bits,
            profile=Profile.SCALED if scaled else Profile.PORTABLE,
            iterations=self.iterations,
            channels=self.channels,
            blocks=self.blocks,
            architecture=self.architecture,
            groups=self.groups,
            heads=self.heads,
            depths=self.depths,
            batch=self.batch,
            patch_px=self.patch_px,
            learning_rate=self.learning_rate,
            precision=self.precision,
            distillation=0.0 if method is Method.NO_DISTILLATION else 0.5,
            depth_biases=method is Method.DEPTH_BIASES,
            seed=seed,
        )
