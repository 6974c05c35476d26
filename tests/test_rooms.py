"""Who may import whom, and whether each package's docstring lists its files: what breaks a rule is named with the rule.

The rooms are described in CONTRIBUTING.md; here they are a table.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from conftest import ROOT

PACKAGES = {
    "runtime": {"runtime"},
    "probe": {"probe", "runtime.artifact", "runtime.float64", "runtime.runs.input_files"},
    "export": {
        *("export", "probe", "runtime.artifact", "runtime.float64"),
        *("runtime.runs.input_files", "runtime.runs.image_reading", "runtime.runs.preprocessing"),
    },
}
"""What a package may import of this project: the contract is all that `probe` and `export` know of `runtime`, but for
how a file becomes an input, which must be the same when an artifact is written and when it is run."""

FLOORS = {
    "runtime": [
        {"artifact"},
        {"runners", "maps", "float64"},
        {"runs", "bench"},
        {"verdict", "cam", "scan"},
        {"reporting", "page"},
        {"notebook"},
        {""},
    ],
    "probe": [{"model"}, {"capture"}, {"observe"}, {"layout"}, {"onnx_model"}, {""}],
}
"""The rooms of a package from the bottom up, the package's own files on top: a room imports itself and floors below."""


def modules(root: Path) -> dict[str, Path]:
    """Return the files of the three packages and `layerprobe.py` by module name."""
    files = [*root.glob("layerprobe.py"), *(file for package in PACKAGES for file in root.glob(f"{package}/**/*.py"))]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(module: str, file: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of this project that a file imports, at its top, within functions, and for types alone."""
    package = module if file.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            inner = [f"{home}.{alias.name}" for alias in node.names]
            names = [name if name in known else home for name in inner]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in (*PACKAGES, "layerprobe"))


def room_of(module: str, known: Mapping[str, Path]) -> str:
    """Return the first folder within the package that a module lies in; nothing for the package's own files."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or (len(parts) == 2 and known[module].stem == "__init__") else ""


def broken_rules(root: Path) -> list[str]:
    known = modules(root)
    found = []
    graph: dict[str, set[str]] = {}
    for module, file in known.items():
        package, room = module.partition(".")[0], room_of(module, known)
        graph[module] = set(imports(module, file, known))
        for name in sorted(graph[module]) if package in PACKAGES else ():
            allowed = PACKAGES[package]
            if not any(name == each or name.startswith(f"{each}.") for each in allowed):
                found.append(f"{module} imports {name}: {package} may import {', '.join(sorted(allowed))}")
            elif name.partition(".")[0] == package and package in FLOORS:
                floors = FLOORS[package]
                here, there = (
                    next(n for n, floor in enumerate(floors) if each in floor) for each in (room, room_of(name, known))
                )
                if there >= here and room_of(name, known) != room:
                    order = " < ".join(", ".join(sorted(each or "the top" for each in floor)) for floor in floors)
                    found.append(f"{module} imports {name}: imports go down, {order}")
    try:
        TopologicalSorter({module: names - {module} for module, names in graph.items()}).prepare()
    except CycleError as error:
        found.append(f"imports in a circle: {' <- '.join(error.args[1])}")
    return found


def stale_contents(root: Path) -> list[str]:
    """Return where the table of contents in a package's docstring lacks a file, or has one that isn't there."""
    found = []
    for init in sorted(file for package in PACKAGES for file in root.glob(f"{package}/**/__init__.py")):
        room = init.parent.relative_to(root).as_posix()
        text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        listed = Counter(re.findall(r"^(\S+(?:/|\.\w+)): \S", text, re.MULTILINE))
        files = [each.name for each in init.parent.iterdir() if each.suffix not in ("", ".pyi", ".typed")]
        packages = [f"{each.parent.name}/" for each in init.parent.glob("*/__init__.py")]
        there = Counter({*files, *packages} - {"__init__.py"})
        found += [f"{room}: {name} has no line" for name in sorted(there - listed)]
        found += [f"{room}: the line of {name} is one too many" for name in sorted(listed - there)]
    return found


def test_every_import_goes_down():
    assert broken_rules(ROOT) == []


def test_every_folder_is_a_room_that_the_table_knows():
    for package, floors in FLOORS.items():
        folders = {file.parent.name for file in (ROOT / package).glob("*/__init__.py")}
        assert folders | {""} == set.union(*floors), package


def test_a_broken_rule_is_named_with_the_import(tmp_path):
    def write(file: str, text: str = "") -> None:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    for package, floors in FLOORS.items():
        for room in set.union(*floors):
            write(f"{package}/{room}/__init__.py" if room else f"{package}/__init__.py")
    write("export/__init__.py")
    write("export/averaging/deep.py", "def late():\n    from runtime.runners.onnx import OnnxRunner\n")
    write("runtime/runners/onnx.py", "from ..verdict import judge\nfrom ..maps.colours import table\n")
    write("runtime/verdict/judge.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import probe\n")
    write("runtime/maps/colours.py")
    write("probe/model/example.py", "from ..capture.trace import trace\n")
    write("probe/capture/trace.py", "from ..model import example\n")
    broken = broken_rules(tmp_path)
    assert any(line.startswith("export.averaging.deep imports runtime.runners.onnx: export may") for line in broken)
    assert any(
        line.startswith("runtime.runners.onnx imports runtime.verdict.judge: imports go down") for line in broken
    )
    assert any(line.startswith("runtime.runners.onnx imports runtime.maps.colours: imports go down") for line in broken)
    assert any(line.startswith("runtime.verdict.judge imports probe: runtime may import runtime") for line in broken)
    assert any(
        "probe.model.example imports probe.capture.trace: imports go down, model < capture" in line for line in broken
    )
    assert any(line.startswith("imports in a circle: ") for line in broken)


def test_every_package_lists_its_files():
    assert stale_contents(ROOT) == []


def test_a_table_of_contents_that_went_stale_is_named(tmp_path):
    for file, text in {
        "export/__init__.py": '"""probe -> artifact.\n\ncli.py: the command\ndeep/: more\ngone.py: was renamed\n"""',
        "export/cli.py": "",
        "export/py.typed": "",
        "export/deep/__init__.py": '"""More: one.py is not its line.\n\ntwo.py: twice\ntwo.py: twice\n"""',
        "export/deep/one.py": "",
        "export/deep/two.py": "",
        "export/deep/page.html": "",
        "runtime/runs/__init__.py": "",
        "runtime/runs/here.py": "",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert stale_contents(tmp_path) == [
        "export: the line of gone.py is one too many",
        "export/deep: one.py has no line",
        "export/deep: page.html has no line",
        "export/deep: the line of two.py is one too many",
        "runtime/runs: here.py has no line",
    ]
