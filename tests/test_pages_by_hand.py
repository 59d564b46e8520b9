"""The pages that compute by hand: they run, and show nothing but steps of the worked examples."""

import ast
from fractions import Fraction
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from normstudy.byhand.examples import NORMS, by_hand, penalties_by_hand, running_by_hand
from normstudy.byhand.typeset import Working

PAGES = sorted((Path(__file__).parents[1] / "examples").glob("plot_1*.py"))


@pytest.fixture(scope="module")
def compared() -> set[object]:
    """Return all steps that other tests compare with torch value by value (test_typeset)."""
    examples = [by_hand(norm, eps) for norm in NORMS for eps in (Fraction(0), 1e-5)]
    examples += [running_by_hand(), running_by_hand(None), penalties_by_hand()]
    return {step for example in examples for step in example.steps}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_a_step_that_was_compared_with_torch(page, compared, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    tree = ast.parse(page.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            node.value = ast.Call(ast.Name("show_value", ast.Load()), [node.value], [])
    shown = []
    code = compile(ast.fix_missing_locations(tree), page.name, "exec")
    exec(code, {"__name__": "__main__", "show_value": shown.append})
    workings = [value for value in shown if isinstance(value, Working)]
    assert all(working.step in compared for working in workings)
    figures = [plt.figure(number).normstudy for number in plt.get_fignums()]
    assert all(words["name"] and words["caption"] and words["alt"] for words in figures)


def test_the_worked_pages_show_worked_steps():
    texts = {page.stem: page.read_text() for page in PAGES}
    for stem in ("120_batch", "130_group", "140_layer", "150_instance", "160_backward"):
        [text] = [text for name, text in texts.items() if stem in name]
        assert text.count("\nworking(") >= 5
        assert "assert torch.allclose" in text
