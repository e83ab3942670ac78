"""Reads a policy from the file of a user."""

from pathlib import Path

from qsr_edge.codec import Decoder
from qsr_edge.errors import PolicyError
from qsr_edge.selector.policy import Policy

POLICY_LIMIT_BYTES = 1 << 16


def read_policy(path: Path) -> Policy:
    """Read a policy from a JSON file.

    Raises:
        PolicyError: naming the file and the key.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(POLICY_LIMIT_BYTES + 1)
    decoder = Decoder(error=PolicyError)
    return decoder.decode(Policy, decoder.parse_json(content, str(path), limit_bytes=POLICY_LIMIT_BYTES), str(path))
