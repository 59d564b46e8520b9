"""Labels at the ends of lines keep their distance and their order; styles are nobody else's."""

import importlib
import inspect
import io
import pkgutil

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import normstudy
from normstudy.drawing import (
    COLORS,
    SPARE_COLORS,
    STYLES,
    Row,
    apart,
    blank,
    for_files,
    forest,
    style,
)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.3))
def test_labels_are_pushed_apart_and_keep_their_order(wanted, gap):
    moved = apart(wanted, gap, 0.0, 1.0)
    order = np.argsort(wanted, kind="stable")
    room = min(gap, 1 / max(1, len(wanted) - 1))
    assert (np.diff(moved[order]) >= room - 1e-9).all()
    assert moved.min() >= -1e-9
    assert moved.max() <= 1 + 1e-9


def test_labels_that_are_apart_stay():
    np.testing.assert_allclose(apart([0.9, 0.1, 0.5], 0.2, 0, 1), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(apart([0.5, 0.5], 0.2, 0, 1), [0.4, 0.6])


def test_the_only_label_of_a_norm_looks_like_that_norm():
    labels = ["Batch norm + L1 + L2", "Group norm + L1", "Layer norm", "Layer norm + L2", "G = 2"]
    looks = {label: style(label, labels) for label in labels}
    assert looks["Batch norm + L1 + L2"] == (COLORS["Batch norm"], *STYLES["Batch norm"])
    assert looks["Group norm + L1"] == (COLORS["Group norm"], *STYLES["Group norm"])
    assert looks["Layer norm"][0] == COLORS["Layer norm"]
    assert looks["Layer norm + L2"][0] in SPARE_COLORS
    assert looks["G = 2"][0] in SPARE_COLORS
    assert len({look[0] for look in looks.values()}) == 5
    assert len({look[1:] for look in looks.values()}) == 5, "none takes the dashes of another"


# -- whose style -----------------------------------------------------------------------------------


def picture():
    buffer, row = io.BytesIO(), Row("A", "Batch norm", [1.0], 1.0, 0.5, 2.0, "1")
    forest([row], "Title", "Note", "axis").savefig(buffer)
    return buffer.getvalue()


def test_figures_have_their_own_style_and_leave_the_users_alone():
    plain = picture()
    theirs = {"axes.facecolor": "red", "xtick.color": "red", "savefig.dpi": 30, "font.size": 20}
    with mpl.rc_context(theirs):
        before = dict(mpl.rcParams)
        assert picture() == plain
        assert dict(mpl.rcParams) == before


def test_a_figure_for_a_file_is_not_shown_and_any_other_is():
    with for_files():
        blank(1.0)
    assert plt.get_fignums() == []
    shown = blank(1.0)
    assert plt.figure(plt.get_fignums()[0]) is shown


def test_every_function_that_returns_a_figure_draws_in_our_style():
    found = []
    for module in pkgutil.walk_packages(normstudy.__path__, "normstudy."):
        for name, function in vars(importlib.import_module(module.name)).items():
            if name.startswith("_") or not inspect.isfunction(function):
                continue
            if inspect.signature(function).return_annotation is Figure:
                found.append((name, hasattr(function, "__wrapped__")))
    assert len(found) > 20
    assert {name for name, styled in found if not styled} == {"blank", "describe"}
