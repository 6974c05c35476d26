"""Where `layerprobe scan` finds its images: tars as WebDataset writes them, hostile ones, addresses, nested arrays."""

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import Preprocessing, open_artifact, open_runner
from runtime.artifact.errors import InputError
from runtime.scan import bucket
from runtime.scan.bucket import Bucket
from runtime.scan.image_place import PlaceUnreachable
from runtime.scan.image_source import open_source
from runtime.scan.scanning import Choices, scan


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    steps = Preprocessing(resize=12, crop=(12, 12), mean=[0.5] * 3, std=[0.5] * 3)
    folder = tmp_path_factory.mktemp("small") / "a"
    probe = build_probe(model.eval(), torch.randn(2, 3, 12, 12))
    return open_artifact(export_artifact(probe, folder, preprocessing=steps))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """20 photos."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(random.integers(0, 256, (14, 16, 3)).astype(np.uint8)).save(folder / f"{number:02}.png")
    return folder


def tar_of(file: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(file, "w") as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content) if kind == tarfile.REGTYPE else 0, kind
            member.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
            made.addfile(member, io.BytesIO(content))
    return file


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def rows_of(target: Path) -> list[dict]:
    return pq.read_table(target / "images").to_pylist()


def without_paths(target: Path, name: str) -> list[dict]:
    rows = pq.read_table(target / name).to_pylist()
    return [
        {key: value for key, value in row.items() if key not in ("image", "min_image", "max_image")} for row in rows
    ]


def test_tars_give_what_the_same_images_in_a_folder_give(small, photos, tmp_path, layerprobe):
    (tmp_path / "tars").mkdir()
    files = sorted(photos.iterdir())
    for part in range(2):
        members = {}
        for file in files[10 * part : 10 * part + 10]:
            # What WebDataset has beside an image: its class, facts, and a mask under a longer suffix.
            members |= {f"{file.stem}.cls": b"7", f"{file.stem}.png": file.read_bytes()}
            members |= {f"{file.stem}.seg.png": file.read_bytes(), f"{file.stem}.json": b"{}"}
        tar_of(tmp_path / "tars" / f"train-{part:04}.tar", members)
    for folder, name in ((photos, "plain"), (tmp_path / "tars", "packed")):
        outcome = layerprobe("scan", small.path, folder, "-o", tmp_path / name, "--shard", 8, "--batch", 4)
        assert (outcome.code, outcome.err) == (0, "")
    for table in ("channels.parquet", "outputs.parquet", "histograms.parquet", "images", "summaries"):
        assert without_paths(tmp_path / "packed", table) == without_paths(tmp_path / "plain", table)
    assert [row["image"] for row in rows_of(tmp_path / "packed")][9:11] == [
        "train-0000.tar/09.png",
        "train-0001.tar/10.png",
    ]
    one = layerprobe("scan", small.path, tmp_path / "tars" / "train-0001.tar", "-o", tmp_path / "one")
    assert (one.code, len(rows_of(tmp_path / "one"))) == (0, 10)


def test_members_are_read_in_their_order_and_a_scan_of_a_tar_goes_on(small, photos, tmp_path, layerprobe):
    names = ["b/2.png", "a/1.png", "./c.png"]
    tar = tar_of(
        tmp_path / "x.tar", dict(zip(names, (file.read_bytes() for file in sorted(photos.iterdir())), strict=False))
    )
    command = ("scan", small.path, tar, "-o", tmp_path / "s", "--shard", 2)
    assert layerprobe(*command, "--limit", 2).code == 0
    outcome = layerprobe(*command)
    assert outcome.err == "images that an earlier scan had done: 2\n"
    assert [row["image"] for row in rows_of(tmp_path / "s")] == ["x.tar/b/2.png", "x.tar/a/1.png", "x.tar/c.png"]


def test_classes_of_a_tar_are_the_folders_in_it(small, photos, tmp_path, layerprobe):
    content = (photos / "00.png").read_bytes()
    tar = tar_of(tmp_path / "x.tar", {"cat/0.png": content, "dog/1.png": content})
    assert layerprobe("scan", small.path, tar, "-o", tmp_path / "s", "--classes").code == 0
    assert {row["class"] for row in rows_of(tmp_path / "s")} == {"cat", "dog"}
    (tmp_path / "z.tar").write_bytes(tar.read_bytes()[: len(content) + 1600])
    cut_off = layerprobe("scan", small.path, tmp_path / "z.tar", "-o", tmp_path / "z", "--classes")
    assert (cut_off.code, cut_off.err.splitlines()[-1]) == (3, "Repair it, or omit --classes.")
    flat = tar_of(tmp_path / "y.tar", {"0.png": content})
    assert layerprobe("scan", small.path, flat, "-o", tmp_path / "t", "--classes").code == 3


def test_a_model_without_images_takes_arrays_in_tars_and_in_folders_below(tmp_path, layerprobe):
    torch.manual_seed(0)
    probe = build_probe(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), torch.randn(2, 4))
    artifact = export_artifact(probe, tmp_path / "artifact")
    arrays = {f"{number}.npy": npy(np.full((number + 1, 4), number, np.float32)) for number in range(3)}
    (tmp_path / "below" / "deep").mkdir(parents=True)
    for name, content in arrays.items():
        (tmp_path / "below" / "deep" / name).write_bytes(content)
    tar = tar_of(tmp_path / "x.tar", arrays | {"9.npy": npy(np.zeros((2, 7), np.float32))})
    outcome = layerprobe("scan", artifact, tar, "-o", tmp_path / "s")
    assert (outcome.code, "1 of 4 images can't be read" in outcome.err) == (3, True)
    assert [(row["image"], row["row"]) for row in rows_of(tmp_path / "s")][:3] == [
        ("x.tar/0.npy", 0), ("x.tar/1.npy", 0), ("x.tar/1.npy", 1)
    ]  # fmt: skip
    assert layerprobe("scan", artifact, tmp_path / "below", "-o", tmp_path / "b").code == 0
    assert without_paths(tmp_path / "b", "channels.parquet") == without_paths(tmp_path / "s", "channels.parquet")


def test_a_tar_beside_photos_is_not_left_out_silently(small, photos, tmp_path, layerprobe):
    folder = tmp_path / "both"
    folder.mkdir()
    content = (photos / "00.png").read_bytes()
    (folder / "a.png").write_bytes(content)
    tar_of(folder / "old.tar", {"b.png": content})
    refused = layerprobe("scan", small.path, folder, "-o", tmp_path / "s")
    assert (refused.code, (tmp_path / "s").exists()) == (3, False)
    assert "both holds files to scan (a.png) and tars (old.tar): only one kind is read.\n" in refused.err
    assert layerprobe("scan", small.path, folder / "old.tar", "-o", tmp_path / "s").code == 0


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """A tar's header with any size field, its checksum right."""
    block = bytearray(tarfile.TarInfo(name).tobuf())
    block[124:136], block[156:157] = size.ljust(12, b"\0")[:12], kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


NEGATIVE = b"\xff" * 10 + b"\xfc\x00"
"""In base 256: minus 1024, for which Python's own tarfile (CVE-2025-8194) seeks back, and never ends."""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("negative", header("b.png", NEGATIVE) + bytes(1024), "further than its member 'b.png': a member's size"),
        (
            "negative pax",
            header("b.png", NEGATIVE, b"x") + bytes(1024),
            "further than its member 'a.png': a member|header",
        ),
        ("cut off", header("b.png", b"77777777777") + bytes(1024), "ends within its member 'b.png': it was cut off"),
        ("cut off between two", b"", "ends after its member 'a.png', without a tar's end: it was cut off"),
        ("endless name", header("././@LongLink", b"77777777777", b"L") + bytes(1024), "header is too long"),
        ("a chain of names", header("././@LongLink", b"00000000001", b"L") * 5000 + bytes(1024), "."),
        ("above", header("../../b.png", b"0"), "a member that leads out of it, '../../b.png', which is left out"),
        (
            "absolute",
            header("/etc/b.png", b"0"),
            "leads out of it, '/etc/b.png', which is left out. evil.tar ends after",
        ),
        ("twice", header("a.png", b"0") + bytes(1024), "a second member 'a.png', which is left out. Its other members"),
        ("escapes", header("../\x1b[2J", b"0") + bytes(1024), r"leads out of it, '../\?\[2J', which"),
        ("text", b"this is no tar" * 100, "further than its member 'a.png': what follows is no header"),
    ],
)
def test_a_hostile_tar_ends_there_and_what_was_before_is_taken(
    small, photos, tmp_path, layerprobe, name, content, said
):
    good = (photos / "00.png").read_bytes()
    start = tar_of(tmp_path / "good.tar", {"a.png": good}).read_bytes()
    end = 512 + -(-len(good) // 512) * 512
    (tmp_path / "tars").mkdir()
    (tmp_path / "tars" / "evil.tar").write_bytes(start[:end] + content)
    source = open_source(tmp_path / "tars")
    assert list(source.items) == ["evil.tar/a.png", "evil.tar"]
    with pytest.raises(InputError, match=said) as refused:
        source.get("evil.tar")
    assert len(str(refused.value).splitlines()) <= 2
    outcome = layerprobe("scan", small.path, tmp_path / "tars", "-o", tmp_path / "s")
    reason, summary = outcome.err.splitlines()
    assert (outcome.code, reason) == (3, str(refused.value).splitlines()[0])
    assert summary.startswith("layerprobe: 1 tar can't be read whole; ")
    assert {file.name for file in tmp_path.iterdir()} == {"good.tar", "tars", "s"}


def test_behind_a_member_that_leads_out_the_others_are_read(small, photos, tmp_path, layerprobe):
    (tmp_path / "tars").mkdir()
    good = (photos / "00.png").read_bytes()
    names = ("a.png", "../x.png", "b.png", "/y.png", "broken.png", "c.png")
    tar_of(tmp_path / "tars" / "1.tar", {name: b"" if name == "broken.png" else good for name in names})
    tar_of(tmp_path / "tars" / "2.tar", {"d.png": good})
    outcome = layerprobe("scan", small.path, tmp_path / "tars", "-o", tmp_path / "s")
    assert (outcome.code, "images: 4, " in outcome.out) == (3, True)
    broken, tar, summary = outcome.err.splitlines()
    assert broken.startswith("1.tar/broken.png ")
    assert tar.startswith("1.tar has a member that leads out of it, '../x.png', which is left out, with 1 more. Its")
    assert summary.startswith("layerprobe: 1 of 5 images can't be read, and were left out; 1 tar can't be read whole; ")
    (page,) = (tmp_path / "s").glob("*.html")
    assert "1 of 5 images can&#x27;t be read" in page.read_text() or "1 of 5 images can't be read" in page.read_text()


def test_links_in_a_tar_are_not_followed_and_compressed_tars_are_named(tmp_path, layerprobe, small):
    (tmp_path / "links").mkdir()
    tar_of(tmp_path / "links" / "x.tar", {"a.png": b""}, tarfile.SYMTYPE)
    outcome = layerprobe("scan", small.path, tmp_path / "links", "-o", tmp_path / "s")
    assert (outcome.code, "holds no images" in outcome.err, len(outcome.err.splitlines())) == (3, True, 1)
    with tarfile.open(tmp_path / "y.tar", "w:gz") as made:
        made.addfile(tarfile.TarInfo("a.png"))
    outcome = layerprobe("scan", small.path, tmp_path / "y.tar", "-o", tmp_path / "s")
    assert (outcome.code, "compressed tars are not read" in outcome.err) == (3, True)


def test_an_address_gives_what_the_folder_gives(small, photos, tmp_path, layerprobe):
    folder = shutil.copytree(photos, tmp_path / "photos")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "05.png").write_bytes(b"broken")
    for place, name in ((folder, "plain"), (f"file://{folder}", "address")):
        assert layerprobe("scan", small.path, place, "-o", tmp_path / name, "--batch", 4).code == 3
    plain, address = ({f.name: f.read_bytes() for f in (tmp_path / n).rglob("*.parquet")} for n in ("plain", "address"))
    assert plain == address
    shutil.copy(tar_of(tmp_path / "x.tar", {"a.png": (photos / "00.png").read_bytes()}), tmp_path / "plain")
    assert list(open_source(f"file://{tmp_path}/x.tar").items) == ["x.tar/a.png"]


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("file:///nowhere/at/all", 3, "There is no folder file:///nowhere/at/all"),
        ("nonsense://key:secret@host/photos", 2, "nonsense://host/photos is no address that pyarrow reads"),
    ],
)
def test_an_address_that_leads_nowhere_is_named_without_its_key(small, tmp_path, layerprobe, address, code, said):
    outcome = layerprobe("scan", small.path, address, "-o", tmp_path / "s")
    assert (outcome.code, said in outcome.err, "secret" in outcome.err) == (code, True, False)
    assert len(outcome.err.splitlines()) <= 2


def test_where_a_bucket_fails_no_image_counts_as_broken(small, photos, tmp_path, monkeypatch):
    """Images that a lost network leaves unread are read by the next call."""
    opened, count = Bucket.opened, 0

    def failing(self, path):
        nonlocal count
        count += 1
        if count > 10:
            raise OSError("Network is unreachable")
        return opened(self, path)

    monkeypatch.setattr(bucket.Bucket, "opened", failing)
    given = (small, open_runner(small, "onnx-cpu"), f"file://{photos}", tmp_path / "s", Choices(batch=4, shard=4))
    with pytest.raises(PlaceUnreachable, match="Network is unreachable"):
        scan(*given)
    # Which batch fails first is chance: perhaps no shard was done before it.
    done = rows_of(tmp_path / "s") if (tmp_path / "s" / "images").exists() else []
    assert all(row["error"] is None for row in done)
    monkeypatch.undo()
    found = scan(*given)
    assert (found.images, found.broken) == (20, 0)


@pytest.mark.parametrize("shard", [2, 256])
def test_a_tar_that_was_repaired_is_read_to_its_end_and_no_longer_listed(small, photos, tmp_path, layerprobe, shard):
    content = [file.read_bytes() for file in sorted(photos.iterdir())]
    (tmp_path / "tars").mkdir()
    whole = tar_of(tmp_path / "whole.tar", {f"{number}.png": content[number] for number in range(4)}).read_bytes()
    tar_of(tmp_path / "tars" / "b.tar", {"9.png": content[9]})
    command = ("scan", small.path, tmp_path / "tars", "-o", tmp_path / "s", "--shard", shard)
    (tmp_path / "tars" / "a.tar").write_bytes(whole[:3000])
    assert layerprobe(*command).code == 3
    assert [row["image"] for row in rows_of(tmp_path / "s") if row["error"]] == ["a.tar"]
    # Copied again, and cut off once more, further on.
    (tmp_path / "tars" / "a.tar").write_bytes(whole[:4000])
    outcome = layerprobe(*command)
    assert (outcome.code, "1 tar can't be read whole" in outcome.err) == (3, True)
    (tmp_path / "tars" / "a.tar").write_bytes(whole)
    outcome = layerprobe(*command)
    assert (outcome.code, "can't be read" in outcome.err, "images: 5, " in outcome.out) == (0, False, True)
    rows = rows_of(tmp_path / "s")
    assert {row["image"] for row in rows} == {*(f"a.tar/{number}.png" for number in range(4)), "b.tar/9.png"}
    assert len(rows) == 5
    assert layerprobe(*command).code == 0
    # Its images are counted: it isn't needed any more.
    (tmp_path / "tars" / "a.tar").unlink()
    outcome = layerprobe(*command)
    assert (outcome.code, "can't be read" in outcome.err, "images: 5, " in outcome.out) == (0, False, True)
    assert rows_of(tmp_path / "s") == rows


def test_a_tar_that_is_repaired_before_it_is_counted_is_no_broken_image(small, photos, tmp_path, monkeypatch):
    content = [file.read_bytes() for file in sorted(photos.iterdir())]
    (tmp_path / "tars").mkdir()
    whole = tar_of(tmp_path / "whole.tar", {f"{number}.png": content[number] for number in range(4)}).read_bytes()
    (tmp_path / "tars" / "a.tar").write_bytes(whole[:3000])
    given = (small, open_runner(small, "onnx-cpu"), tmp_path / "tars", tmp_path / "s", Choices(batch=2, shard=4))

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("runtime.scan.scanning.scan_shards", stopped)
        with pytest.raises(KeyboardInterrupt):
            scan(*given)
    (tmp_path / "tars" / "a.tar").write_bytes(whole)
    found = scan(*given)
    assert (found.images, found.broken, found.broken_tars) == (4, 0, 0)
    assert [row["error"] for row in rows_of(tmp_path / "s")] == [None] * 4


def test_a_broken_member_that_was_repaired_is_read_and_a_counted_one_that_changed_is_refused(
    small, photos, tmp_path, layerprobe
):
    good, other = (file.read_bytes() for file in sorted(photos.iterdir())[:2])
    command = ("scan", small.path, tmp_path / "x.tar", "-o", tmp_path / "s")
    tar_of(tmp_path / "x.tar", {"a.png": good, "b.png": b"broken"})
    assert layerprobe(*command).code == 3
    tar_of(tmp_path / "x.tar", {"a.png": good, "b.png": other})
    assert layerprobe(*command).code == 0
    assert [row["image"] for row in rows_of(tmp_path / "s")] == ["x.tar/a.png", "x.tar/b.png"]
    tar_of(tmp_path / "x.tar", {"a.png": good + b"more", "b.png": other})
    refused = layerprobe(*command)
    assert (refused.code, "x.tar/a.png has changed since the scan counted" in refused.err) == (3, True)
