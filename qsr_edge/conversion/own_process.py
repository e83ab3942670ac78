"""Whether this process is the command line's own, which may leave out of an SDK what a library must leave whole."""

_claimed = False


def claim() -> None:
    """The command line was started as a program: nobody else's code is to run in this process."""
    global _claimed
    _claimed = True


def is_claimed() -> bool:
    """Whether it was."""
    return _claimed
