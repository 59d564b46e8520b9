"""Every page of the report runs alone, from any folder, here on the embedded digits."""

import runpy
from pathlib import Path

import pytest

from normstudy.study.recipes import study
from normstudy.study.runs import run_all

PAGES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


@pytest.fixture(scope="module", autouse=True)
def trained():
    """Train the study on digits once; the pages find its runs in the store of the tests."""
    run_all([recipe for arm in study("digits").values() for recipe in arm], progress=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_alone(page, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    monkeypatch.delenv("DISPLAY", raising=False)  # with a display, Agg warns that it shows nothing
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(page), run_name="__main__")
    assert list(tmp_path.iterdir()) == [], "a page writes no files"
