"""Fine-tuning in small: a loop that trains any network further, and scores over seeds side by side.

Scores are accuracies in percent, by setting and by what was done there, one for each seed.
"""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from normstudy.drawing import Row, describe, forest, in_own_style
from normstudy.study.measures import mean_interval
from normstudy.tables import LEVEL, Table, interval, number

Scores = Mapping[tuple[str, str], Sequence[float]]


def fit(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
) -> None:
    """Train a network in place with Adam, whose learning rate falls to 0 in a line.

    The modes of its layers stay as they are: call ``net.train()`` first, and ``eval()`` on what is
    to keep its statistics.

    Parameters
    ----------
    net
        Maps images to class scores (N, num_classes).
    images, labels
        Shape (N, C, H, W) and (N,); each epoch takes them in another order.
    epochs, batch_size
        How often the images are gone through, and how many at once. A last batch that would be
        smaller is left out.
    lr
        Learning rate of the first step.
    seed
        Of the orders.

    Raises
    ------
    ValueError
        If a batch holds more than all images.
    """
    if len(images) < batch_size:
        msg = (
            f"batch_size={batch_size} is more than the {len(images)} images; "
            f"accepted: 1 to {len(images)}"
        )
        raise ValueError(msg)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr, fused=True)
    num_batches = len(images) // batch_size
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs * num_batches)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for few in order.split(batch_size)[:num_batches]:
            optimizer.zero_grad()
            F.cross_entropy(net(images[few]), labels[few]).backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of the images that get their own class in evaluation mode, in percent."""
    found: Tensor = copy.deepcopy(net).eval()(images).argmax(1)
    return 100 * (found == labels).double().mean().item()


def table(scores: Scores) -> Table:
    """Tabulate mean ± standard deviation over the seeds: a row for each setting."""
    settings, ways = (list(dict.fromkeys(names)) for names in zip(*scores, strict=True))
    rows = []
    for setting in settings:
        cells = [np.asarray(scores[setting, way]) for way in ways]
        rows.append((setting, *(f"{c.mean():.1f} ± {c.std(ddof=1):.1f}" for c in cells)))
    return Table(("accuracy in %", *ways), tuple(rows))


def beside(scores: Scores, first: str, second: str) -> Table:
    """Tabulate how far one way is ahead of another, and whether the seeds decide it.

    The differences are those of equal seeds. Their intervals, from Student's t distribution, hold
    for all settings at once (Bonferroni).
    """
    settings = list(dict.fromkeys(setting for setting, _ in scores))
    rows = []
    for setting in settings:
        ours, theirs = scores[setting, first], scores[setting, second]
        level = 1 - LEVEL / len(settings)
        low, high = stats.ttest_rel(ours, theirs).confidence_interval(level)
        reading = "ahead" if low > 0 else "behind" if high < 0 else "open"
        mean = number(float(np.mean(ours) - np.mean(theirs)), 1, sign=True)
        rows.append((setting, mean, interval(low, high, 1), reading))
    header = (f"{first} minus {second}", "points", "95% interval", "reading")
    return Table(header, tuple(rows))


@in_own_style
def figure(scores: Scores, *, title: str, note: str, name: str) -> Figure:
    """Draw mean and 95% interval of each way in each setting, with its seeds."""
    rows = []
    for (setting, way), values in scores.items():
        mean = float(np.mean(values))
        low, high = mean_interval(values)
        rows.append(Row(f"{setting}: {way}", way, list(values), mean, low, high, f"{mean:.1f}"))
    how = "Marks: mean and 95% interval; dots: seeds."
    fig = forest(rows, title, f"{note}\n{how}", "accuracy in %")
    found = "; ".join(f"{row.name} {row.text}" for row in rows)
    alt = f"Intervals of the accuracy in percent: {found}."
    return describe(fig, name=name, caption=f"{title}. {note} {how}", alt=alt)
