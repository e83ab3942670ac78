"""Which checkpoint is converted: a file, ours or an official one, or one of those that are bundled."""

from pathlib import Path

from qsr_edge.errors import CheckpointError, RecipeError
from qsr_edge.lowering.official_quantsr_c import import_official, is_official
from qsr_edge.nn.checkpoint import Checkpoint, read_checkpoint
from qsr_edge.nn.config import EdgeConfig, NetworkSize
from qsr_edge.nn.variant import Variant, variant_of
from qsr_edge.zoo import find_checkpoint


def load_checkpoint(
    path: Path | None,
    *,
    scale: int | None,
    bits: int | None,
    activation_bits: int | None = None,
    size: NetworkSize | None = None,
    variant: Variant | None = None,
    block_order: tuple[int, ...] | None = None,
) -> Checkpoint:
    """The checkpoint at ``path``, held against what was asked for; or a bundled one.

    The bundled one is x2, W4A4, ``edge`` and clean by default.

    An official QuantSR-C file is imported; ``bits`` and ``block_order`` tell what it does not.

    Raises:
        CheckpointError: if it is damaged, not there, or of another scale factor, bit width, size or variant.
    """
    if path is None:
        path = find_checkpoint(
            scale=2 if scale is None else scale,
            bits=4 if bits is None else bits,
            activation_bits=activation_bits,
            size=size or NetworkSize.EDGE,
            variant=variant,
        )
        return read_checkpoint(path)
    if is_official(path):
        checkpoint = import_official(path, bits=bits, block_order=block_order).checkpoint
    elif block_order is not None:
        raise RecipeError(f"{path}: --block-order is for official files; this one has an order of its own")
    else:
        checkpoint = read_checkpoint(path)
    config = checkpoint.config
    for name, asked, has in (
        ("bits", bits, config.bits or "float weights"),
        ("activation-bits", activation_bits, config.body_activation_bits or "float activations"),
        ("scale", scale, config.scale),
        ("variant", variant, variant_of(checkpoint.provenance)),
        ("size", size, (config.size if isinstance(config, EdgeConfig) else None) or "a size of its own"),
    ):
        if asked is not None and asked != has:
            raise CheckpointError(f"{path}: --{name} {asked} was asked for, but the checkpoint has {has}")
    return checkpoint
