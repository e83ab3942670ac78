"""Every error that qsr-edge raises on purpose.

Library code raises these; only the command line turns them into exit codes. A message is one line: the file or node,
what was got, what was expected, and what to do about it.
"""


def one_line(text: object, limit: int | None = 200) -> str:
    """Text from outside, or an error, for a message: one line without control characters, cut after ``limit``."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text))
    words = " ".join(plain.split())
    return words if limit is None or len(words) <= limit else f"{words[:limit]}..."


class QsrError(Exception):
    """Base of all errors that a user can cause and mend."""


class QsrWarning(UserWarning):
    """Something that may go wrong, told on one line; the work goes on."""


class ImageError(QsrError):
    """An image file or array cannot be read, written or used."""


class CheckpointError(QsrError):
    """A checkpoint is damaged, foreign, or holds values that no network can have."""


class ArchitectureError(QsrError):
    """An architecture is registered twice."""


class RecipeError(QsrError):
    """A recipe or an option has an unknown key, a wrong type or a value out of range."""


class GraphError(QsrError):
    """An integer graph is malformed, or could not be computed exactly."""


class LoweringError(QsrError):
    """A trained network cannot be lowered to an integer graph."""


class BackendError(QsrError):
    """A back end is missing, or cannot express or run a graph."""


class BenchError(QsrError):
    """A measurement cannot start, go on, or be read."""


class PolicyError(QsrError):
    """A selector's policy, table, state or sample holds what it cannot."""


class ParityError(QsrError):
    """A runtime computed other bytes than the golden interpreter."""


class BundleError(QsrError):
    """A bundle is incomplete, damaged, tampered with, or of an unknown version."""


class TrainingError(QsrError):
    """Training cannot start or go on."""


class DatasetError(QsrError):
    """A folder of images cannot serve as a data set."""


class OutputExistsError(QsrError):
    """The output exists already and overwriting was not asked for."""


class WebError(QsrError):
    """A site for browsers cannot be made or served."""
