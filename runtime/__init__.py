"""artifact -> tensors, pictures, verdicts: everything that needs neither the model's source nor (for ONNX) PyTorch.

Rooms, the lowest first; each imports only lower ones:
artifact/: the contract of all three packages: manifest, reference, files, selection, errors, safe reading
runners/: every way to execute an artifact: ONNX Runtime, TorchScript, OpenVINO; GPU, memory, settings
maps/: tensors -> pictures: mean over the channels, colours, tiles, pages, files
float64/: an ONNX graph evaluated in float64, and what float32 may lose in each operator
runs/: photos and arrays in, recorded tensors out; preprocessing
bench/: what running costs: time and memory
scan/: a folder of images through the model: statistics of every layer and channel, as Parquet
cam/: class activation maps of a photo, without gradients
verdict/: who is wrong, where, by how much
reporting/: a report as table, JSON, HTML, JUnit; comparison with a baseline
page/: a static page that draws maps in the browser, with ONNX Runtime Web
notebook/: what Jupyter shows; statistics of tensors

The command line, on top:
__main__.py: `python -m runtime`
main.py: the process `layerprobe`: signals (Ctrl-C), the exit, without slow imports
commands.py: table of subcommands, their order in help and docs, did you mean; errors -> exit codes (70: a bug)
library_messages.py: warnings and logs of libraries, which stay off stderr; those of a model's own source are shown
cli.py: run, bench, stats, demo: options and order of steps; --strict
grid_cli.py: grid: which outputs, --channels, --page, --all-pages; several photos or --against side by side
verify_cli.py: verify and compare: --against, --tensors, --goal, --baseline; the exit code, of what can't run too
scan_cli.py: scan: --limit, --sample, --classes, --keep; broken images, exit code 3
scan_against.py: scan --against: two runners, a file of the same model, another model; opened, judged on the worst
page_cli.py: page: --webgpu, --verdict, --runtime-files
cli_options.py: options made from tables: settings, --runner, --provider, --input-size, --trust, report forms
model_source.py: a model, ONNX file or artifact -> an open artifact, made for the moment; verify_candidate
drawn_model.py: an artifact, ONNX file, model's name or module -> what is drawn: captured for one photo, not exported
model_picture.py: lp.show: a model and a photo -> the picture
overwrite_check.py: -o and report files: refuses to replace an input, the artifact or a file of the user's
terminal.py: how tables, status lines, progress bars (from ten images on), left-out runners and what ran are printed
demo.py: `layerprobe demo`: exports, draws and verifies the built-in models

Beside them, for other languages: `cpp/`, headers for an artifact's files, preprocessing and maps (`layerprobe.hpp`
lists them), and `javascript/`, the npm package, in Node and in a page (`src/index.js` lists it).

The public names are in `__init__.pyi`. Each is imported on first use, so that drawing a picture doesn't load what
verifying needs.
"""

import os

# Read by ONNX Runtime as it is imported: it would prepare to send telemetry, and leave an identifier of this machine
# among the temporary files. `disable_telemetry_events`, later, stops the sending only.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> object:
    # With the first public name: the command line needs none, and reading the stub takes 30 ms of its start.
    import lazy_loader

    found = lazy_loader.attach_stub(__name__, __file__)
    globals().update(zip(("__getattr__", "__dir__", "__all__"), found, strict=True))
    return globals()["__all__"] if name == "__all__" else found[0](name)


def __dir__() -> object:
    return __getattr__("__all__")
