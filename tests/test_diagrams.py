"""The pictures of cells show the index sets of the norms."""

import re

import pytest
import torch
from torch import nn

from normstudy.diagrams import NAMES, shared_cells


def test_cells_of_one_number_are_those_that_share_a_statistic():
    fig = shared_cells((2, 4, 2, 2), num_groups=2)
    numbers = [int(text.get_text()) for text in fig.axes[0].texts if text.get_text().isdigit()]
    layers = {
        "batch": nn.BatchNorm2d(4),
        "layer": nn.GroupNorm(1, 4),
        "group": nn.GroupNorm(2, 4),
        "instance": nn.InstanceNorm2d(4),
    }
    assert list(layers) == list(NAMES)
    for layer, drawn in zip(layers.values(), torch.tensor(numbers).chunk(4), strict=True):
        x = torch.randn(2, 4, 2, 2, dtype=torch.float64)
        y = layer.double()(x).detach().flatten()
        for number in drawn.unique():
            cells = y[drawn == number]
            assert abs(cells.mean().item()) < 1e-9
            assert cells.var(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_the_counts_are_told_in_caption_and_alternative_text():
    words = shared_cells((1, 32, 2, 2), num_groups=8).normstudy
    for text in (words["caption"], words["alt"]):
        assert re.findall(r"(\d+) means", text) == ["32", "1", "8", "32"]


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match=r"num_groups is 3 .* one of 1, 2, 4"):
        shared_cells((2, 4, 2, 2), num_groups=3)
