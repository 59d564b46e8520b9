"""What holds for every test: no window, one thread, no time limit for hypothesis, its own store."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded; small networks gain nothing by more

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from hypothesis import settings
from made_up import make_up
from sphinx.util.docutils import docutils_namespace

from normstudy.study import runs
from normstudy.study.recipes import Recipe
from normstudy.study.train import Outcome

mpl.use("Agg")
settings.register_profile("normstudy", deadline=None, print_blob=True)
settings.load_profile("normstudy")

# Set here and not in a fixture: the examples in docstrings and module-wide fixtures use it too.
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share the store of who started them
    STORE = tempfile.TemporaryDirectory(prefix="normstudy-tests-")
    os.environ["NORMSTUDY_STORE"] = STORE.name


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Leave no figure to the next test."""
    yield
    plt.close("all")


@pytest.fixture
def own_sphinx() -> Iterator[None]:
    """Let a test build with Sphinx as if no other test had: what is registered is forgotten."""
    with docutils_namespace():
        yield


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Make up the outcome of each training of this process, and list what was trained."""
    trained: list[Recipe] = []

    def pretend(recipe: Recipe, **options: Any) -> Outcome:
        trained.append(recipe)
        return make_up(recipe, **options)

    monkeypatch.setattr(runs, "train", pretend)
    return trained
