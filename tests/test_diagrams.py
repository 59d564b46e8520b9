"""The pictures of cells show the index sets of the norms."""

import re
from fractions import Fraction

import pytest
import torch
from torch import nn

from normstudy.byhand import (
    NO_EPS,
    NORMS,
    SHAPE,
    by_hand,
    penalties_by_hand,
    running_by_hand,
    torch_layer,
)
from normstudy.diagrams import (
    CELL_COLORS,
    NAMES,
    cubes,
    layer_meanings,
    penalty_steps,
    running,
    shared_cells,
    worked_cells,
)


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


@pytest.mark.parametrize("norm", NORMS)
def test_worked_cells_show_what_torch_computes(norm):
    example = by_hand(norm)
    fig = worked_cells(example, ["x", "xhat"], title="Worked", name="worked")
    boxes = [patch for patch in fig.axes[0].patches if patch.get_gid() == "as-is"]
    texts = [text.get_text() for text in fig.axes[0].texts if text.get_gid() == "as-is"]
    numbers = torch.tensor([float(Fraction(t.replace("\N{MINUS SIGN}", "-"))) for t in texts])
    x, xhat = numbers.double().chunk(2)
    assert x.tolist() == example["x"].tensor.flatten().tolist()
    layer = torch_layer(norm, SHAPE, num_groups=2, eps=NO_EPS)
    assert torch.allclose(xhat, layer(x.reshape(SHAPE)).detach().flatten(), atol=5.1e-3, rtol=0)
    for cells in example["mean"].cells:
        places = [torch.arange(32).reshape(SHAPE)[cell] for cell in cells]
        assert len({boxes[place].get_facecolor() for place in places}) == 1
    assert len({box.get_facecolor() for box in boxes}) == len(example["mean"].values)


def test_cubes_colour_the_visible_cells_of_one_set():
    patches = cubes((4, 6, 5), num_groups=2).axes[0].patches
    faces = 6 * 5 + 4 * 6 + 4 * 5
    assert len(patches) == 4 * faces
    coloured = [
        sum(len(set(patch.get_facecolor())) > 2 for patch in patches[k * faces : (k + 1) * faces])
        for k in range(4)
    ]
    # front, top, right: one channel; one image; three channels of an image; one map
    assert coloured == [5 + 4 + 20, 30 + 6 + 5, 15 + 3 + 5, 5 + 1 + 5]


def test_layer_meanings_count_means_and_scales():
    words = layer_meanings().normstudy["caption"]
    assert re.findall(r"(\d+) means and (\d+) values", words) == [
        ("2", "4"),
        ("2", "16"),
        ("8", "4"),
    ]


def test_running_means_end_where_torch_ends():
    examples = {"0.1": running_by_hand(), "None": running_by_hand(None)}
    fig = running(examples)
    lines = [
        line
        for line in fig.axes[0].lines
        if len(line.get_xdata()) == 4 and line.get_linestyle() == "-"
    ]
    for line, momentum in zip(lines, (0.1, None), strict=True):
        layer = nn.BatchNorm1d(1, momentum=momentum, dtype=torch.double)
        path = [0.0]
        for t in (1, 2, 3):
            layer(examples["0.1"][f"x_{t}"].tensor[:, None])
            path.append(layer.running_mean.item())
        assert line.get_ydata() == pytest.approx(path, abs=1e-12)


def test_penalty_steps_put_dots_where_the_weights_are():
    example = penalties_by_hand()
    dots = [line for line in penalty_steps(example).axes[0].lines if line.get_gid() == "as-is"]
    places = [float(dot.get_xdata()[0]) for dot in dots]
    names = ("w", "plain_step", "step", "proximal", "l2_step")
    assert places == [float(value) for name in names for value in example[name].values]
    assert [dot.get_color() for dot in dots[:4]] == list(CELL_COLORS[:4])
