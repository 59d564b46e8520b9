"""Labels at the ends of lines keep their distance and their order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from normstudy.drawing import COLORS, SPARE_COLORS, STYLES, apart, style


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
