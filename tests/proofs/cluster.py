"""`make cluster`: scans on a Ray cluster of three nodes, from buckets, whose workers, nodes and driver are killed.

    python -m proofs.cluster artifacts/cluster.md
    python -m proofs.cluster artifacts/cluster.md --images 128

Three nodes on this machine: a head without CPUs, as where the command is typed, and two of one CPU each. The servers of
the buckets, of S3 (moto) and Google Cloud Storage (gcp-storage-emulator), are on loopback. Each scan must give the same
Parquet, to the last bit, as one without Ray from a folder.
"""

import argparse
import json
import logging
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from proofs.cluster_page import write_page

Row = dict[str, Any]
MODEL = "torchvision:resnet18"
_SHARD = 16
_BUCKET = "photos"
_KEY = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
_ACTOR = b"ray::MapWorker"
"""How Ray calls a worker's process."""


def make_photos(folder: Path, count: int) -> None:
    """Write photos of the size of ImageNet's, of smooth noise, one of which is broken."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 256, (25, 33, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{number:05}.jpg")
    (folder / f"{count // 3:05}.jpg").write_bytes(b"broken")


@contextmanager
def s3_server() -> Iterator[str]:
    """Yield the address of an S3 server on loopback."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"{host}:{port}"
    finally:
        server.stop()


def upload(folder: Path, server: str) -> str:
    """Put a folder's files into a bucket, and return its address for pyarrow."""
    from pyarrow.fs import S3FileSystem

    store = S3FileSystem(
        access_key="testing", secret_key="testing", endpoint_override=server, scheme="http", allow_bucket_creation=True
    )
    store.create_dir(_BUCKET)
    for file in sorted(folder.iterdir()):
        with store.open_output_stream(f"{_BUCKET}/{folder.name}/{file.name}") as stream:
            stream.write(file.read_bytes())
    return f"s3://{_BUCKET}/{folder.name}?endpoint_override={server}&scheme=http"


@contextmanager
def google_server(folder: Path) -> Iterator[str]:
    """Yield the address for pyarrow of a folder's files in a bucket of a Google Cloud Storage server on loopback."""
    from gcp_storage_emulator.server import create_server
    from pyarrow.fs import GcsFileSystem

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=_BUCKET)
    server.start()
    try:
        address = f"127.0.0.1:{port}"
        store = GcsFileSystem(anonymous=True, scheme="http", endpoint_override=address)
        for file in sorted(folder.iterdir()):
            with store.open_output_stream(f"{_BUCKET}/{folder.name}/{file.name}") as stream:
                stream.write(file.read_bytes())
        yield f"gs://anonymous@{_BUCKET}/{folder.name}?scheme=http&endpoint_override={address}"
    finally:
        server.stop()


@contextmanager
def three_nodes() -> Iterator[Any]:
    """Yield a cluster: a head, and two nodes of one CPU."""
    from ray.cluster_utils import Cluster

    small = {"include_dashboard": False, "object_store_memory": 2**28}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=2**28)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


class Scans:
    """Runs the command, and compares what it writes with the first scan."""

    def __init__(self, folder: Path, images: int) -> None:
        self.folder, self.images, self.rows = folder, images, list[Row]()

    def start(self, name: str, source: str | Path, *options: str) -> "subprocess.Popen[str]":
        """Start a scan into a folder of its name."""
        command = [sys.executable, "-W", "ignore", "-m", "runtime", "scan", self.folder / "artifact", source]
        options = ("-o", str(self.folder / name), "--shard", str(_SHARD), "--threads", "1", *options)
        return subprocess.Popen([*map(str, command), *options], text=True, stdout=-1, stderr=-1)

    def run(
        self, name: str, what: str, source: str | Path, *options: str, harm: Callable[[Path], str] | None = None
    ) -> Row:
        """Run a scan to its end; `harm` does something to it in the middle, and says what."""
        began, cpu = time.perf_counter(), _cpu_seconds()
        process = self.start(name, source, *options)
        done = harm(self.folder / name) if harm else ""
        out, err = process.communicate()
        if process.returncode < 0:  # it was the command itself that was killed
            process = self.start(name, source, *options)
            out, err = process.communicate()
        seconds = time.perf_counter() - began
        found, expected = self._content(name), self._content("folder")
        differing = [file for file in {**expected, **found} if found.get(file) != expected.get(file)]
        self.rows.append(
            {
                "what": what,
                "harm": done,
                "seconds": round(seconds, 1),
                "rate": round(self.images / seconds, 1),
                "cpu_seconds": round(_cpu_seconds() - cpu, 1),
                "code": process.returncode,
                "differing": sorted(differing),
                "said": [] if process.returncode == 3 else [line for line in err.splitlines() if line][-3:],
            }
        )
        print(json.dumps(self.rows[-1]), flush=True)
        if process.returncode != 3:  # of the broken image
            print(out, err, flush=True)
        return self.rows[-1]

    def _content(self, name: str) -> dict[str, bytes]:
        folder = self.folder / name
        return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.parquet"))}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wait_for_shards(target: Path, count: int) -> None:
    """Wait until some shards are written; a proof that takes minutes may look at the clock."""
    while len(list((target / "images").glob("*.parquet"))) < count:
        time.sleep(0.05)


def kill_worker(target: Path) -> str:
    """Kill a worker's process while it computes."""
    wait_for_shards(target, 2)
    workers = [
        int(each.name)
        for each in Path("/proc").iterdir()
        if each.name.isdigit() and _command_of(each).startswith(_ACTOR) and _is_ours(int(each.name))
    ]
    os.kill(workers[0], signal.SIGKILL)
    return f"one of {len(workers)} workers killed (SIGKILL)"


def _command_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _is_ours(process: int) -> bool:
    """Return whether a process descends from this one."""
    while process > 1 and process != os.getpid():
        found = re.search(r"^PPid:\s*(\d+)", Path(f"/proc/{process}/status").read_text(encoding="utf-8"), re.MULTILINE)
        process = int(found[1]) if found else 0
    return process == os.getpid()


def run(page: Path, images: int, folder: Path) -> int:
    """Run all scans, write the page, and return the exit code."""
    os.environ.update(_KEY)
    photos, scans = folder / "photos", Scans(folder, images)
    make_photos(photos, images)
    export = [sys.executable, "-W", "ignore", "-m", "runtime", "export", MODEL, "-o", str(folder / "artifact")]
    subprocess.run(export, check=True, stdout=-1)
    plain = scans.run("folder", "a folder, one process of one thread", photos)
    facts = {"images": images, "shard": _SHARD, "bytes": bytes_of(folder / "folder", images), "rate": plain["rate"]}
    with s3_server() as server, google_server(photos) as google:
        address = upload(photos, server)
        scans.run("s3", "S3, one process of one thread", address)
        scans.run("google", "Google Cloud Storage, one process of one thread", google)
        with three_nodes() as cluster:
            node = cluster.address
            scans.run("ray", "S3, two workers", address, "--ray", node)
            scans.run("google-ray", "Google Cloud Storage, two workers", google, "--ray", node)
            scans.run("local", "a folder, two workers", photos, "--ray", node)
            scans.run("worker", "S3, two workers", address, "--ray", node, harm=kill_worker)

            def lose_node(target: Path) -> str:
                wait_for_shards(target, 2)
                cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
                cluster.add_node(num_cpus=1, object_store_memory=2**28)
                return "one node lost, and replaced by another"

            scans.run("node", "S3, two workers", address, "--ray", node, harm=lose_node)

    write_page(page, facts, scans.rows)
    return int(any(row["differing"] for row in scans.rows))


def bytes_of(target: Path, images: int) -> dict[str, float]:
    """Return the bytes that each part of a scan has, by image; of partial statistics, by shard."""
    found = {
        part: sum(file.stat().st_size for file in (target / part).rglob("*") if file.is_file())
        for part in ("images", "summaries")
    }
    partial = [file.stat().st_size for file in (target / "partial").iterdir()]
    return {name: size / images for name, size in found.items()} | {"partial": max(partial)}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make cluster")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("--images", type=int, default=160, metavar="N", help="photos in each scan")
    arguments = parser.parse_args()
    if missing := [name for name in ("ray", "moto", "flask", "gcp_storage_emulator") if find_spec(name) is None]:
        print(f"skipped: {', '.join(missing)} are not installed; make cluster installs them")
        return
    with tempfile.TemporaryDirectory(prefix="layerprobe-cluster-") as made:
        sys.exit(run(arguments.page, arguments.images, Path(made)))


if __name__ == "__main__":
    main()
