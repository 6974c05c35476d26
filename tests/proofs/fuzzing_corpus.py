"""The right files that `make fuzzing` changes, and the commands that read them."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from candidate_files import nameless
from PIL import Image

__all__ = ["FORMATS", "Format", "make_corpus", "rehash"]

_NET = '''"""A small network of what files are made of."""
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.side = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.head = nn.Linear(6, 5)

    def forward(self, image):
        x = functional.relu6(self.norm(self.stem(image)))
        x = torch.cat([functional.max_pool2d(x, 2), functional.avg_pool2d(torch.sigmoid(self.side(x)), 2)], 2)
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        return self.head(x.mean((2, 3)))

def make():
    torch.manual_seed(3)
    return Net().eval()
'''


@dataclass(frozen=True)
class Format:
    """Files of one kind, and the commands that read them; `{}` in a command is the file."""

    form: str
    """Of `BY_FORM`."""
    files: Sequence[str]
    commands: Sequence[str]
    share: int = 1
    """Of the mutants."""
    hashed: bool = False
    """Whether the artifact's manifest has the file's hash."""
    goes_on_in: str | None = None
    """The folder that the commands continue, beside `out`, to which all others write."""


_RUN = "run art photos/a.png -o out/run.safetensors"
_RECORDED = "run art --recorded-input -o out/run.safetensors"
_GRID = "grid art photos/a.png -o out/maps.png"
_VERIFY = "verify art --runner onnx-cpu --json out/r.json --html out/r.html"
_BENCH = "bench art --runner onnx-cpu --repeats 1 --json out/b.json"
_ON_PHOTOS = (
    "run art {} -o out/run.safetensors",
    "run art photos -o out/run.safetensors",
    "grid art {} -o out/maps.png",
    "stats photos",
    "stats photos --strict",
    "verify art --runner onnx-cpu --input {} -q",
    "verify net.py:make --input-size 16 --runner onnx-cpu --input {} -q",
)
_ON_INPUTS = (
    "run art {} -o out/run.safetensors --save-input",
    "verify art --runner onnx-cpu --input {} --junit out/r.xml",
    "export theirs.onnx -o out/new --input {}",
)
_SCAN = "scan art photos -o scan --shard 3 -q"
_COMPARE = "scan art photos -o compared --shard 3 -q --against theirs.onnx"
_TORCHSCRIPT = (
    "run art --recorded-input -o out/run.safetensors --runner torchscript",
    "verify art --runner torchscript",
)

FORMATS: Mapping[str, Format] = {
    "manifest": Format("json", ["art/manifest.json"], (_RUN, _RECORDED, _GRID, _VERIFY, _BENCH), share=2),
    "manifest and its copy": Format(
        "manifest",
        ["art/manifest.json"],
        (_RUN, _RECORDED, "grid art photos/a.png -o out/maps.png --outputs '*'", _VERIFY),
    ),
    "manifest of averages": Format(
        "json", ["art/averaged.json"], (_GRID, "verify art/averaged.onnx -q", _BENCH), hashed=True
    ),
    "operations": Format("json", ["art/operations.json"], (_VERIFY,), hashed=True),
    "ONNX in an artifact": Format(
        "onnx",
        ["art/model.onnx"],
        (_VERIFY, _RUN, _BENCH, "verify art/model.onnx -q", "nodes {}"),
        share=3,
        hashed=True,
    ),
    "averaged ONNX": Format("onnx", ["art/averaged.onnx"], (_GRID, "verify art/averaged.onnx -q"), hashed=True),
    "somebody's ONNX": Format(
        "onnx",
        ["theirs.onnx"],
        (
            *("nodes {}", "nodes {} --json", "export {} -o out/new", "export {} -o out/new --op Conv --op MaxPool -q"),
            *("verify {} --against art --json out/r.json", "verify art/model.onnx --against {}", "verify {}"),
        ),
        share=8,
    ),
    "TorchScript": Format("zip", ["art/model.torchscript.pt"], _TORCHSCRIPT, hashed=True),
    "torch.export": Format("zip", ["art/model.pt2"], ("verify art --runner torch-export",), hashed=True),
    "reference": Format("safetensors", ["art/reference.safetensors"], (_VERIFY, _RECORDED), share=2, hashed=True),
    "reference of averages": Format(
        "safetensors", ["art/averaged.safetensors"], (_GRID, "verify art/averaged.onnx -q"), hashed=True
    ),
    "PNG": Format(
        "png",
        ["photos/a.png", "photos/palette.png", "photos/grey16.png", "art/test_photo.png"],
        _ON_PHOTOS,
        share=2,
    ),
    "JPEG": Format("bytes", ["photos/b.jpg", "photos/turned.jpg", "photos/cmyk.jpg"], _ON_PHOTOS, share=2),
    "TIFF": Format("bytes", ["photos/c.tif", "photos/packed.tif"], _ON_PHOTOS, share=2),
    "GIF": Format("bytes", ["photos/d.gif"], _ON_PHOTOS),
    "WebP": Format("bytes", ["photos/e.webp"], _ON_PHOTOS),
    "BMP": Format("bytes", ["photos/f.bmp"], _ON_PHOTOS),
    "inputs in .npy": Format("numpy", ["inputs.npy"], _ON_INPUTS),
    "inputs in .npz": Format("zip", ["inputs.npz"], _ON_INPUTS),
    "inputs in .safetensors": Format(
        "safetensors", ["inputs.safetensors", "run.safetensors", "art/test_vectors.safetensors"], _ON_INPUTS
    ),
    "recorded run": Format(
        "safetensors",
        ["run.safetensors"],
        ("compare {} again.safetensors --json out/r.json", "compare again.safetensors {} --html out/r.html"),
        share=2,
    ),
    "report": Format(
        "json",
        ["report.json", "compared.json"],
        (
            "verify art --runner onnx-cpu --baseline report.json",
            "compare run.safetensors again.safetensors --baseline compared.json --strict-baseline",
        ),
    ),
    "tensors": Format(
        "safetensors",
        ["again.safetensors"],
        (
            "verify art --tensors {} --runner onnx-cpu --html out/r.html",
            "verify theirs.onnx --against art --tensors {}",
        ),
        share=2,
    ),
    "weights": Format(
        "safetensors",
        ["weights.safetensors"],
        ("verify art --runner eager --model net.py:make --weights {} -q",),
    ),
    "weights of PyTorch": Format(
        "zip", ["weights.pt"], ("verify art --runner eager --model net.py:make --weights {} -q",)
    ),
    "scan's record": Format("json", ["scan/scan.json"], (_SCAN,), goes_on_in="scan"),
    "scan's list of images": Format("bytes", ["scan/images.jsonl"], (_SCAN,), goes_on_in="scan"),
    "scan's statistics": Format(
        "safetensors", ["scan/partial/00000-02-0000000.safetensors"], (_SCAN,), share=2, goes_on_in="scan"
    ),
    "scan's tables": Format(
        "bytes",
        ["compared/images/part-0000000.parquet", "compared/differences/part-0000001.parquet"],
        (_COMPARE,),
        goes_on_in="compared",
    ),
}
"""By name; the first command of each reads the file for certain."""

_MADE_BY = (
    "export net.py:make -o art --input-size 16 --averaged --mean 0.4,0.5,0.6 --std 0.2,0.25,0.3",
    "run art --recorded-input -o run.safetensors --save-input",
    "run art --recorded-input -o again.safetensors --graph-optimization disabled",
    "verify art --runner onnx-cpu --json report.json",
    "compare run.safetensors again.safetensors --json compared.json",
)


def make_corpus(folder: Path, call: Callable[[str], int]) -> None:
    """Write all files into an empty folder; `call` runs a command line there and returns its exit code.

    Raises:
        RuntimeError: a command failed.
    """
    import torch
    from safetensors.torch import save_file

    (folder / "net.py").write_text(_NET, encoding="utf-8")
    _write_photos(folder / "photos")
    for command in _MADE_BY:
        if call(command):
            raise RuntimeError(f"layerprobe {command} failed")
    noise = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    np.save(folder / "inputs.npy", noise)
    np.savez(folder / "inputs.npz", image=noise)
    sys.path.insert(0, str(folder))
    net = __import__("net").make()
    save_file({"image": torch.from_numpy(noise)}, folder / "inputs.safetensors")
    save_file(net.state_dict(), folder / "weights.safetensors")
    torch.save(net.state_dict(), folder / "weights.pt")
    torch.onnx.export(
        net,
        (torch.zeros(1, 3, 16, 16),),
        folder / "named.onnx",
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        dynamic_axes={"image": {0: "batch"}},
    )
    nameless(folder / "named.onnx", folder / "theirs.onnx")
    for command in (_SCAN, _COMPARE):
        if call(command):
            raise RuntimeError(f"layerprobe {command} failed")
    for name in ("scan", "compared"):
        # The files are made in one folder, and read in another.
        record = folder / name / "scan.json"
        content = json.loads(record.read_text(encoding="utf-8"))
        content["images_below"] = str(folder.parent / "place" / "photos")
        record.write_text(json.dumps(content), encoding="utf-8")


def _write_photos(folder: Path) -> None:
    """Write a small picture in each of the formats, with what they have beside pixels."""
    folder.mkdir()
    across, down = np.meshgrid(np.arange(24), np.arange(20))
    pixels = np.stack([across * 10, down * 12, (across * down) % 256], 2).astype(np.uint8)
    picture = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112], turned[0x010F] = 6, "a camera"
    turned.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    picture.save(folder / "a.png", dpi=(72, 72))
    picture.quantize(16).save(folder / "palette.png", transparency=3)
    Image.fromarray((across * 2500).astype(np.uint16)).save(folder / "grey16.png")
    picture.save(folder / "b.jpg", progressive=True)
    picture.save(folder / "turned.jpg", exif=turned)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.save(folder / "c.tif", exif=turned)
    picture.save(folder / "packed.tif", compression="tiff_lzw")
    picture.save(folder / "d.gif", save_all=True, append_images=[picture.rotate(90)])
    picture.save(folder / "e.webp", exif=turned)
    picture.save(folder / "f.bmp")


def rehash(folder: Path, name: str) -> None:
    """Enter a file's hash in the artifact's manifests, as somebody does who knows the format."""
    for manifest in ("averaged.json", "manifest.json"):
        if manifest == name:
            continue  # it may be no JSON any more
        content = json.loads((folder / manifest).read_text(encoding="utf-8"))
        for changed in content["files"].keys() & {name, "averaged.json"}:
            content["files"][changed] = hashlib.sha256((folder / changed).read_bytes()).hexdigest()
        (folder / manifest).write_text(json.dumps(content), encoding="utf-8")
