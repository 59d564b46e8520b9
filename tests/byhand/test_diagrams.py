"""The pictures of cells show the index sets of the norms."""

import re
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from torch import nn

from normstudy.byhand.diagrams import (
    CELL_COLORS,
    PICTURED,
    blind_spots,
    cubes,
    layer_meanings,
    penalty_steps,
    running,
    shared_cells,
    strips,
    worked_cells,
)
from normstudy.byhand.examples import NORMS, SHAPE, by_hand, penalties_by_hand, running_by_hand
from normstudy.byhand.reference import assert_close, torch_layer

# Machado, Oliveira & Fernandes (2009), doi:10.1109/TVCG.2009.113: severity 1, for linear RGB
SEEN_WITH = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.072175],
        [0.0193339, 0.119192, 0.9503041],
    ]
)


def linear(color):
    """Return red, green and blue in proportion to light (sRGB, IEC 61966-2-1)."""
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light):
    """Return CIE L*a*b* of linear RGB; colours so light have no need of its lower branch."""
    x, y, z = np.cbrt(XYZ @ light.clip(0.01, 1) / XYZ.sum(1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_black_digits_are_easy_to_read_on_every_colour():
    for color in CELL_COLORS:
        assert (XYZ[1] @ linear(color) + 0.05) / 0.05 > 7, color  # WCAG 2, level AAA


@pytest.mark.parametrize("cones", SEEN_WITH)
def test_colours_differ_for_every_reader(cones):
    for first, second in combinations(CELL_COLORS, 2):
        a, b = (lab(SEEN_WITH[cones] @ linear(color)) for color in (first, second))
        assert np.linalg.norm(a - b) > 12, (first, second)


def test_cells_of_one_number_are_those_that_share_a_statistic():
    fig = shared_cells((2, 4, 2, 2), num_groups=2)
    numbers = [int(text.get_text()) for text in fig.axes[0].texts if text.get_text().isdigit()]
    layers = {
        "batch": nn.BatchNorm2d(4),
        "layer": nn.GroupNorm(1, 4),
        "group": nn.GroupNorm(2, 4),
        "instance": nn.InstanceNorm2d(4),
    }
    assert list(layers) == list(PICTURED)
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
    layer = torch_layer(norm, SHAPE, num_groups=2, eps=0)
    assert_close(xhat, layer(x.reshape(SHAPE)).flatten(), atol=5.1e-3)
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


def test_blind_spots_are_the_changes_that_are_constant_on_every_colour():
    maps = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    changes = {
        "everywhere": 3.0,
        "per image": torch.tensor([[1.0], [2]])[..., None, None],
        "per channel": torch.arange(4.0).reshape(1, 4, 1, 1),
        "per map": torch.arange(8.0).reshape(2, 4, 1, 1),
    }
    fig = blind_spots(maps, changes)
    layers = (nn.BatchNorm2d(4), nn.GroupNorm(1, 4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4))
    boxes = [patch for patch in fig.axes[0].patches if patch.get_gid() == "as-is"]
    numbers = [text.get_text() for text in fig.axes[0].texts if text.get_gid() == "as-is"]
    answers = [
        text.get_text().split()[-1] for text in fig.axes[0].texts if text.get_text()[0] in "=\u2260"
    ]
    assert len(boxes) == len(numbers) == 8 * len(answers) == 8 * 4 * 4
    for k, answer in enumerate(answers):
        layer, change = layers[k % 4].double(), list(changes.values())[k // 4]
        moved = (layer(maps + change) - layer(maps)).abs().max().item()
        assert answer == ("moves" if moved > 1e-2 else "same")
        ours = slice(8 * k, 8 * k + 8)
        drawn = [(b.get_facecolor(), n) for b, n in zip(boxes[ours], numbers[ours], strict=True)]
        one_number_for_a_colour = len(set(drawn)) == len({color for color, _ in drawn})
        assert one_number_for_a_colour == (answer == "same")
    assert "per map: Instance norm." in fig.normstudy["caption"]


def test_maps_touch_where_they_share_a_mean():
    maps = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    boxes = blind_spots(maps, {"everywhere": 1.0}).axes[0].patches
    for first, second in combinations(boxes, 2):
        over, down = (abs(second.get_x() - first.get_x()), abs(second.get_y() - first.get_y()))
        neighbours = over + down < 0.4 and min(over, down) < 1e-9
        touch = neighbours and max(over / first.get_width(), down / first.get_height()) < 1.01
        assert not neighbours or touch == (first.get_facecolor() == second.get_facecolor())


def test_strips_show_the_values_and_who_shares_a_mean():
    values = torch.tensor([2.0, -0.936, 0.0, 1e-17])
    fig = strips({"all": (values, 4), "pairs": (values, 2)}, title="Strips", name="strips")
    boxes = fig.axes[0].patches
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts[1:6] == ["2", "\u22120.94", "0", "0", "$\\sigma^2$ = 1.15"]
    assert values.var(correction=0).item() == pytest.approx(1.15, abs=0.005)
    colors = [CELL_COLORS.index(to_hex(box.get_facecolor()).upper()) for box in boxes]
    assert colors == [0, 0, 0, 0, 0, 0, 1, 1]
    assert "pairs: 2, \u22120.94, 0, 0, variance 1.15" in fig.normstudy["alt"]


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
