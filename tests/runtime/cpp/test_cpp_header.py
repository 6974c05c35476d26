"""The C++ headers: preprocessing equal to the bit, safetensors both ways, the same maps; hostile files are refused.

They are compiled once, into `header_driver.cpp`. The examples, which need a runtime's headers, are run by
`make cpp-examples`.
"""

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from code_blocks import blocks_of
from conftest import ROOT
from runtime import open_artifact, open_runner
from runtime.artifact.manifest import Interpolation, Preprocessing
from runtime.maps.channel_mean import channel_mean
from runtime.maps.colour_maps import colour_map_image, colour_table
from runtime.runs.preprocessing import preprocess

HEADERS = ROOT / "runtime" / "cpp"
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++, which compiles the C++ headers")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Compile the driver, and return a function that runs it on words, for its output; it must end with `code`."""
    binary = tmp_path_factory.mktemp("cpp") / "driver"
    source = Path(__file__).with_name("header_driver.cpp")
    subprocess.run(["g++", "-std=c++17", "-O1", *WARNINGS, f"-I{HEADERS}", source, "-o", binary], check=True)

    def run(*words, code=0):
        ended = subprocess.run([binary, *words], capture_output=True, text=True, check=False)
        assert ended.returncode == code, ended.stderr
        return ended.stderr if code else ended.stdout

    return run


# Preprocessing

SIZES = [
    (1, 1),
    (1, 500),
    (500, 1),
    (4000, 3),
    (3, 4000),
    (37, 411),
    (411, 37),
    (40, 40),
    (161, 97),
    (20, 23),
    (30, 90),
]
STEPS = [(32, (32, 32), 3, "NCHW"), (232, (224, 224), 3, "NHWC"), (40, (61, 20), 1, "NCHW"), (7, (5, 9), 3, "NCHW")]


def steps_of(resize, crop, channels, layout, interpolation):
    mean, std = [0.485, 0.456, 0.406][:channels], [0.229, 0.224, 0.225][:channels]
    return Preprocessing(resize=resize, crop=crop, mean=mean, std=std, interpolation=interpolation, layout=layout)


def python_input(pixels, steps):
    made = preprocess(Image.fromarray(pixels), steps)[None]
    return np.ascontiguousarray(made if steps.layout == "NCHW" else made.transpose(0, 2, 3, 1))


def test_photos_of_hostile_sizes_become_the_same_input_to_the_bit(program, tmp_path):
    rng = np.random.default_rng(0)
    photos, steps = {}, {}
    for width, height in SIZES:
        for interpolation in get_args(Interpolation):
            for asked in STEPS:
                if asked[0] ** 2 * max(width, height) > 4e6 * min(width, height):
                    continue  # Python resizes the whole photo, and takes long
                name = f"{width} x {height} {interpolation} {asked}"
                photos[name] = rng.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
                steps[name] = steps_of(*asked, interpolation)
    save_file(photos, tmp_path / "photos", {name: each.model_dump_json() for name, each in steps.items()})
    program("preprocess", tmp_path / "photos", tmp_path / "made")
    made = load_file(tmp_path / "made")
    expected = {name: python_input(photos[name], steps[name]) for name in photos}
    assert len(expected) > 200
    unlike = [name for name in photos if made[f"input:{name}"].tobytes() != expected[name].tobytes()]
    assert unlike == []
    assert [name for name in photos if (made[f"half:{name}"] != expected[name].astype(np.float16)).any()] == []


def test_all_levels_and_halves_are_rounded_as_numpy_does(program, tmp_path):
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    names = {}
    for std in (1e-7, 1e-6, 3e-5, 0.07, 0.25, 1.0, 9e5):  # from infinite halves to subnormal ones
        steps = Preprocessing(resize=16, crop=(16, 16), mean=[0.5], std=[max(std, 1.1e-7)])
        names[f"{std}"] = steps
    save_file(dict.fromkeys(names, levels), tmp_path / "p", {name: s.model_dump_json() for name, s in names.items()})
    program("preprocess", tmp_path / "p", tmp_path / "made")
    made = load_file(tmp_path / "made")
    for name, steps in names.items():
        expected = python_input(levels, steps)
        assert made[f"input:{name}"].tobytes() == expected.tobytes()
        with np.errstate(over="ignore"):
            assert made[f"half:{name}"].tobytes() == expected.astype(np.float16).tobytes()


def test_a_rule_that_the_headers_do_not_know_is_refused(program, tmp_path):
    for change, message in {
        '"gamma":2.2': "'gamma' is unknown here",
        '"interpolation":"wavelet"': "none of Pillow's filters",
        '"layout":"CHWN"': "neither NCHW nor NHWC",
        '"resize":0': "from 1 to 1048576",
        '"std":[0.1,0.2]': "a number for each of 1 or 3 channels",
        '"crop":[99999,99999]': "pixels",
    }.items():
        name, _, value = change.partition(":")
        asked = json.loads(steps_of(*STEPS[0], "bilinear").model_dump_json()) | {json.loads(name): json.loads(value)}
        save_file({"a": np.zeros((4, 4, 3), np.uint8)}, tmp_path / "p", {"a": json.dumps(asked)})
        assert message in program("preprocess", tmp_path / "p", tmp_path / "made", code=3)


def test_pixels_are_the_input_of_a_model_that_normalises_itself(program, tmp_path):
    rng = np.random.default_rng(0)
    photos = {str(channels): rng.integers(0, 256, (48, 48, 3), dtype=np.uint8) for channels in (1, 3)}
    steps = {"resize": 48, "crop": [48, 48], "interpolation": "bilinear", "layout": "NHWC", "mean": None, "std": None}
    asked = {
        name: json.dumps(steps | {"in_model": {"mean": [0.5] * int(name), "std": [1] * int(name)}}) for name in photos
    }
    save_file(photos, tmp_path / "photos", asked)
    program("preprocess", tmp_path / "photos", tmp_path / "made")
    made = load_file(tmp_path / "made")
    assert (made["input:3"] == photos["3"][None]).all()
    assert (made["input:1"][0, :, :, 0] == np.asarray(Image.fromarray(photos["1"]).convert("L"))).all()
    save_file(photos, tmp_path / "photos", dict.fromkeys(photos, json.dumps(steps)))
    assert "it has no 'in_model'" in program("preprocess", tmp_path / "photos", tmp_path / "made", code=3)


def test_a_photo_that_python_refuses_is_refused_in_the_same_words(program, tmp_path):
    thin = np.zeros((1, 10_000, 3), np.uint8)
    save_file({"a": thin}, tmp_path / "p", {"a": steps_of(256, (224, 224), 3, "NCHW", "bilinear").model_dump_json()})
    message = program("preprocess", tmp_path / "p", tmp_path / "made", code=3)
    assert "A photo of 10000 x 1 pixels, resized so that its shorter side is 256, would have over" in message


def test_the_program_of_the_documentation_makes_the_input_of_a_photo(exported, tmp_path, photo):
    artifact = exported("cnn2")
    (source,) = (block.code for block in blocks_of(ROOT / "docs" / "deploy.md") if block.title == "prepare.cpp")
    (tmp_path / "prepare.cpp").write_text(source)
    Image.open(photo).convert("RGB").save(tmp_path / "photo.ppm")
    subprocess.run(["g++", "-std=c++17", f"-I{HEADERS}", "prepare.cpp", "-o", "prepare"], cwd=tmp_path, check=True)
    subprocess.run(["./prepare", artifact.path, "photo.ppm", "x.safetensors"], cwd=tmp_path, check=True)
    made = load_file(tmp_path / "x.safetensors")
    assert (made["x"] == python_input(np.asarray(Image.open(photo)), artifact.manifest.preprocessing)).all()


# Artifacts


def test_an_artifact_is_opened_and_every_file_is_checked(program, exported):
    artifact = exported("cnn2")
    lines = program("open", artifact.path).splitlines()
    assert lines[: len(artifact.manifest.files)] == sorted(artifact.manifest.files)
    assert lines[len(artifact.manifest.files) : -1] == ["0/input:x", *artifact.manifest.output_names]


@pytest.mark.parametrize("name", ["model.onnx", "reference.safetensors"])
def test_an_altered_file_is_refused(program, exported, tmp_path, name):
    copy = shutil.copytree(exported("cnn2").path, tmp_path / "copy")
    content = bytearray((copy / name).read_bytes())
    content[-100] ^= 1
    (copy / name).write_bytes(content)
    assert f"{name} was altered after the export" in program("open", copy, code=3)


def test_the_manifest_beside_the_model_must_be_the_one_inside_it(program, exported, tmp_path):
    copy = shutil.copytree(exported("cnn2").path, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    inside = json.dumps(manifest | {"files": {}})
    program("same", copy, inside)
    manifest["preprocessing"]["mean"][0] = 0.5
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert "its preprocessing is another in the copy" in program("same", copy, inside, code=3)


def vectors_of(artifact, photo):
    pixels = np.asarray(Image.open(photo).convert("RGB").resize((161, 97)))
    steps = artifact.manifest.preprocessing
    input_ = preprocess(Image.fromarray(pixels), steps)
    cropped = np.rint((input_ * np.array(steps.std)[:, None, None] + np.array(steps.mean)[:, None, None]) * 255)
    cropped = np.ascontiguousarray(cropped.transpose(1, 2, 0).astype(np.uint8))
    return {"pixels": pixels, "cropped": cropped, "input:x": input_[None]}


@pytest.mark.parametrize("altered", [None, "cropped", "input:x"])
def test_the_test_photo_of_an_artifact_checks_a_build(program, exported, tmp_path, photo, altered):
    artifact = exported("cnn2")
    copy = shutil.copytree(artifact.path, tmp_path / "copy")
    vectors = vectors_of(artifact, photo)
    if altered:
        vectors[altered].reshape(-1)[7] += 1
    save_file(vectors, copy / "test_vectors.safetensors")
    manifest = json.loads((copy / "manifest.json").read_text())
    digest = subprocess.check_output(["sha256sum", copy / "test_vectors.safetensors"], text=True).split()[0]
    manifest["files"]["test_vectors.safetensors"] = digest
    (copy / "manifest.json").write_text(json.dumps(manifest))
    said = program("open", copy, code=3 if altered else 0)
    assert ("preprocessing checked" if altered is None else "test photo is not what the artifact says") in said


# Maps


def test_maps_and_colours_are_those_of_python(program, exported, tmp_path):
    artifact = exported("cnn2")
    arrays = open_runner(artifact, "onnx-cpu").run(artifact.reference().inputs)
    arrays["cnn2"] = arrays["cnn2"].astype(np.float16)
    arrays["relu_1"][0, 3, 5, 6] = np.nan
    save_file(arrays, tmp_path / "tensors")
    program("draw", artifact.path, tmp_path / "tensors", tmp_path / "page.ppm", tmp_path / "maps")
    made = load_file(tmp_path / "maps")
    drawn = [each for each in artifact.manifest.outputs if each.has_map]
    assert {each.name for each in drawn} == {name for name in made if not name.startswith("coloured:")}
    for each in drawn:
        expected = channel_mean(arrays[each.name], each.layout)
        np.testing.assert_allclose(made[each.name], expected, rtol=1e-12, atol=1e-15)
        image = colour_map_image(made[each.name], colour_table("viridis"))
        assert (made[f"coloured:{each.name}"] == image).all()
    page = Image.open(tmp_path / "page.ppm")
    assert page.size == (4 * 166 + 6, 4 * 182 + 6)  # 16 maps
    assert (np.asarray(page)[:, -1] == 255).all()


def test_tokens_become_the_grid_of_their_patches(program, exported, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(exported("cnn2").path, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    output = manifest["outputs"][0]
    output |= {"layout": "NLC", "shape": ["N", 9, 8], "tokens": {"before": 2, "height": 2, "width": 3, "after": 1}}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    array = np.random.default_rng(1).normal(size=(2, 9, 8)).astype(np.float32)
    save_file({output["name"]: array}, tmp_path / "tensors")
    program("draw", copy, tmp_path / "tensors", tmp_path / "page.ppm", tmp_path / "maps")
    made = load_file(tmp_path / "maps")[output["name"]]
    np.testing.assert_allclose(made, array[0, 2:8].reshape(2, 3, 8).mean(axis=2, dtype=np.float64), rtol=1e-12)
    save_file({output["name"]: array[:, :8]}, tmp_path / "tensors")
    message = program("draw", copy, tmp_path / "tensors", tmp_path / "page.ppm", tmp_path / "maps", code=3)
    assert "another number of tokens" in message


# Files, and hostile ones


def test_safetensors_of_every_type_come_back_as_they_were(program, tmp_path):
    rng = np.random.default_rng(0)
    types = ["f4", "f8", "f2", "?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]
    tensors = {f'a {kind} "\\\t\u00e9\U0001f600': rng.integers(0, 2, (2, 3)).astype(kind) for kind in types}
    tensors |= {"scalar": np.array(3, np.float32), "nothing": np.zeros((0, 4), np.float32)}
    save_file(tensors, tmp_path / "a", {"key \n": 'value "\u2028'})
    program("copy", tmp_path / "a", tmp_path / "b")
    read = load_file(tmp_path / "b")
    assert {name: (str(each.dtype), each.shape) for name, each in read.items()} == {
        name: (str(each.dtype), each.shape) for name, each in tensors.items()
    }
    assert all((read[name] == tensors[name]).all() for name in tensors)
    content = (tmp_path / "b").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"] == {"key \n": 'value "\u2028'}


def with_header(header, body=b"", length=None):
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content + body


def entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HOSTILE = {
    "empty": (b"", "shorter than 8 bytes"),
    "cut": (with_header({"a": entry()}, b"1234"), "from 0 to 4"),
    "endless header": (with_header(b"{}", length=2**63), "over 64 MiB"),
    "header beyond the end": (with_header(b"{}", length=100), "truncated"),
    "no JSON": (with_header(b"\x00\x01\x02"), "not valid JSON"),
    "no object": (with_header(b"[1]"), "not an object"),
    "deep": (with_header(b"[" * 100_000), "nested too deeply"),
    "many": (with_header(b"[" + b"0," * 3_000_000 + b"0]"), "too many values"),
    "twice": (with_header(b'{"a":1,"a":2}'), "'a' twice"),
    "no UTF-8": (with_header(b'{"\xff":1}'), "not UTF-8"),
    "half a surrogate pair": (with_header(b'{"\\ud800":1}'), "half of a surrogate pair"),
    "unended text": (with_header(b'{"a'), "no end"),
    "unended escape": (with_header(b'{"a\\'), "unknown escape"),
    "a text after it": (with_header(b"{} {}"), "follows its end"),
    "unknown type": (with_header({"a": entry(dtype="F4\x1b[31m")}, bytes(8)), "type F4?[31m is unknown"),
    "wrong size": (with_header({"a": entry((3,))}, bytes(8)), "another size"),
    "overflowing": (with_header({"a": entry((2**40, 2**40))}, bytes(8)), "more than 2^40"),
    "negative": (with_header({"a": entry((-2,))}, bytes(8)), "from 0"),
    "backwards": (with_header({"a": entry(offsets=(8, 0))}, bytes(8)), "from 8 to 8"),
    "huge number": (
        with_header(b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', bytes(8)),
        "out of range",
    ),
    "overlap": (with_header({"a": entry(), "b": entry()}, bytes(8)), "overlap"),
    "gap": (with_header({"a": entry(offsets=(8, 16))}, bytes(16)), "gap"),
    "rest": (with_header({"a": entry()}, bytes(9)), "fill it"),
    "metadata of numbers": (with_header({"__metadata__": {"a": 1}}), "not a text"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_tensor_file_is_refused(program, tmp_path, kind):
    content, reason = HOSTILE[kind]
    (tmp_path / "a").write_bytes(content)
    message = program("copy", tmp_path / "a", tmp_path / "b", code=3)
    assert reason in message
    assert len(message.splitlines()) <= 2
    assert not any(each.name.startswith("b") for each in tmp_path.iterdir())


def changed(change):
    def edit(manifest):
        change(manifest)
        return json.dumps(manifest)

    return edit


MANIFESTS = {
    "no JSON": (lambda _: "{", "'\"' is missing"),
    "later": (changed(lambda m: m.update(format_version=2)), "format version 2"),
    "way out": (changed(lambda m: m["files"].update({"../a": "0" * 64})), "is not plain"),
    "missing file": (changed(lambda m: m["files"].update(more="0" * 64)), "more does not exist"),
    "no outputs": (changed(lambda m: m.pop("outputs")), "it has no 'outputs'"),
    "text for a list": (changed(lambda m: m.update(outputs="a")), "not a list"),
    "two of one name": (changed(lambda m: m["outputs"].append(m["outputs"][0])), "is there twice"),
    "other axes": (changed(lambda m: m["outputs"][0].update(layout="NC")), "one letter for each axis"),
    "far too large": (lambda _: " " * (17 << 20), "larger than 16777216 bytes"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_hostile_manifest_is_refused(program, exported, tmp_path, kind):
    edit, reason = MANIFESTS[kind]
    copy = shutil.copytree(exported("cnn2").path, tmp_path / "copy")
    file = copy / "manifest.json"
    file.write_text(edit(json.loads(file.read_text())))
    assert reason in program("open", copy, code=3)


def test_a_name_that_a_terminal_would_obey_is_made_plain_as_in_python(program, exported, tmp_path):
    copy = shutil.copytree(exported("cnn2").path, tmp_path / "copy")
    file = copy / "manifest.json"
    manifest = json.loads(file.read_text())
    for output, name in zip(manifest["outputs"], ("a\x1b[2J\n\u202eb\x85", "\u00e9" * 400, "\U0001f600"), strict=False):
        output["name"] = name
    manifest["results"] = {"": manifest["outputs"][-1]["name"]}
    file.write_text(json.dumps(manifest))
    names = open_artifact(copy).manifest.output_names
    assert program("open", copy).splitlines()[-1 - len(names) : -1] == names


PICTURES = {
    "JPEG": (b"\xff\xd8\xff", "doesn't start with P6"),
    "text": (b"P6\nlarge 2 255\n", "size is out of range"),
    "16 bits": (b"P6 1 1 65535\n" + bytes(6), "8 bits for each colour"),
    "huge": (b"P6 80000000 80000000 255\n", "too many pixels"),
    "overflowing": (b"P6 " + b"9" * 100 + b" 1 255\n", "size is out of range"),
    "cut": (b"P6 2 2 255\n" + bytes(11), "truncated"),
    "comment without end": (b"P6 # a", "size is out of range"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_hostile_picture_is_refused(program, tmp_path, kind):
    content, reason = PICTURES[kind]
    (tmp_path / "a.ppm").write_bytes(content)
    assert reason in program("ppm", tmp_path / "a.ppm", tmp_path / "b.ppm", code=3)


def test_a_picture_of_pillow_is_read_and_written(program, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.ppm")
    (tmp_path / "a.ppm").write_bytes((tmp_path / "a.ppm").read_bytes().replace(b"P6\n", b"P6\n# of Pillow\n", 1))
    program("ppm", tmp_path / "a.ppm", tmp_path / "b.ppm")
    assert (np.asarray(Image.open(tmp_path / "b.ppm")) == pixels).all()
    assert "is no regular file" in program("ppm", tmp_path, tmp_path / "c.ppm", code=3)
    assert "can't be written" in program("ppm", tmp_path / "a.ppm", tmp_path / "no" / "c.ppm", code=3)
