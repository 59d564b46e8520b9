"""The notebook runs from its first cell to its last, here on the embedded digits."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "three_models.ipynb"


def test_the_notebook_trains_and_compares_all_versions(monkeypatch):
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made by the build"
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    warned = [output.text for output in outputs if "Warning" in output.get("text", "")]
    assert not warned
    shown = [output.data for output in outputs if "data" in output]
    assert sum("image/png" in data for data in shown) == 5, "two graphs, three pictures"
    tables = [data["text/html"] for data in shown if "text/html" in data]
    assert len(tables) == 1
    for label in ("Batch norm", "Batch norm + L1", "Group norm", "Layer norm", "No norm"):
        assert f"<td>{label}</td>" in tables[0]
