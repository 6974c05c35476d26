"""The notebook in docs/ runs from the first cell to the last, and shows what its text announces."""

import nbformat
from nbclient import NotebookClient

from conftest import ROOT


def test_the_notebook_runs_and_shows_tables_pictures_and_a_report():
    notebook = nbformat.read(ROOT / "docs" / "look_inside.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # of some machine, at some time
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    data = [output["data"] for output in shown if output["output_type"] == "execute_result"]
    assert ["text/html" in each for each in data] == [False, True, True, False, True, False]
    assert all("image/png" in data[place] for place in (0, 3))
    assert "<b>fc</b>" in data[1]["text/html"]
    assert data[2]["text/html"].count("<img ") > 50
    assert data[4]["text/html"].startswith("<iframe ")
    assert data[5]["text/plain"].startswith("(True,")
    printed = [output["text"] for output in shown if output["output_type"] == "stream" and output["name"] == "stdout"]
    assert len(printed) == 2
    assert not any(output["name"] == "stderr" for output in shown if output["output_type"] == "stream")
