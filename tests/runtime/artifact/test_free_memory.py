"""What is free is what the machine, the container and the process leave, whichever is least."""

import os
from collections.abc import Callable, Mapping

import pytest

from runtime.artifact import free_memory
from runtime.artifact.free_memory import free_bytes

resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")

MACHINE = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 1000 kB\n", "/proc/self/statm": "50 20 0"}
CONTAINER = {
    "/sys/fs/cgroup/memory.max": "900000",
    "/sys/fs/cgroup/memory.current": "500000",
    "/sys/fs/cgroup/memory.stat": "anon 7\ninactive_file 3000\nactive_file 9\n",
}


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str], int], None]:
    """Let the system say what is in these files, and let the process have this limit of addresses."""

    def install(files: Mapping[str, str], limit: int = resource.RLIM_INFINITY) -> None:
        monkeypatch.setattr(free_memory, "_lines", lambda file: files.get(file, "").splitlines())
        monkeypatch.setattr("resource.getrlimit", lambda kind: (limit, limit))

    return install


def test_without_limits_it_is_the_machines(on: Callable[..., None]) -> None:
    on(MACHINE)
    assert free_bytes() == 1000 * 1024
    on({**MACHINE, **CONTAINER, "/sys/fs/cgroup/memory.max": "max"})
    assert free_bytes() == 1000 * 1024


def test_a_containers_limit_counts_without_what_it_gives_back(on: Callable[..., None]) -> None:
    on({**MACHINE, **CONTAINER})
    assert free_bytes() == 900000 - 500000 + 3000


def test_a_limit_of_the_process_counts(on: Callable[..., None]) -> None:
    used = 50 * resource.getpagesize()
    on({**MACHINE, **CONTAINER}, used + 1234)
    assert free_bytes() == 1234
    on(MACHINE, used - 1)
    assert free_bytes() == 0


def test_where_the_system_says_nothing_it_is_unknown(on: Callable[..., None]) -> None:
    on({})
    assert free_bytes() is None


@pytest.mark.skipif(os.name == "nt", reason="/proc is Linux's")
def test_this_machine_has_some() -> None:
    assert free_bytes() is None or free_bytes() > 0
