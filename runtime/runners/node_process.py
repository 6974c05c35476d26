"""A program in Node that answers requests, one after the other, over its standard input and output.

A message is the length of its head (4 bytes, little-endian), the head as JSON, and as many bytes as the head's `bytes`
says. What the requests mean is in `runtime/javascript/runner/main.js`.
"""

import json
import os
import shutil
import signal
import struct
import subprocess
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..artifact.errors import first_line
from ..artifact.free_memory import free_bytes
from ..artifact.unfinished import scratch_folder

__all__ = ["NodeError", "NodeProcess", "end_all"]

_LARGEST_HEAD = 2**26
"""Of the bytes of a head: it lists names, no tensors."""
_SECONDS_TO_END = 5
_LOG = "stderr.txt"
_LOG_TAIL = 4096
"""How many bytes of its last words are read."""
_FATAL = ("FATAL ERROR", "Error:", "error:")
_RUNNING: "weakref.WeakSet[subprocess.Popen[bytes]]" = weakref.WeakSet()


class NodeError(Exception):
    """The program answered with an error, or ended."""


class NodeProcess:
    """A running program, which ends with this object, or with the process that started it."""

    def __init__(self, program: Path) -> None:
        """Start Node.

        Raises:
            NodeError: it can't be started.
        """
        node = shutil.which("node")
        if node is None:
            raise NodeError("there is no `node` on the path")
        with ExitStack() as stack:
            # A browser that it starts keeps its profile there.
            self._folder = stack.enter_context(scratch_folder())
            try:
                self._process = stack.enter_context(_running([node, str(program)], self._folder))
            except OSError as error:
                raise NodeError(f"{node} can't be started: {error.strerror or error}") from error
            self._end = weakref.finalize(self, stack.pop_all().close)

    def ask(self, head: Mapping[str, Any], content: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Send a request, and return the answer: its head, and its bytes.

        Raises:
            NodeError: the answer is an error, or the program ended before it answered.
        """
        try:
            self._send(head, content)
            answer, payload = self._receive()
        except (OSError, EOFError) as error:
            raise NodeError(self._how_it_ended()) from error
        except BaseException:  # interrupted: what it would answer is no longer expected
            self._process.kill()
            raise
        if "error" in answer:
            raise NodeError(str(answer["error"]))
        return answer, payload

    def close(self) -> None:
        """End the program, and remove what it left."""
        self._end()

    def _send(self, head: Mapping[str, Any], content: bytes) -> None:
        pipe = self._process.stdin
        assert pipe
        text = json.dumps({**head, "bytes": len(content)}).encode()
        for part in (struct.pack("<I", len(text)), text, content):
            pipe.write(part)
        pipe.flush()

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        (length,) = struct.unpack("<I", self._read(4))
        if length > _LARGEST_HEAD:
            raise NodeError(f"it answered with a head of {length:,} bytes")
        head: dict[str, Any] = json.loads(self._read(length))
        size, free = int(head["bytes"]), free_bytes()
        if free is not None and size > free:
            self._process.kill()
            raise NodeError(f"its answer has {size / 1e6:,.0f} MB; {free / 1e6:,.0f} MB of memory are free")
        return head, self._read(size)

    def _read(self, size: int) -> bytes:
        pipe = self._process.stdout
        assert pipe
        content = pipe.read(size)
        if len(content) < size:
            raise EOFError
        return content

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        code = self._process.returncode
        how = f"with exit code {code}" if code is None or code >= 0 else f"by {signal.Signals(-code).name}"
        said = self._last_words()
        return f"Node was ended {how}{f': {said}' if said else ''}"

    def _last_words(self) -> str:
        """Return the line of its standard error that tells the most."""
        with (self._folder / _LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if any(word in line for word in _FATAL)]
        return first_line(Exception((telling or lines or [""])[-1])) if lines else ""


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a program that was started; on leaving, it is asked to end, and then made to."""
    with (folder / _LOG).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder)),
            start_new_session=os.name == "posix",  # Ctrl-C is for this process, which ends the other
        )
    _RUNNING.add(process)
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError, AttributeError):
                pipe.close()  # type: ignore[union-attr]
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_all() -> None:
    """End every program at once, as this process does."""
    for process in tuple(_RUNNING):
        with suppress(OSError):
            process.kill()
