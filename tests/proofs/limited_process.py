"""Runs a command in a process forked from this one, which has imported everything, under limits of time and memory."""

import faulthandler
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

__all__ = ["Ended", "Kill", "Limits", "run_limited"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Limits:
    """What a command may take; the memory is beyond what this process has itself."""

    cpu_s: int = 60
    wall_s: float = 240
    """Much more than it computes: others may have the cores."""
    memory_bytes: int = 3 * 2**30
    """Of addresses, of which libraries reserve more than they use."""
    file_bytes: int = 2**29


class Kill(NamedTuple):
    """A signal after some time."""

    after_s: float
    signal: int


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """The exit code; of a process that a signal ended, the signal's number, negative."""
    wall_s: float
    cpu_s: float
    peak_bytes: int
    """Of memory, with what it was forked with."""
    out: str
    err: str
    hangs: bool
    """Whether it was ended by a limit of time."""


def run_limited(
    command: Callable[[], object],
    folder: Path,
    *,
    logs: Path,
    environment: Mapping[str, str],
    limits: Limits,
    kill: Kill | None = None,
) -> Ended:
    """Run a command in a folder and wait for its end.

    Args:
        command: raises SystemExit or returns.
        folder: where it works.
        logs: another folder, for what it prints.
        environment: what is changed in the environment.
        limits: beyond which it is ended.
        kill: a signal that it gets.
    """
    streams = [logs / "out", logs / "err"]
    sys.stdout.flush()
    sys.stderr.flush()
    begun = time.monotonic()
    # Until the child is what is to be killed: a signal in between would be this process's own.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = os.fork()
    if child == 0:
        _become(command, folder, streams, environment, limits)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    if kill and not _ends_within(child, kill.after_s):
        os.kill(child, kill.signal)
    if timed_out := not _ends_within(child, limits.wall_s):
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    with suppress(ProcessLookupError):  # what it may have started itself
        os.killpg(child, signal.SIGKILL)
    out, err = (stream.read_text(encoding="utf-8", errors="surrogateescape") for stream in streams)
    code = os.waitstatus_to_exitcode(status)
    return Ended(
        code=code,
        wall_s=time.monotonic() - begun,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * 1024,
        out=out,
        err=err,
        hangs=timed_out or code == -signal.SIGXCPU,
    )


def _ends_within(child: int, seconds: float) -> bool:
    handle = os.pidfd_open(child)
    try:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))
    finally:
        os.close(handle)


def _become(
    command: Callable[[], object],
    folder: Path,
    streams: list[Path],
    environment: Mapping[str, str],
    limits: Limits,
) -> NoReturn:
    """Be the command until the end of this process."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, stream in enumerate(streams, 1):
            os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
        faulthandler.disable()
        for number in _SIGNALS:  # a shell may have let them be ignored
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        _limit(limits)
        code = _code_of(command)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


def _code_of(command: Callable[[], object]) -> int:
    try:
        command()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _limit(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))  # at the second one it would be killed
    for kind, most in (
        (resource.RLIMIT_AS, _address_bytes() + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _address_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
