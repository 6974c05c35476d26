"""`layerprobe run` on what is no photo: arrays of several inputs, of features, of batches; and its saved inputs."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch_file
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import Preprocessing, open_artifact, open_run, open_runner
from runtime.artifact.errors import InputError
from runtime.runs.input_files import input_files, read_inputs

GENERATOR = np.random.default_rng(0)


class Pair(nn.Module):
    """Two features, and a table that has no batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, left, right, table):
        return self.conv(left - right).mean((2, 3)) @ table.sin()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    example = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4), torch.randn(2, 2)
    return open_artifact(export_artifact(build_probe(Pair().eval(), *example), tmp_path_factory.mktemp("pair") / "a"))


def features(batch=1, table=None):
    """Return inputs of `Pair`."""
    left, right = (GENERATOR.standard_normal((batch, 3, 4, 4)).astype(np.float32) for _ in range(2))
    return {"left": left, "right": right, "table": np.eye(2, dtype=np.float32) if table is None else table}


@pytest.fixture(scope="module")
def conv(tmp_path_factory):
    """An artifact of a model of photos, of any size."""
    torch.manual_seed(0)
    steps = Preprocessing(resize=12, crop=(12, 12), mean=[0.5] * 3, std=[0.5] * 3)
    probe = build_probe(nn.Sequential(nn.Conv2d(3, 2, 3)).eval(), torch.randn(1, 3, 12, 12), dynamic_size=True)
    return open_artifact(export_artifact(probe, tmp_path_factory.mktemp("conv") / "a", preprocessing=steps))


def test_a_model_of_several_inputs_is_run_on_files_of_each_kind_stacked_in_their_order(pair, tmp_path, layerprobe):
    one, two = features(), features(batch=3)
    np.savez(tmp_path / "one.npz", **one)
    save_file(two, tmp_path / "two.safetensors")
    out = tmp_path / "out.safetensors"
    done = layerprobe("run", pair.path, tmp_path / "one.npz", tmp_path / "two.safetensors", "-o", out, "--save-input")
    assert done.code == 0, done.err
    assert "inputs: 4, by onnx-" in done.out
    arrays = load_file(out)
    both = {name: np.concatenate([one[name], two[name]]) for name in ("left", "right")} | {"table": one["table"]}
    for name, array in both.items():
        assert (arrays[f"input:{name}"] == array).all()
    for name, array in open_runner(pair, "onnx-cpu").run(both).items():
        np.testing.assert_allclose(arrays[name], array, atol=1e-6, err_msg=name)
    with safe_open(out, framework="np") as opened:
        metadata = opened.metadata()
    assert json.loads(metadata["layerprobe.images"]) == [str(tmp_path / "one.npz"), str(tmp_path / "two.safetensors")]
    assert metadata["layerprobe.file"] == "model.onnx"


def test_what_was_saved_with_a_run_is_an_input_of_run_verify_and_export(pair, tmp_path, layerprobe):
    np.savez(tmp_path / "one.npz", **features(batch=2))
    first, again = tmp_path / "first.safetensors", tmp_path / "again.safetensors"
    assert layerprobe("run", pair.path, tmp_path / "one.npz", "-o", first, "--save-input").code == 0
    assert layerprobe("run", pair.path, first, "-o", again).code == 0
    compared = layerprobe("compare", first, again)
    assert compared.code == 0, compared.err
    assert set(open_run(first)) == set(pair.manifest.output_names)
    done = layerprobe("verify", pair.path, "--input", first, "--runner", "onnx-cpu")
    assert done.code == 0, done.err
    refused = layerprobe("run", pair.path, again, "-o", tmp_path / "no.safetensors")
    assert refused.code == 3
    assert "again.safetensors is a recorded run without its inputs.\n`layerprobe run --save-input`" in refused.err


def test_the_recorded_input_is_saved_as_well(pair, tmp_path, layerprobe):
    out = tmp_path / "out.safetensors"
    assert layerprobe("run", pair.path, "--recorded-input", "--save-input", "-o", out).code == 0
    arrays = load_file(out)
    for name, array in pair.reference().inputs.items():
        assert (arrays[f"input:{name}"] == array).all()


def test_photos_and_arrays_are_stacked_in_their_order_and_saved_as_the_model_got_them(conv, tmp_path, layerprobe):
    for name, level in (("a", 0), ("c", 255)):
        Image.new("RGB", (16, 16), (level,) * 3).save(tmp_path / f"{name}.png")
    np.save(tmp_path / "b.npy", np.full((2, 3, 12, 12), 0.25))
    files = [tmp_path / name for name in ("a.png", "b.npy", "c.png")]
    out = tmp_path / "out.safetensors"
    done = layerprobe("run", conv.path, *files, "-o", out, "--save-input")
    assert done.code == 0, done.err
    arrays = load_file(out)
    assert arrays["input:input"][:, 0, 0, 0].tolist() == [-1, 0.25, 0.25, 1]
    assert arrays["0"].shape == (4, 2, 10, 10)


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ([np.zeros((1, 3, 12, 12)), np.zeros((1, 3, 12, 14))], 2, "0 is N x 2 x 10 x 10 and N x 2 x 10 x 12: give"),
        (
            [np.zeros((1, 3, 12, 12)), np.zeros((1, 4, 12, 12))],
            3,
            "1.npy: Sequential takes input (N x 3 x H x W",
        ),
        ([np.zeros((1, 3, 12, 12), np.int64)], 3, "it was given input (1 x 3 x 12 x 12, int64)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_and_nothing_is_written(conv, tmp_path, layerprobe, arrays, code, said):
    files = [tmp_path / f"{number}.npy" for number in range(len(arrays))]
    for file, array in zip(files, arrays, strict=True):
        np.save(file, array)
    out = tmp_path / "out.safetensors"
    refused = layerprobe("run", conv.path, *files, "-o", out)
    assert refused.code == code, refused
    assert said in refused.err
    assert not out.exists()


def test_a_table_that_differs_between_files_and_a_photo_for_features_are_refused(pair, photo, tmp_path, layerprobe):
    for number in range(2):
        np.savez(tmp_path / f"{number}.npz", **features(table=np.full((2, 2), number, np.float32)))
    out = tmp_path / "out.safetensors"
    refused = layerprobe("run", pair.path, tmp_path, "-o", out)
    assert (refused.code, out.exists()) == (2, False)
    assert "table has no batch, and is not the same in all files: run them one by one" in refused.err
    refused = layerprobe("run", pair.path, photo, "-o", out)
    assert refused.code == 3
    assert 'numpy.savez("F.npz", left=array, right=array, table=array)' in refused.err
    refused = layerprobe("run", pair.path, tmp_path / "0.npz", "-o", out, "--input-size", 8)
    assert refused.code == 2
    assert "--input-size applies to images only" in refused.err


def test_arrays_of_other_names_or_shapes_are_refused_with_their_file_in_every_command(pair, tmp_path, layerprobe):
    folder = tmp_path / "given"
    folder.mkdir()
    np.savez(folder / "named.npz", **{"other": np.zeros(1), **features()})
    np.savez(folder / "shaped.npz", **features() | {"left": np.zeros((1, 2, 4, 4), np.float32)})
    np.savez(folder / "sound.npz", **features())
    said = {
        "named.npz": "named.npz holds other, left, right, table, and Pair takes left (N x 3 x 4 x 4, float32), right",
        "shaped.npz": "shaped.npz: Pair takes left (N x 3 x 4 x 4, float32); it was given left (1 x 2 x",
    }
    for name, words in said.items():
        for command in (
            ("run", pair.path, folder / name, "-o", tmp_path / "o.safetensors"),
            ("verify", pair.path, "--runner", "onnx-cpu", "--input", folder / "sound.npz", "--input", folder / name),
        ):
            refused = layerprobe(*command)
            assert (refused.code, words in refused.err) == (3, True), refused.err
    listed = layerprobe("scan", pair.path, folder, "-o", tmp_path / "s")
    assert (listed.code, "2 of 3 images can't be read" in listed.err) == (3, True)
    assert all(words in listed.err for words in said.values())


def test_bfloat16_and_other_types_in_safetensors_are_read_as_the_input_has_them(pair, tmp_path):
    given = {name: torch.from_numpy(array) for name, array in features().items()}
    save_torch_file({name: array.bfloat16() for name, array in given.items()}, tmp_path / "half.safetensors")
    (read,) = read_inputs([tmp_path / "half.safetensors"], pair.manifest.inputs, None, "Pair").values()
    assert all(array.dtype == np.float32 for array in read.values())
    assert all((read[name] == array.bfloat16().float().numpy()).all() for name, array in given.items())
    save_torch_file({name: array.to(torch.float8_e4m3fn) for name, array in given.items()}, tmp_path / "f8.safetensors")
    with pytest.raises(InputError, match=r"f8.safetensors: the type of \w+ is unknown. Write it as F32."):
        read_inputs([tmp_path / "f8.safetensors"], pair.manifest.inputs, None, "Pair")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "half.safetensors").read_bytes()[:90])
    with pytest.raises(InputError, match="can't be read as safetensors"):
        read_inputs([tmp_path / "cut.safetensors"], pair.manifest.inputs, None, "Pair")
    save_file({"left\x1b": np.zeros(1)}, tmp_path / "names.safetensors")
    with pytest.raises(InputError, match=r"names.safetensors holds left\?, and Pair takes left"):
        read_inputs([tmp_path / "names.safetensors"], pair.manifest.inputs, None, "Pair")


def test_a_folder_of_photos_stays_one_when_a_run_was_written_into_it(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    save_file({"x": np.zeros(1)}, tmp_path / "out.safetensors")
    assert input_files([tmp_path]) == [tmp_path / "a.png"]
    (tmp_path / "a.png").unlink()
    assert input_files([tmp_path]) == [tmp_path / "out.safetensors"]


def test_photos_and_arrays_in_one_folder_are_refused_by_name_and_nothing_is_left_out(conv, pair, tmp_path, layerprobe):
    mixed = tmp_path / "mixed"
    for name in ("cats/b.png", "cats/a.png"):
        (mixed / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(mixed / name)
    np.save(mixed / ".hidden.npy", np.zeros(1))
    run = ("run", conv.path, mixed, "-o", tmp_path / "out.safetensors")
    assert "images: 2" in layerprobe(*run).out
    np.save(mixed / "x.npy", np.zeros((1, 3, 12, 12), np.float32))
    for command in (
        run,
        ("scan", conv.path, mixed, "-o", tmp_path / "s"),
        ("scan", conv.path, f"file://{mixed}", "-o", tmp_path / "s"),
        ("verify", conv.path, "--input", mixed, "--runner", "onnx-cpu"),
        ("verify", conv.path / "model.onnx", "--against", conv.path, "--input", mixed),
    ):
        refused = layerprobe(*command)
        assert refused.code == 3, command
        assert "mixed holds images (cats/a.png and 1 more) and arrays (x.npy): only one kind is read.\n" in refused.err
    # No photo is an input of a model of arrays: these are meant, in folders below as well.
    assert input_files([mixed], takes_photos=False) == [mixed / "x.npy"]
    (mixed / "x.npy").unlink()
    np.savez(mixed / "cats" / "one.npz", **features())
    assert "inputs: 1" in layerprobe("run", pair.path, mixed, "-o", tmp_path / "out.safetensors").out


def test_a_recorded_input_of_several_images_is_run_as_one_batch(tmp_path, layerprobe):
    probe = build_probe(nn.Sequential(nn.Conv2d(3, 2, 3)).eval(), torch.randn(1, 3, 6, 6))
    mine = {"two": (torch.randn(2, 3, 6, 6),)}
    artifact = open_artifact(export_artifact(probe, tmp_path / "a", reference_inputs=mine))
    done = layerprobe("run", artifact.path, "--recorded-input", "-o", tmp_path / "out.safetensors")
    assert done.code == 0, done.err
    assert load_file(tmp_path / "out.safetensors")["0"].shape == (2, 2, 4, 4)
