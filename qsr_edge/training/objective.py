"""What one training step minimizes: all depths of one set of weights, the shallower ones taught by the deepest.

With L1 distances, ``s`` = ``shallow_weight``, ``d`` = ``distillation``, ``w`` = ``teacher_weight`` and
``p`` = ``plain_weight``:

    aim(y)  = (1 - w) * |y - HR| + w * |y - teacher| + p * plain(y)
    loss    = aim(deepest) + s * ((1 - d) * aim(shallower) + d * |shallower - deepest|)

where ``shallower`` is one shallower depth, drawn anew in each step, and no gradient flows into ``deepest`` from the
last term: the deepest depth teaches and is not taught back. ``plain`` is the largest distance in each patch whose
original has one colour, 0 in the others, averaged over the batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from qsr_edge.nn.quantized_conv import QuantizedConv
from qsr_edge.recipe.train import Precision, TrainRecipe


def draws_depth(recipe: TrainRecipe) -> bool:
    """Whether a step also trains a shallower depth."""
    return len(recipe.depths) > 1 and recipe.shallow_weight > 0


class Objective(nn.Module):
    """The loss as a module, so that a distributed engine can wrap it and see every parameter used once."""

    def __init__(self, network: nn.Module, recipe: TrainRecipe, teacher: Callable[[Tensor], Tensor] | None = None):
        """Make the loss of ``recipe`` for ``network``.

        Args:
            network: called as ``network(codes, depth)``.
            recipe: the settings.
            teacher: codes to image, as a float network; it stays as it is.
        """
        super().__init__()
        self.network = network
        self.recipe = recipe
        self._teacher = teacher
        bfloat16 = recipe.precision is Precision.BFLOAT16
        # A quantized network computes forward in integers, exactly; only its gradients may be rounded.
        self._autocast = bfloat16 and not recipe.bits
        self._teacher_autocast = bfloat16
        for module in network.modules():
            if isinstance(module, QuantizedConv):
                module.gradient_dtype = torch.bfloat16 if bfloat16 else torch.float32

    def forward(self, codes: Tensor, target: Tensor, depth: int | None) -> tuple[Tensor, Tensor]:
        """Loss of a batch.

        Args:
            codes: (N, 3, H, W) float32, levels of the low-resolution image minus 128.
            target: (N, 3, rH, rW) float32, levels of the high-resolution image minus 128.
            depth: a shallower depth to train too; None for the deepest alone.

        Returns:
            The loss and, detached, the deepest depth's mean absolute error; scalars, in units of 255 levels.
        """
        recipe, device = self.recipe, codes.device.type
        reference = None
        if self._teacher is not None:
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=self._teacher_autocast):
                reference = self._teacher(codes)

        def aim(image: Tensor) -> Tensor:
            distances = (image - target).abs()
            distance: Tensor = distances.mean()
            if reference is not None:
                taught = (image - reference).abs().mean()
                distance = distance * (1 - recipe.teacher_weight) + taught * recipe.teacher_weight
            if recipe.plain_weight:
                plain = (target == target[:, :, :1, :1]).all(dim=(1, 2, 3))
                distance = distance + recipe.plain_weight * (distances.amax(dim=(1, 2, 3)) * plain).mean()
            return distance

        with torch.autocast(device, torch.bfloat16, enabled=self._autocast):
            deepest = self.network(codes, recipe.depths[-1])
            loss = aim(deepest)
            error = (deepest.detach() - target).abs().mean()
            if depth is not None:
                shallower = self.network(codes, depth)
                taught = (shallower - deepest.detach()).abs().mean()
                mixed = (1 - recipe.distillation) * aim(shallower) + recipe.distillation * taught
                loss = loss + recipe.shallow_weight * mixed
        return loss / 255, error / 255
