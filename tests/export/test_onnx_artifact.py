"""The artifact of an ONNX file: what is written, recorded, run and verified, and the commands on it."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_making import constant, node, save, value, weight
from PIL import Image

from export.onnx_artifact import export_onnx
from probe.onnx_model.loading import load_onnx
from proofs.planted_faults import edited_model
from runtime import open_artifact, open_runner, verify

X = value("x", "n", 3, 8, 8)
NODES = [
    node("Conv", ["x", "w", "b"], ["conv"], "stem/conv", kernel_shape=[3, 3]),
    node("Relu", ["conv"], ["relu"], "stem/act"),
    node("GlobalAveragePool", ["relu"], ["pool"]),
    node("Flatten", ["pool"], ["flat"]),
    node("Gemm", ["flat", "head"], ["y"], "head"),
]
WEIGHTS = [weight("w", 4, 3, 3, 3), weight("b", 4), weight("head", 4, 5)]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return save(tmp_path_factory.mktemp("theirs") / "theirs.onnx", NODES, [X], ["y"], WEIGHTS)


@pytest.fixture(scope="module")
def artifact(theirs):
    loaded = load_onnx(theirs)
    folder = theirs.parent / "artifact"
    return open_artifact(export_onnx(loaded.probe, folder, preprocessing=loaded.preprocessing))


@pytest.fixture
def made(tmp_path):
    """Return the artifact of a file that is made of what `save` takes."""

    def make(*given, size=(), inputs=(), **more):
        loaded = load_onnx(save(tmp_path / "theirs.onnx", *given, **more), size=size, inputs=inputs)
        folder = export_onnx(
            loaded.probe, tmp_path / "artifact", preprocessing=loaded.preprocessing, reference_inputs=loaded.given
        )
        return open_artifact(folder)

    return make


def recorded(artifact):
    return {each.name: each for each in artifact.references()}


def test_the_manifest_says_that_an_onnx_file_was_the_model(artifact):
    manifest = artifact.manifest
    assert (manifest.model, manifest.capture, manifest.capture_reason) == ("theirs", "onnx", None)
    assert (manifest.versions.torch, manifest.versions.opset, manifest.recipe) == (None, 17, None)
    assert manifest.left_out == dict.fromkeys(("model.pt2", "model.torchscript.pt"), "the model is an ONNX file")
    vectors = ["test_photo.png", "test_vectors.safetensors"]
    assert sorted(manifest.files) == ["model.onnx", "operations.json", "reference.safetensors", *vectors]
    assert manifest.output_names == ["conv", "relu", "pool", "flat", "y"]
    assert manifest.results == {"": "y"}
    assert manifest.preprocessing.layout == "NCHW"


def test_every_value_is_computed_by_onnx_runtime_and_equals_the_files_own(artifact, theirs):
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    got = open_runner(artifact, "onnx-cpu").run({"x": x})
    assert list(got) == artifact.manifest.output_names
    exact = dict(load_onnx(theirs).probe.graph().walk({"x": x}))
    for name, array in got.items():
        np.testing.assert_allclose(array, exact[name], rtol=1e-5, atol=1e-5)


def test_the_recorded_inputs_try_noise_strong_noise_a_photo_and_a_batch(artifact):
    inputs = recorded(artifact)
    assert list(inputs) == ["noise", "strong noise", "a photo", "a batch of 3"]
    assert inputs["a batch of 3"].inputs["x"].shape == (3, 3, 8, 8)


def test_an_open_size_is_tried_at_odd_sizes(made):
    inputs = recorded(made(NODES, [value("x", "n", 3, "h", "w")], ["y"], WEIGHTS, size=(8, 8)))
    sizes = [each.inputs["x"].shape[2:] for name, each in inputs.items() if name.startswith("a size of")]
    assert len(sizes) == 2
    assert all(side % 2 for size in sizes for side in size)


def test_what_no_recorded_input_tries_is_noted(made):
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"]),
        node("Clip", ["c", "", "high"], ["clip"]),
        node("Relu", ["clip"], ["y"]),
    ]
    bias = constant("b", [-100, 0, 0, 0], "float32")
    references = made(nodes, [X], ["y"], [WEIGHTS[0], bias, constant("high", 1e6, "float32")]).references()
    assert {each.untried["clip"] for each in references} == {frozenset({"its input is never above 1e+06"})}
    assert {each.zero_channels["y"] for each in references} == {frozenset({0})}


def test_what_a_clamp_reads_may_be_read_by_any_operator(made):
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"]),
        node("Relu", ["c"], ["relu"]),
        node("Mul", ["c", "relu"], ["y"]),
    ]
    references = made(nodes, [X], ["y"], WEIGHTS).references()
    assert all("y" not in each.untried for each in references)


def test_the_users_own_inputs_are_recorded_in_place_of_drawn_ones(made, tmp_path):
    given = np.random.default_rng(2).standard_normal((1, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", given)
    inputs = recorded(made(NODES, [X], ["y"], WEIGHTS, inputs=[tmp_path / "x.npy"]))
    assert list(inputs) == [str(tmp_path / "x.npy"), "a batch of 3"]
    np.testing.assert_array_equal(inputs[str(tmp_path / "x.npy")].inputs["x"], given)


SOUND = {
    "float16": ([node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])], "float16"),
    "bytes": ([node("Cast", ["x"], ["f"], to=1), node("Conv", ["f", "v"], ["y"])], "uint8"),
    "a result that is the input": ([node("Conv", ["x", "v"], ["y"]), node("Identity", ["x"], ["same"])], "float32"),
}


@pytest.mark.parametrize("sound", SOUND)
def test_a_sound_file_passes(made, sound):
    nodes, dtype = SOUND[sound]
    weights = [weight("w", 4, 3, 3, 3, dtype="float16"), weight("v", 4, 3, 3, 3)]
    report = verify(made(nodes, [value("x", "n", 3, 8, 8, dtype=dtype)], ["y", "x"], weights), ["onnx-cpu"])
    assert [runner.verdict for runner in report.runners] == ["pass"]


def test_loops_branches_and_scans_pass(made):
    loop = helper.make_graph(
        [node("Mul", ["v", "half"], ["u"]), node("Add", ["u", "c"], ["s"]), node("Identity", ["go"], ["on"])],
        "loop",
        [value("i", dtype="int64"), value("go", dtype="bool"), helper.make_empty_tensor_value_info("v")],
        [value("on", dtype="bool"), *map(helper.make_empty_tensor_value_info, ("s", "u"))],
    )
    scan = helper.make_graph(
        [node("Add", ["state", "row"], ["sum"]), node("Identity", ["sum"], ["out"])],
        "scan",
        [value("state", 4), value("row", 4)],
        [value("sum", 4), value("out", 4)],
    )
    nodes = [
        node("Relu", ["x"], ["c"]),
        node("Loop", ["trips", "", "c"], ["last", "each"], body=loop),
        node(
            "Scan",
            ["start", "last"],
            ["end", "rows"],
            body=scan,
            num_scan_inputs=1,
            scan_input_directions=[1],
            scan_output_directions=[1],
            scan_output_axes=[1],
        ),
    ]
    weights = [constant("trips", 3), constant("half", 0.5, "float32"), weight("start", 4)]
    artifact = made(nodes, [value("x", 5, 4)], ["each", "end", "rows"], weights)
    assert {output.name: output.shape for output in artifact.manifest.outputs}["rows"] == (4, 5)
    report = verify(artifact, ["onnx-cpu"])
    assert [runner.verdict for runner in report.runners] == ["pass"]


def test_a_branch_that_fits_no_input_of_this_size_is_no_obstacle(made, tmp_path):
    """ONNX Runtime looks at both branches when it opens a file, with all that it knows of the sizes."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [node("Add", ["x", table], ["inside"])], name, [], [helper.make_empty_tensor_value_info("inside")]
        )
        for name, table in (("then", "of4"), ("else", "of5"))
    }
    nodes = [node("Equal", ["kind", "one"], ["first"]), node("If", ["first"], ["y"], **branches)]
    np.savez(tmp_path / "in.npz", x=np.ones((1, 4), np.float32), kind=np.array(1))
    artifact = made(
        nodes,
        [value("x", "n", "length"), value("kind", dtype="int64")],
        ["y"],
        [weight("of4", 4), weight("of5", 5), constant("one", 1)],
        inputs=[tmp_path / "in.npz"],
    )
    assert [runner.verdict for runner in verify(artifact, ["onnx-cpu"]).runners] == ["pass"]


def test_a_fault_of_the_runtime_is_found_and_named(artifact, stand_in, tmp_path):
    """It computes with another bias, as a runtime with a fault of its own would."""
    folder = shutil.copytree(artifact.path, tmp_path / "faulty")
    with edited_model(folder) as model:
        bias = next(each for each in model.graph.initializer if each.name == "b")
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(1e-3), "b"))
    faulty = open_artifact(folder)
    stand_in("onnx-cpu", lambda artifact, settings, outputs, opened: opened(faulty, settings, outputs))
    report = verify(artifact, ["onnx-cpu"])
    (runner,) = report.runners
    assert runner.verdict == "drift"
    assert (runner.culprit.output, runner.culprit.cause) == ("conv", "runtime")
    assert report.headline.startswith("Conv 3x3 conv introduced the largest error in onnx-cpu: ")


def test_a_photo_of_channels_last_is_fed_and_drawn_as_such(made, layerprobe, photo, tmp_path):
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w"], ["c"]),
        node("Transpose", ["c"], ["y"], perm=[0, 2, 3, 1]),
    ]
    artifact = made(nodes, [value("x", None, None, None, 3)], ["y"], WEIGHTS[:1], size=(16, 24))
    assert artifact.manifest.preprocessing.layout == "NHWC"
    assert recorded(artifact)["a photo"].inputs["x"].shape == (1, 16, 24, 3)
    done = layerprobe("run", artifact.path, photo, "-o", tmp_path / "t.safetensors")
    assert done.code == 0, done.err
    done = layerprobe("grid", artifact.path, photo, "-o", tmp_path / "maps.png")
    assert done.code == 0, done.err
    assert Image.open(tmp_path / "maps.png").width > 50


def test_nodes_lists_outputs_and_what_is_skipped(layerprobe, theirs):
    done = layerprobe("nodes", theirs, "--skipped")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "theirs (ONNX, opset 17), outputs: 5, skipped: 1",
        "name    label              shape          source  alias of  returned as",
        "stem  ",
        "  conv  Conv 3x3           N x 4 x 6 x 6",
        "  relu  Relu               N x 4 x 6 x 6",
        "pool    GlobalAveragePool  N x 4 x 1 x 1",
        "flat    Flatten            N x 4                  pool",
        "y       Gemm               N x 5                            the result",
        "",
        "skipped:",
        "x  an input of the model",
    ]
    document = json.loads(layerprobe("nodes", theirs, "--json", "--op", "Conv").out)
    assert (document["capture"], [each["name"] for each in document["outputs"]]) == ("onnx", ["conv"])


def test_export_selects_and_says_what_was_written(layerprobe, theirs, tmp_path):
    folder = tmp_path / "made"
    done = layerprobe("export", theirs, "-o", folder, "--outputs", "rel*")
    assert (done.code, done.out) == (0, f"{folder}: theirs as ONNX, outputs: 2\n")
    assert open_artifact(folder).manifest.output_names == ["relu", "y"]
    assert layerprobe("export", theirs, "-o", folder).code == 2
    done = layerprobe("export", theirs, "-o", folder, "--overwrite", "--op", "Conv")
    assert open_artifact(folder).manifest.output_names == ["conv", "y"]
    done = layerprobe("export", theirs, "-o", folder, "--overwrite", "--depth", 1)
    assert open_artifact(folder).manifest.output_names == ["relu", "y"]


def test_a_changed_mean_is_written_and_one_of_another_number_of_channels_refused(layerprobe, theirs, tmp_path):
    done = layerprobe("export", theirs, "-o", tmp_path / "a", "--mean", "0.5,0.5,0.5", "--std", "1,1,1")
    assert done.code == 0
    assert open_artifact(tmp_path / "a").manifest.preprocessing.mean == [0.5, 0.5, 0.5]
    done = layerprobe("export", theirs, "-o", tmp_path / "b", "--mean", "0.5")
    assert (done.code, done.err) == (
        3,
        "layerprobe: The model takes 3 channels: pass that many numbers for --mean and --std.\n",
    )


@pytest.mark.parametrize(
    "option",
    [
        ("--averaged",),
        ("--weights", "w.pt"),
        ("--seed", "3"),
        ("--submodule", "stem"),
        ("--leaf", "Conv"),
        ("--capture", "trace"),
        ("--dynamic-size",),
    ],
)
def test_options_for_pytorch_models_are_refused(layerprobe, theirs, tmp_path, option):
    done = layerprobe("export", theirs, "-o", tmp_path / "a", *option)
    assert done.code == 2
    assert f"{option[0]} is for PyTorch models, and MODEL is an ONNX file: omit it" in " ".join(done.err.split())
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("option", [("--submodule", "stem"), ("--leaf", "Conv"), ("--capture", "trace")])
def test_nodes_refuses_them_too(layerprobe, theirs, option):
    done = layerprobe("nodes", theirs, *option)
    assert done.code == 2
    assert f"{option[0]} is for PyTorch models, and MODEL is an ONNX file: omit it" in " ".join(done.err.split())


def test_an_input_of_another_name_says_what_the_file_takes(layerprobe, theirs, tmp_path):
    np.savez(tmp_path / "in.npz", z=np.ones(3))
    done = layerprobe("verify", theirs, "-q", "--input", tmp_path / "in.npz")
    assert (done.code, done.err.splitlines()) == (
        3,
        [
            f"layerprobe: {tmp_path / 'in.npz'} holds z, and theirs.onnx takes x (n x 3 x 8 x 8, float32).",
            "numpy.savez(file, x=array) writes what it takes.",
        ],
    )


def test_a_file_is_verified_at_once_with_reports_of_every_form(layerprobe, theirs, tmp_path):
    forms = {"--html": "r.html", "--json": "r.json", "--junit": "r.xml"}
    options = [part for option, name in forms.items() for part in (option, tmp_path / name)]
    done = layerprobe("verify", theirs, "-q", "--runner", "onnx-cpu", *options)
    assert done.code == 0, done.err
    assert "onnx-cpu: all 5 outputs pass" in done.out
    assert all((tmp_path / name).stat().st_size > 500 for name in forms.values())
    assert json.loads((tmp_path / "r.json").read_text())["runners"][0]["verdict"] == "pass"


def test_an_artifact_is_benched(layerprobe, artifact):
    done = layerprobe("bench", artifact.path, "--runner", "onnx-cpu", "--repeats", "2")
    assert done.code == 0, done.err
    assert "onnx-cpu" in done.out


@pytest.mark.parametrize("command", [["run", "-o", "t.safetensors"], ["bench"]])
def test_commands_for_artifacts_say_how_to_make_one_of_a_file(layerprobe, theirs, photo, command):
    name, *options = command
    done = layerprobe(name, theirs, *([photo] if name != "bench" else []), *options)
    assert done.code == 3
    assert done.err.splitlines() == [
        f"layerprobe: {theirs} is not an artifact: "
        "neither a folder nor a model file with layerprobe's manifest inside.",
        f"`layerprobe export {theirs} -o FOLDER` makes one.",
    ]


def test_a_file_of_anothers_is_listed_drawn_exported_and_verified_without_torch(theirs, tmp_path, photo):
    code = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "onnxscript"}:
            raise ModuleNotFoundError(f"{name} is blocked in this test", name=name)
sys.meta_path.insert(0, Block())
from runtime.main import main
file, folder, photo = sys.argv[1:]
for command in (
    ["nodes", file],
    ["grid", file, photo, "-o", f"{folder}.png"],
    ["export", file, "-o", folder],
    ["verify", file, "--runner", "onnx-cpu"],
    ["verify", folder, "--runner", "onnx-cpu"],
):
    try:
        main(command)
    except SystemExit as stop:
        assert not stop.code, (command, stop.code)
print("alone")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(theirs), str(tmp_path / "made"), str(photo)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("alone\n")


def test_a_weight_altered_in_the_artifact_is_noticed(artifact, tmp_path, layerprobe):
    folder = shutil.copytree(artifact.path, tmp_path / "copy")
    model = onnx.load(folder / "model.onnx")
    tensor = next(each for each in model.graph.initializer if each.name == "head")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(2), "head"))
    onnx.save(model, folder / "model.onnx")
    done = layerprobe("verify", folder, "-q")
    assert done.code == 3
    assert "was altered after the export" in done.err
