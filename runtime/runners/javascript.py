"""onnx-node, onnx-web: an artifact in the ONNX Runtime of Node and of the browser, in a process of Node.

`node_process.py` starts it, and `runtime/javascript/runner/` is what it does.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load, save

from ..artifact.errors import RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from .base import BoundRun, Runner, refuse_bfloat16
from .declared_tensors import Declared, refuse_other_tensors
from .input_check import check_inputs
from .machine import Facts, cpu_name
from .memory_need import refuse_large_outputs
from .node_process import NodeError, NodeProcess
from .node_support import PROGRAM, find_chromium, node_modules, why_no_browser
from .onnx_session import computes_on_tensors

__all__ = ["JavaScriptRunner"]

_IN_BROWSER = ("wasm-browser", "webgpu")
"""Of the backends of ONNX Runtime Web, those for which a browser is started."""
_PROVIDERS = {"native": "cpu", "wasm": "wasm", "wasm-browser": "wasm", "webgpu": "webgpu"}


class JavaScriptRunner(Runner):
    """ONNX Runtime in Node (the target `node`), or ONNX Runtime Web (`web`) under Node or in headless Chromium.

    Of the settings, `threads`, `graph_optimization` and `web_backend` apply; `spins` in Node only.
    """

    file = ONNX_FILE
    runtime = "ONNX Runtime"
    elsewhere = True

    def _open(self, artifact: Artifact) -> None:
        refuse_bfloat16(self.manifest, self.name)
        backend = self.settings.web_backend if self.target == "web" else "native"
        chromium = self._browser() if backend in _IN_BROWSER else ""
        cut = artifact.onnx(self.names)
        request = {
            "do": "open",
            "backend": backend,
            "modules": str(node_modules()),
            "folder": str(cut.folder),
            "files": [cut.path.name, *cut.beside],
            "level": self.settings.graph_optimization,
            "threads": self.settings.threads,
            "spins": self.settings.spins,
            "chromium": chromium,
        }
        try:
            self._node, opened = _opened(request, cut.content)
        except NodeError as error:
            instead = "--web-backend wasm" if backend in _IN_BROWSER else "--runner onnx-cpu"
            raise RunnerUnavailable(
                f"{self.name} can't run {self.manifest.model}: {first_line(error)}\nUse {instead}."
            ) from error
        refuse_other_tensors(artifact, _declared(opened["inputs"]), _declared(opened["outputs"]), self.names)
        self.providers = [_PROVIDERS[backend]]
        self.misplaced = self._misplaced(opened["elsewhere"])
        self.facts = self._facts_of(backend, opened["facts"])

    def _compute(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.ask("feed", save(dict(inputs)))
        self.ask("run")
        return self.fetch()

    def bind(self, inputs: Mapping[str, NDArray[Any]]) -> BoundRun:
        """Leave inputs and outputs in Node: a run is timed without the pipes, through which they are fetched."""
        checked = check_inputs(self.manifest, inputs)
        refuse_large_outputs(self.manifest, self.names, checked)
        return _InNode(self, checked)

    def fetch(self) -> dict[str, NDArray[Any]]:
        """Return the outputs of the last run by name."""
        arrays = load(self.ask("fetch"))
        return {name: arrays[name] for name in self.names}

    def ask(self, request: str, content: bytes = b"") -> bytes:
        """Return what Node answers.

        Raises:
            ExecutionError: that it failed, or it has ended.
        """
        try:
            return self._node.ask({"do": request}, content)[1]
        except NodeError as error:
            raise self._failure(error) from error

    def _browser(self) -> str:
        reason = why_no_browser()
        if reason:
            raise RunnerUnavailable(f"--web-backend {self.settings.web_backend} was requested, but {reason}.")
        return str(find_chromium())

    def _misplaced(self, elsewhere: list[dict[str, str]] | None) -> list[str]:
        if elsewhere is None:
            return ["all nodes"]
        outputs = set(self.manifest.output_names)
        return [
            f"{node['operation']} {node['name']}"
            for node in elsewhere
            if computes_on_tensors(node["name"], node["operation"], outputs)
        ]

    def _facts_of(self, backend: str, read: Mapping[str, Any]) -> Facts:
        facts: Facts = {
            "runtime": "ONNX Runtime in Node" if backend == "native" else "ONNX Runtime Web",
            "version": read["version"],
        }
        if backend != "native":
            facts["backend"] = _PROVIDERS[backend]
        # Of the CPU that WebGPU doesn't compute on, nothing explains a drift.
        if backend != "webgpu":
            facts["device"] = cpu_name()
        facts["graph_optimization"] = self.settings.graph_optimization
        return facts | {name: value for name, value in read.items() if name != "version"}


class _InNode:
    """A model whose inputs and outputs stay in Node."""

    on_device = True

    def __init__(self, runner: JavaScriptRunner, inputs: Mapping[str, NDArray[Any]]) -> None:
        self._runner = runner
        runner.ask("feed", save(dict(inputs)))
        self.run()

    def run(self) -> None:
        self._runner.ask("run")

    def arrays(self) -> dict[str, NDArray[Any]]:
        return self._runner.fetch()


def _opened(request: Mapping[str, Any], model: bytes) -> tuple[NodeProcess, dict[str, Any]]:
    """Return a process that has opened a model, and what it says of it.

    Raises:
        NodeError: it can't; then it has ended.
    """
    node = NodeProcess(PROGRAM)
    try:
        return node, node.ask(request, model)[0]
    except NodeError:
        node.close()
        raise


def _declared(tensors: list[dict[str, Any]]) -> list[Declared]:
    return [Declared(each["name"], each["dtype"], each["shape"]) for each in tensors]
