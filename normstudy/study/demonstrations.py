"""Defects of the class reports, shown: by their rates, penalties and inputs, and by seeds."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from normstudy.drawing import (
    QUIET,
    WIDTH,
    Curve,
    Row,
    blank,
    describe,
    finish,
    forest,
    in_own_style,
    limit,
    panel,
)
from normstudy.study.data import ImageSet
from normstudy.study.measures import MEASURES, summarize
from normstudy.study.model import Net, layer_table
from normstudy.study.networks import Norm
from normstudy.study.optimize import learning_rates, penalized
from normstudy.study.originals import Original
from normstudy.study.recipes import Recipe
from normstudy.study.replications import best_of
from normstudy.study.runs import Run
from normstudy.tables import Table


@in_own_style
def rates(recipes: Mapping[str, Recipe], steps: int) -> Figure:
    """Draw the learning rate of every step of some recipes, of ``steps`` steps an epoch."""
    curves = []
    for label, recipe in recipes.items():
        every = np.array(learning_rates(recipe, steps))
        at = np.arange(len(every)) / steps
        text = f"{every.min():.2g} to {every.max():.2g}"
        curves.append(Curve(label, at, every[None], text, float(every[-1])))
    title = "The learning rate, step by step"
    note = f"{steps} steps an epoch. Labels: lowest and highest rate."
    fig, ax = panel(title, note, height=3.8)
    limit(ax, [0, *(float(curve.values.max()) for curve in curves)])
    finish(ax, curves, "epochs trained", "learning rate")
    found = "; ".join(f"{curve.label}: {curve.number}" for curve in curves)
    alt = f"Line chart of the learning rate over the epochs. {found}."
    return describe(fig, name="learning-rates", caption=f"{title}. {note}", alt=alt)


def input_spreads(nets: Mapping[str, Net], images: ImageSet) -> Table:
    """Tabulate how far the classifier's inputs differ from image to image, for untrained networks.

    That is the sum of squares of the inputs less their mean over 600 training images, relative to
    that of the inputs themselves, in percent.
    """
    x = images.normalize(images.train.images[:600])
    rows = []
    for name, net in nets.items():
        with torch.no_grad():
            seen = copy.deepcopy(net).train()[:-2](x)  # but dropout and the linear layer
        share = ((seen - seen.mean(0)) ** 2).sum() / (seen**2).sum()
        rows.append((name, f"{100 * share:.0f}"))
    return Table(("network", "differs from image to image, %"), tuple(rows))


def strengths(net: Net, recipe: Recipe) -> Table:
    """Tabulate how hard the L1 penalty pulls at each value of each parameter, tensor by tensor.

    That is what it adds to the gradient, in magnitude; a sum adds lambda everywhere.
    """
    rows = []
    for name, (p, strength) in penalized(net, recipe).items():
        shape = " × ".join(map(str, p.shape))
        weaker = f"{recipe.l1 / strength:,.0f}"
        rows.append((name, shape, f"{p.numel():,}", f"{strength:.2g}", weaker))
    header = ("parameter", "shape", "values", "pull at each value", "times weaker than lambda")
    return Table(header, tuple(rows))


def classifier_inputs(net: Net, images: ImageSet, count: int) -> Tensor:
    """Compute what the last norm on maps of 1x1 gives to the classifier, for test images.

    In training mode but without dropout, as the network meets a batch; no running statistics are
    kept.

    Parameters
    ----------
    net
        A network whose last norm stands on maps of 1x1.
    images
        The data set.
    count
        Test images of the batch.

    Returns
    -------
    Tensor
        Shape (count, C).

    Raises
    ------
    ValueError
        If no norm of the network stands on maps of 1x1.
    """
    sizes = [row.output_size for row in layer_table(net, images.size)]
    places = [
        i
        for i, (row, shape) in enumerate(zip(net.rows, sizes, strict=True))
        if isinstance(row, Norm) and shape[1:] == (1, 1)
    ]
    if not places:
        msg = "no norm of this network stands on maps of 1x1; take one that ends with such a norm"
        raise ValueError(msg)
    part = copy.deepcopy(net[: places[-1] + 1])  # its modes and running statistics change
    for module in part.modules():
        module.train(not isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d))
    with torch.no_grad():
        found: Tensor = part(images.normalize(images.test.images[:count]))
    return found.flatten(1)


@in_own_style
def inputs(found: Mapping[str, Tensor]) -> Figure:
    """Draw what reaches the classifier: a row an image, a column a channel, a panel for each name.

    ``found`` holds tensors (N, C) of equal shape.
    """
    num, channels = next(iter(found.values())).shape
    title = "What the classifier is given"
    near = {name: ((x - x.clamp(-1, 1).round()).abs() < 0.05) for name, x in found.items()}
    shares = {
        name: f"{100 * float(x.float().mean()):.0f}% near −1, 0, 1" for name, x in near.items()
    }
    note = f"{num} test images, a row each; {channels} channels, a column each."
    fig = blank(3.7)
    corner: dict[str, Any] = {"x": 0.1 / WIDTH, "va": "top"}
    fig.text(y=1 - 0.1 / 3.7, s=title, fontsize=13, weight="bold", **corner)
    fig.text(y=1 - 0.39 / 3.7, s=note, fontsize=9.5, color=QUIET, **corner)
    wide = (WIDTH - 1.0) / len(found)
    for place, (name, x) in enumerate(found.items()):
        left = (0.1 + place * wide) / WIDTH
        ax = fig.add_axes((left, 0.1 / 3.7, (wide - 0.15) / WIDTH, 2.55 / 3.7))
        drawn = ax.imshow(
            x.numpy(), cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto", interpolation="nearest"
        )
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{name}: {shares[name]}", fontsize=10, loc="left")
    bar = fig.add_axes((1 - 0.75 / WIDTH, 0.1 / 3.7, 0.15 / WIDTH, 2.55 / 3.7))
    fig.colorbar(drawn, cax=bar)
    bar.spines[:].set_visible(False)
    bar.tick_params(length=0, labelsize=9)
    said = "; ".join(f"{name}: {share}" for name, share in shares.items())
    caption = f"{title}. {note} Near: by less than 0.05. {said}."
    alt = f"{len(found)} panels of coloured cells. {said}."
    return describe(fig, name="classifier-inputs", caption=caption, alt=alt)


@in_own_style
def seeds_beside(original: Original, runs: Sequence[Run]) -> Figure:
    """Draw seeds of one network beside all that a report printed: last epochs, and best ones.

    Parameters
    ----------
    original
        The report, whose arms are said to be one network.
    runs
        Ours of that network, which differ in the seed.
    """
    last = MEASURES["test_accuracy"]
    rows = []
    for epoch, measure, printed in (
        ("last epoch", last, original.last),
        ("best epoch", replace(last, of=best_of), original.best),
    ):
        ours, theirs = summarize(runs, measure), list(printed.values())
        seeds = list(ours.values.values())
        row = Row(f"ours, {epoch}", "ours", seeds, ours.mean, ours.low, ours.high, f"{ours}%")
        none, text = float("nan"), f"{', '.join(f'{value:.2f}' for value in sorted(theirs))}%"
        rows += [row, Row(f"the report, {epoch}", "the report", theirs, none, none, none, text)]
    title = "One network under three names, beside many seeds of it"
    how = f"Small dots: {len(runs)} seeds of ours, and the three numbers that were printed."
    note = "Large marks and bars: mean and 95% interval. Best epochs are those on the test images."
    axis = "test accuracy, %"
    told = "; ".join(f"{row.name} {row.text}" for row in rows)
    fig = forest(rows, title, f"{how}\n{note}", axis)
    caption = f"{title}. {how} {note}"
    return describe(fig, name="seeds", caption=caption, alt=f"Dots of {axis}: {told}.")
