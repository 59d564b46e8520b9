"""What holds for every test: no window, no time limit for hypothesis, a store of its own."""

import os
import tempfile
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from hypothesis import settings

mpl.use("Agg")
settings.register_profile("normstudy", deadline=None, print_blob=True)
settings.load_profile("normstudy")

# Set here and not in a fixture: the examples in docstrings and module-wide fixtures use it too.
STORE = tempfile.TemporaryDirectory(prefix="normstudy-tests-")
os.environ["NORMSTUDY_STORE"] = STORE.name


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Leave no figure to the next test."""
    yield
    plt.close("all")
