"""A storm runs alone, in one process; runs that nobody interrupts are there to compare with."""

import pytest
from harness import RECIPES, Child, trained

from normstudy.study import runs


@pytest.fixture(autouse=True)
def nothing_published(tmp_path, monkeypatch):
    """Hide the published runs."""
    monkeypatch.setattr(runs, "PUBLISHED", tmp_path / "nowhere")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Return the runs that nobody interrupted, by name."""
    folder = tmp_path_factory.mktemp("whole")
    assert Child(trained(*RECIPES, folder=folder / "store"), folder).wait().status == 0
    return {run.recipe.name: run for run in runs.stored(folder / "store")}


def pytest_collection_modifyitems(items):
    """Keep all of this folder out of the unit tests."""
    for item in items:
        if "storm" in item.path.parts:
            item.add_marker(pytest.mark.storm)
