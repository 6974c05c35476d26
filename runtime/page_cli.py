"""The subcommand that makes a page for the browser: page. It imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from .artifact.cli_options import QuietOption
from .artifact.plain_text import say
from .cli_options import ArtifactArgument
from .overwrite_check import refuse_to_overwrite

__all__ = ["page"]


def page(
    artifact: ArtifactArgument,
    site: Annotated[Path, typer.Option("-o", "--output", metavar="SITE", help="Folder for the page.")],
    webgpu: Annotated[
        bool, typer.Option("--webgpu/--no-webgpu", help="Whether visitors can choose WebGPU: 27 MB, loaded if they do.")
    ] = True,
    verdict: Annotated[
        bool,
        typer.Option(
            "--verdict/--no-verdict", help="Whether the page can judge the browser: the artifact's truths go along."
        ),
    ] = True,
    runtime_files: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with ONNX Runtime Web's files, where there is no Node: package/dist of what `npm pack` makes. "
            "Otherwise they are taken from the node_modules folder that LAYERPROBE_NODE_MODULES names or a clone has, "
            "or fetched by npm.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier page although its files were changed since.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Write a static page that draws a photo's maps in the browser.

    The photo stays in the browser: the page runs the model there, and needs nothing but a web server for its files.

    Example: layerprobe page resnet18 -o site
    """
    from .artifact.folder import open_artifact
    from .page.site_writing import write_page
    from .page.web_runtime import BACKENDS
    from .runs.photo_pages import picture_title

    refuse_to_overwrite(site, artifact, ())
    opened = open_artifact(artifact)
    backends = [name for name in BACKENDS if webgpu or name != "webgpu"]
    title = picture_title(opened.manifest)
    size = write_page(
        opened, site, title, backends=backends, runtime_files=runtime_files, truths=verdict, overwrite=overwrite
    )
    say(f"{site}: {title}, outputs: {len(opened.manifest.outputs)}, {size / 1e6:.1f} MB")
    if not quiet:
        for part, option in _optional_parts(site).items():
            say(f"{part}: {option} leaves that out", err=True)
        say(
            f"`python -m http.server --directory {site} --bind 127.0.0.1 8000`, then open http://localhost:8000\n"
            "Browsers load no modules from file://; any static web server will do, over https or on localhost.",
            err=True,
        )


def _optional_parts(site: Path) -> dict[str, str]:
    """What of a page is large and can be left out, with its size: to the option that does."""
    from .artifact.manifest import REFERENCE_FILE
    from .page.web_runtime import BACKENDS

    parts = {
        "--no-webgpu": ("WebGPU", [site / "runtime" / name for name in BACKENDS["webgpu"]]),
        "--no-verdict": ("the truths, by which the browser is judged", [site / "artifact" / REFERENCE_FILE]),
    }
    sizes = {
        option: sum(file.stat().st_size for file in files if file.is_file()) for option, (_, files) in parts.items()
    }
    return {
        f"{size / 1e6:.1f} MB of it are {parts[option][0]}": option
        for option, size in sizes.items()
        if size >= _WORTH_A_LINE
    }


_WORTH_A_LINE = 10**6
"""Bytes."""
