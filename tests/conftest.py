"""What holds for every test: no window, one thread, no time limit for hypothesis, its own store."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded; small networks gain nothing by more

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import settings
from sphinx.util.docutils import docutils_namespace

from normstudy.study import probes, runs
from normstudy.study.data import FACTS
from normstudy.study.recipes import Recipe
from normstudy.study.train import COLUMNS, Outcome

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


def make_up(recipe: Recipe, **_: Any) -> Outcome:
    """Yield an outcome that depends on the recipe alone, in no time.

    Two trainings that differ in their number of epochs begin alike.
    """
    seed = int.from_bytes(hashlib.sha256(replace(recipe, epochs=1).name.encode()).digest()[:4])
    rng = np.random.default_rng(seed)
    facts = FACTS[recipe.data]
    num_scored = facts.num_held_out if recipe.validation else facts.num_test
    kept = 0 if recipe.validation else num_scored
    columns = zip(*rng.random((recipe.epochs, len(COLUMNS))).tolist(), strict=True)
    history = dict(zip(COLUMNS, map(list, columns), strict=True))
    history["epoch"] = list(range(1, recipe.epochs + 1))
    return Outcome(
        history=history,
        num_scored=num_scored,
        predictions=rng.integers(0, 10, kept),
        confidences=rng.random(kept, dtype=np.float32),
        clean_train={"loss": rng.random(), "accuracy": rng.random()},
        weight_quantiles=np.sort(rng.random(1001, dtype=np.float32)),
        probed={
            name: rng.random(count).tolist()
            for name, count in probes.lengths(recipe, recipe.epochs).items()
        },
    )


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Make up the outcome of each training of this process, and list what was trained."""
    trained: list[Recipe] = []

    def pretend(recipe: Recipe, **options: Any) -> Outcome:
        trained.append(recipe)
        return make_up(recipe, **options)

    monkeypatch.setattr(runs, "train", pretend)
    return trained
