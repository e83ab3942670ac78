"""Reading a file on a phone that only grows, line by line, by what was read so far."""

import shlex

from qsr_edge.errors import BenchError


class GrowingFile:
    """What was read of a results file, and how the rest is asked for.

    Args:
        path: on the device.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.offset = 0
        self._rest = b""
        self._skips_line = False

    @property
    def command(self) -> str:
        """Prints the file's size, ``-`` if it is not there, on a line; then what follows the offset."""
        name = shlex.quote(self.path)
        return f"stat -c %s {name} 2>/dev/null || echo -; tail -c +{self.offset + 1} {name} 2>/dev/null"

    def take(self, answer: bytes) -> tuple[list[bytes], str | None]:
        """Whole lines of the command's answer, without their newlines, and a fault of one line or None.

        A file that is shorter than what was read of it has lost its end: what was read stays, and reading goes on from
        its new end. The line that was cut there is skipped with what was appended to it.

        Raises:
            BenchError: if the answer is none to the command.
        """
        first, newline, content = answer.partition(b"\n")
        if first == b"-" and newline:
            # Before the agent has made it; or for now, while a phone that rebooted is locked.
            return [], None
        if not first.isdigit():
            raise BenchError(f"{self.path}: its size is told as {first[:40]!r}")
        size = int(first)
        if size < self.offset:
            fault = f"{self.path} lost its end: {size} bytes, {self.offset} were read; what was read is kept"
            # From the last byte that is left: a newline, unless a line was cut.
            self.offset, self._rest, self._skips_line = max(0, size - 1), b"", size > 0
            return [], fault
        self.offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        if self._skips_line and lines:
            del lines[0]
            self._skips_line = False
        return lines, None
