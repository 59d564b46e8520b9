"""The notebook runs from top to bottom, and its stored outputs are those of the published runs."""

import ast
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from normstudy.study.studies import STUDIES

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "three_models.ipynb"
PICTURES = 5  # two graphs, three pictures of mistakes


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shown(notebook, kind):
    return [o.data[kind] for o in outputs(notebook) if "data" in o and kind in o.data]


def written(notebook):
    """Return the texts and tables that each code cell shows; pictures are left out."""
    return {
        cell.id: (
            "".join(output.text for output in cell.outputs if output.output_type == "stream"),
            [o.data["text/html"] for o in cell.outputs if "text/html" in o.get("data", {})],
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def execute(source, names):
    """Run a cell as a notebook does: return what it prints, and the tables it ends in."""
    tree, tables, printed = ast.parse(source.replace("%matplotlib inline", "")), [], io.StringIO()
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            tables += [value._repr_html_()] if hasattr(value, "_repr_html_") else []
    return printed.getvalue(), tables


@pytest.mark.processes
def test_the_notebook_trains_and_compares_all_arms(notebook, monkeypatch):
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    for cell in notebook.cells:
        cell.pop("outputs", None)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=resources).execute()
    assert not [o.text for o in outputs(notebook) if "Warning" in o.get("text", "")]
    assert len(shown(notebook, "image/png")) == PICTURES
    results, pairs = shown(notebook, "text/html")
    for arm in STUDIES["main"].arms:
        assert f"<td>{arm}</td>" in results
    assert pairs.count("<tr>") == 1 + 15


def test_the_notebook_is_published_with_its_outputs(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code)
    assert [cell.execution_count for cell in code] == list(range(1, 1 + len(code)))
    assert {o.output_type for o in outputs(notebook)} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert not [o.text for o in outputs(notebook) if o.get("name") == "stderr"]
    assert len(shown(notebook, "image/png")) == PICTURES


def test_the_first_words_of_the_notebook_name_what_to_do_on_a_gpu(notebook):
    assert "`%env NORMSTUDY_PRECISION=bfloat16`" in notebook.cells[0].source


def test_the_variant_is_none_of_the_study(notebook):
    source = next(cell.source for cell in notebook.cells if "variant = " in cell.source)
    (groups,) = re.findall(r"num_groups=(\d+)", source)
    assert int(groups) != STUDIES["main"].arms["Group norm"][0].num_groups


def test_nothing_in_the_notebook_names_a_machine_or_a_time(notebook):
    assert NOTEBOOK.stat().st_size < 1.4e6
    for cell in notebook.cells:
        assert cell.metadata == {}, "no execution times"
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    text = json.dumps(notebook)
    assert not [word for word in ("/tmp", "/home", "/root", "/work", "file:") if word in text]


def test_its_stored_words_are_what_the_published_runs_give(notebook, monkeypatch, tmp_path):
    """Cells that draw images are left out: they show no words, and need the data set."""
    monkeypatch.setenv("NORMSTUDY_REPORT", "cifar10")
    monkeypatch.setenv("NORMSTUDY_STORE", str(tmp_path))
    stored, names = written(notebook), {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and "images" not in cell.source:
            assert execute(cell.source, names) == stored[cell.id], cell.id
        elif cell.cell_type == "code":
            assert stored[cell.id] == ("", [])
    assert not [*tmp_path.iterdir()], "nothing was trained"
