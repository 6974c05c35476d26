"""README and the pages of the site: what they show works, prints what they say, and leaves nothing out."""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from mkdocs.exceptions import PluginError

import layerprobe as lp
from code_blocks import QUICKLY, Reader, blocks_of, commands_of
from conftest import ROOT
from generated_pages import LISTS, on_post_page
from make_gallery import commands_of_gallery, files_of_gallery, pictures_of_gallery
from runtime import Verdict
from runtime.commands import COMMANDS, app

DOCS = ROOT / "docs"
READ = [
    ROOT / "README.md",
    *(DOCS / f"{name}.md" for name in ("index", "look", "verify", "deploy", "scan", "cluster", "faq", "grad_cam")),
]
"""In the order in which they are read: a page may use what an earlier one has made."""
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def test_every_code_block_runs_and_prints_what_is_shown(tmp_path, photo, layerprobe, monkeypatch):
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # `import net`, as in a script beside it
    monkeypatch.delitem(sys.modules, "net", raising=False)
    reader = Reader(layerprobe)
    for document in READ:
        reader.read(document)
    sys.modules.pop("net", None)
    if reader.left_out:
        pytest.skip(f"all but the blocks that need {'; '.join(map(': '.join, reader.left_out.items()))}")


def test_only_pages_that_are_read_have_code_to_run():
    for page in set(PAGES) - {*READ, DOCS / "gallery.md"}:
        assert not [block.place for block in blocks_of(page) if block.language in ("bash", "python")]


def test_what_is_made_quicker_is_shown():
    text = "".join(document.read_text(encoding="utf-8") for document in READ)
    assert [shown for shown in QUICKLY if not re.search(shown, text)] == []


@cache
def options_of(command: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    found = group.get_command(None, command)
    assert found is not None, f"there is no command {command!r}"
    return {"--help", "-h", "--debug"} | {
        option
        for parameter in found.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("-")  # otherwise an argument
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_is_shown_exists(page):
    for line in commands_of(page):
        assert_options_exist(line, page.name)


def assert_options_exist(line: str, where: str) -> None:
    _, command, *words = shlex.split(re.sub(r"\$\(.*?\)", "", line), comments=True)
    options = {word for word in words if re.match(r"--?[a-z]", word)}
    assert options <= options_of(command), f"{where}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_is_named_exists(page):
    known = set().union(*map(options_of, COMMANDS))
    named = re.findall(r"`(--[a-z][\w-]*)[^`]*`", page.read_text(encoding="utf-8"))
    assert set(named) <= known


def test_every_public_name_is_in_the_page_of_python_once():
    assert re.findall(r"^::: layerprobe\.(\w+)$", LISTS["names"](), re.MULTILINE) == lp.__all__
    assert "<!-- list: names -->" in (DOCS / "api.md").read_text(encoding="utf-8")


def test_every_command_and_option_is_in_the_page_of_commands():
    page = LISTS["commands"]()
    for command in COMMANDS:
        section = page.partition(f"\n## {command}\n")[2].partition("\n## ")[0]
        shown = set(re.findall(r"^`.*`$", section, re.MULTILINE))
        for option in options_of(command) - {"--debug"}:
            assert any(re.search(rf"(?<![\w-]){option}(?![\w-])", line) for line in shown), f"{command} {option}"


def test_the_gallery_has_a_small_picture_for_each_command_and_nothing_else():
    pictures = pictures_of_gallery()
    bash = [block.code for block in blocks_of(DOCS / "gallery.md") if block.language == "bash"]
    assert len(bash) == len(pictures) + 1
    assert {line.strip() for block in bash for line in block.splitlines()} == {
        *commands_of_gallery(),
        *pictures.values(),
    }
    for name, command in pictures.items():
        assert re.search(rf" (-o|--html|--picture) {name}\.\w+", command)
    committed = list((DOCS / "gallery").iterdir())
    assert sorted(file.name for file in committed) == sorted(f"{name}.webp" for name in pictures)
    assert sum(file.stat().st_size for file in committed) < 1_500_000
    for code in files_of_gallery().values():
        compile(code, "gallery.md", "exec")


def test_every_verdict_is_explained():
    explained = re.findall(r"^(\w+)\n:   ", (DOCS / "verdicts.md").read_text(), re.MULTILINE)
    assert explained == [str(verdict) for verdict in Verdict]


def test_measured_figures_are_those_of_the_pages_that_are_linked():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        rows = re.findall(r"^\|.*\]\((?:../)?artifacts/.*\|$", text, re.MULTILINE)
        claims = [paragraph for paragraph in text.split("\n\n") if "[measured](" in paragraph]
        for claim in rows + claims:
            linked = re.findall(r"\]\((?:../)?(artifacts/\w+\.md)\)", claim)
            measured = " ".join((ROOT / target).read_text(encoding="utf-8") for target in linked)
            for figure in re.findall(r"\d[\d,]*\d|\d", re.sub(r"\]\(.*?\)|[a-z]+\d+", "", claim)):
                assert re.search(rf"(?<![\d,]){figure}(?![\d,]\d)", measured), f"{page.name}: {figure} in {claim}"


def test_a_page_that_would_load_something_from_another_host_is_refused():
    assert on_post_page('<a href="https://example.org">there</a><img src="maps.png">')
    for loaded in ('<script src="https://example.org/x.js">', '<link rel="stylesheet" href="//example.org/x.css">'):
        with pytest.raises(PluginError, match=r"another host: .*example\.org"):
            on_post_page(f"<p>{loaded}</p>")


def test_the_command_is_installed_and_its_output_can_be_used_in_a_shell(tmp_path, photo):
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    counted = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "printf '%s;' $(layerprobe stats .)"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert counted.split(";")[::2] == ["--mean", "--std", ""]


def test_the_library_example_has_about_ten_lines():
    library = next(block.code for block in blocks_of(ROOT / "README.md") if block.language == "python")
    assert len(library.strip().splitlines()) <= 13


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "verdicts.md"], ids=lambda page: page.name)
def test_the_rule_that_is_stated_is_the_one_that_is_used(page):
    from runtime.verdict.drift import FILE_PASSING_DRIFT, PASSING_DRIFT, PASSING_ERROR

    text = " ".join(page.read_text(encoding="utf-8").split())
    assert f"at most {PASSING_ERROR:g} times machine epsilon times" in text
    assert f"at most {PASSING_DRIFT:g} times max(noise floor, machine epsilon of the dtype)" in text
    assert f"off by more than {FILE_PASSING_DRIFT:g} times that" in text


def test_the_links_of_the_documents_lead_somewhere():
    others = [ROOT / name for name in ("CONTRIBUTING.md", "artifacts/README.md", "tests/README.md")]
    for document in [*PAGES, *others]:
        for target in re.findall(r"\]\(([^)]+)\)", re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)):
            file = target.partition("#")[0]
            assert not file or (document.parent / file).exists(), f"{document.name}: {target}"
