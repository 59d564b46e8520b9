"""What the probes of runs found, as tables and figures over epochs and shifts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from normstudy.drawing import Curve, describe, finish, in_own_style, limit, panel
from normstudy.study.curves import column_of, data_title, epochs_of, listed, scored_on
from normstudy.study.measures import CHANCE, Arms, Measure
from normstudy.study.probes import CORRUPTIONS, SHIFTS, STEPS
from normstudy.study.responses import said
from normstudy.study.runs import Run
from normstudy.tables import Table, in_sentence, number

WAYS = {
    "moving averages": "test_accuracy",
    "statistics of the batch": "batch_accuracy",
    "precise statistics": "precise_accuracy",
}
"""Statistics that batch norm can be scored with, and the columns that hold the accuracy."""


def column(runs: Sequence[Run], name: str) -> npt.NDArray[np.float64]:
    """Read a column of the histories or of the probes, shape (S, E) for S seeds and E epochs."""
    if name in runs[0].history:
        return column_of(runs, name)
    return np.array([run.probed[name] for run in runs], dtype=np.float64)


# -- statistics ------------------------------------------------------------------------------------


@in_own_style
def statistics_figure(runs: Sequence[Run], *, name: str, title: str) -> Figure:
    """Draw the accuracy of a batch norm epoch by epoch, scored in three ways."""
    curves = []
    for way, of in WAYS.items():
        values = 100 * column(runs, of)
        end = float(values[:, -1].mean())
        curves.append(Curve(way, epochs_of(runs), values, f"last {end:.2f}", end))
    about = f"{data_title({'all': runs})}, {len(runs)} seed{'s' * (len(runs) > 1)}."
    axis = f"{scored_on({'all': runs})} accuracy, %"
    fig, ax = panel(title, about)
    limit(ax, np.concatenate([curve.values.ravel() for curve in curves]).tolist())
    finish(ax, curves, "epoch", axis)
    caption = f"{title}. {about} Lines: means; bands: lowest to highest seed."
    alt = f"Line chart of {axis} over the epochs: {listed(curves)}."
    return describe(fig, name=name, caption=caption, alt=alt)


def statistics_table(arms: Arms) -> Table:
    """Tabulate how far moving averages fall behind precise statistics, and the batch's own.

    Accuracies are those of the last epoch, in percent; the largest gap is that between moving
    averages and precise statistics in any epoch of any seed, in points.
    """
    rows = []
    for arm, runs in arms.items():
        ways = {way: 100 * column(runs, of) for way, of in WAYS.items()}
        last = (f"{values[:, -1].mean():.2f}" for values in ways.values())
        gap = ways["precise statistics"] - ways["moving averages"]
        cells = (number(float(gap.max()), 1, sign=True), f"{1 + int(gap.max(0).argmax())}")
        rows.append((arm, *last, *cells))
    return Table(("arm", *WAYS, "largest gap, points", "in epoch"), tuple(rows))


def last_statistics(of: Mapping[float, Sequence[Run]], axis: str) -> Table:
    """Tabulate batch norm's accuracy after the last epoch by the statistics that it is scored with.

    Parameters
    ----------
    of
        Runs with the probe ``last-statistics``, by the value of a setting.
    axis
        What the setting is called.
    """
    reads = [Measure(way, "%", 2, "higher", partial(_last, name)) for way, name in _LAST.items()]
    rows = [(f"{x:g}", *(said(runs, read) for read in reads)) for x, runs in of.items()]
    return Table((f"{axis}: test accuracy, %", *_LAST), tuple(rows))


_LAST = {
    "moving averages": "test_accuracy",
    "statistics of the batch": "last_batch_accuracy",
    "precise statistics": "last_precise_accuracy",
}


def _last(name: str, run: Run) -> float:
    return 100 * (run.accuracy if name in run.history else run.probed[name][-1])


def falls(arms: Arms) -> Table:
    """Tabulate how far the accuracy falls from one epoch to the next, at most, and when.

    The largest fall of all seeds grows with their number; the median over the seeds does not. Where
    all arms were scored with precise statistics too, a last column says how far the accuracy with
    these falls there, or rises.
    """
    probed = all("precise_accuracy" in run.probed for runs in arms.values() for run in runs)
    rows = []
    for arm, runs in arms.items():
        drops = -np.diff(100 * column(runs, "test_accuracy"), axis=1)
        place, epoch = np.unravel_index(drops.argmax(), drops.shape)
        seed = runs[int(place)].recipe.seed
        cells = [
            f"{np.median(drops.max(1).clip(0)):.1f}",
            f"{max(0.0, drops.max()):.1f} (epoch {epoch + 2}, seed {seed})",
        ]
        if probed:
            precise = -np.diff(100 * column(runs, "precise_accuracy"), axis=1)
            cells.append(number(float(precise[place, epoch]), 1))
        rows.append((arm, *cells))
    also = ("there, with precise statistics",) if probed else ()
    header = ("arm", "largest fall of a seed, points: median", "of all seeds", *also)
    return Table(header, tuple(rows))


def peak(runs: Sequence[Run]) -> int:
    """Find the epoch that ends when the learning rate is highest, or next to it."""
    return max(1, int(column(runs, "lr")[0].argmax()))


def gaps(runs: Sequence[Run]) -> str:
    """Say how far moving averages are behind precise statistics, and in how many epochs they are.

    The learning rate is highest between two epochs; the first of the two is meant.
    """
    gap = 100 * (column(runs, "precise_accuracy") - column(runs, "test_accuracy"))
    told, top = [], peak(runs)
    for words, epoch in ((f"after epoch {top}, at the highest rate", top), ("after the last", 0)):
        told.append(f"{words}, {_spread(gap[:, epoch - 1], 2, sign=True)} points")
    behind = int((gap.mean(0) > 1).sum())
    return (
        f"Precise statistics less moving averages: {'; '.join(told)}. They are more than a point "
        f"apart after {behind} of {gap.shape[1]} epochs."
    )


# -- shifted images --------------------------------------------------------------------------------


def shift_accuracies(arms: Arms) -> dict[str, dict[str, float]]:
    """Read the mean accuracy on each shift of the test images, in percent, by arm.

    Batch norm comes a second time, scored with the statistics of the shifted batch.
    """
    found: dict[str, dict[str, float]] = {}
    for arm, runs in arms.items():
        for end, title in (("", arm), (", batch", f"{arm}, statistics of the batch")):
            if not end or runs[0].recipe.norm == "batch":
                found[title] = {s: 100 * float(column(runs, s + end).mean()) for s in SHIFTS}
    return found


def shift_table(arms: Arms) -> Table:
    """Tabulate the accuracy on each shift of the test images, in percent."""
    found = shift_accuracies(arms)
    rows = [(shift, *(f"{of[shift]:.1f}" for of in found.values())) for shift in SHIFTS]
    return Table(("test images: accuracy, %", *found), tuple(rows))


def won_back(runs: Sequence[Run]) -> Table:
    """Tabulate what batch norm wins on shifted images by taking its statistics from them.

    A row for each kind of shift, means over its levels, in points of accuracy.
    """
    rows = []
    for kind in CORRUPTIONS:
        reads = [shifted(kind, together=together) for together in (False, True)]
        gains = np.array([reads[1].of(run) - reads[0].of(run) for run in runs])
        rows.append((kind, *(said(runs, read) for read in reads), _spread(gains, 1, sign=True)))
    return Table(
        ("accuracy, %", "moving averages", "statistics of the batch", "won back, points"),
        tuple(rows),
    )


def _of_kind(kind: str) -> list[str]:
    return [shift for shift in SHIFTS if shift.startswith(f"{kind} ")]


def _over(shifts: Sequence[str], together: bool, run: Run) -> float:
    end = ", batch" if together and run.recipe.norm == "batch" else ""
    return 100 * float(np.mean([run.probed[shift + end][-1] for shift in shifts]))


def shift_losses(arms: Arms) -> dict[str, float]:
    """Compute what each column of :func:`shift_table` loses on shifted images, on average."""
    found = shift_accuracies(arms)
    return {
        title: of["clean"] - float(np.mean([of[s] for s in SHIFTS if s != "clean"]))
        for title, of in found.items()
    }


def shifted(*kinds: str, together: bool = False) -> Measure:
    """Make a measure: mean accuracy in percent over kinds of shifts.

    Parameters
    ----------
    kinds
        Keys of :data:`normstudy.study.probes.CORRUPTIONS`.
    together
        Whether batch norm takes its statistics from a batch of images of the same shift; by default
        it has its moving averages. No other norm can tell the two apart.
    """
    shifts = [shift for kind in kinds for shift in _of_kind(kind)]
    title = f"accuracy on images shifted in {', '.join(kinds)}"
    return Measure(title, "%", 1, "higher", partial(_over, shifts, together), CHANCE)


SHIFTED = shifted(*CORRUPTIONS)
"""Mean accuracy over all shifts, in percent; batch norm is scored with its moving averages."""

SHIFTED_TOGETHER = shifted(*CORRUPTIONS, together=True)
"""The same, where images of one shift come together and lend batch norm their statistics."""


def _penalized_zeros(run: Run) -> float:
    return 100 * run.probed[f"zero_{run.recipe.l1_on}"][-1]


ZEROS = Measure("exact zeros among what is penalized", "%", 1, "higher", _penalized_zeros)
"""Share of the weights, or of the scales of norms, that an L1 penalty has made zero, in percent."""


# -- along the gradient ----------------------------------------------------------------------------


LENGTHS = (0.05, 0.1, 0.2, 0.4)
"""Lengths of a step at which gradients are compared: step size times length of the gradient."""


def landscape_table(arms: Arms, epoch: int) -> Table:
    """Tabulate how much of a straight slope the loss keeps over steps along its gradient.

    Along a straight slope it would fall by step size times squared length of the gradient; of that,
    the fall is told in percent. It is below 0 where a step raises the loss. Beside it stand the
    loss itself and the lengths of gradient and weights.
    """
    rows = []
    for arm, runs in arms.items():
        gradient, weights = (column(runs, of)[:, epoch - 1] for of in ("gradient", "length"))
        loss = column(runs, "loss")[:, epoch - 1]
        cells = [_spread(loss, 2), _spread(gradient, 2), f"{weights.mean():.1f}"]
        for step in STEPS:
            change = column(runs, f"loss_change_{step:g}")[:, epoch - 1]
            cells.append(_spread(-100 * change / (step * gradient**2), 0))
        rows.append((arm, *cells))
    header = ("arm", "loss, nats", "length of the gradient", "of the weights")
    return Table((*header, *(f"step {s:g}: kept, %" for s in STEPS)), tuple(rows))


def turn_table(arms: Arms, epoch: int) -> Table:
    """Tabulate by what part of its length the gradient changes over steps of equal lengths.

    See :func:`turned`. A dash stands where a length is beyond the longest step that was taken.
    """
    rows = []
    for arm, runs in arms.items():
        found = (turned(runs, length)[:, epoch - 1] for length in LENGTHS)
        rows.append((arm, *(_spread(values, 2) for values in found)))
    return Table(("arm", *(f"length {length:g}" for length in LENGTHS)), tuple(rows))


def turned(runs: Sequence[Run], length: float) -> npt.NDArray[np.float64]:
    """Read by what part of its length the gradient changes over a step of this length.

    Steps were taken in multiples of the gradient, whose length differs from arm to arm; between
    them the change is interpolated, from none at a step of 0.

    Returns
    -------
    array
        Shape (S, E) for S seeds and E epochs; NaN where the longest step was shorter.
    """
    sizes = np.array([0.0, *STEPS])
    changes = np.stack([column(runs, f"gradient_change_{step:g}") for step in STEPS])
    gradients = column(runs, "gradient")
    found = np.empty_like(gradients)
    for place in np.ndindex(gradients.shape):
        known = [0.0, *changes[:, *place]]
        found[place] = np.interp(length, sizes * gradients[place], known, right=np.nan)
    return found


def least_turned(arms: Arms) -> str:
    """Say under which arm the gradient changes least, over all epochs and :data:`LENGTHS`.

    Means over the seeds are compared, wherever every arm has taken so long a step.
    """
    means = {
        arm: [turned(runs, length).mean(0) for length in LENGTHS] for arm, runs in arms.items()
    }
    table = np.array(list(means.values())).reshape(len(means), -1)
    table = table[:, ~np.isnan(table).any(0)]
    least = Counter(list(means)[arm] for arm in table.argmin(0))
    told = (f"{in_sentence(arm)} in {n} of {table.shape[1]}" for arm, n in least.most_common())
    return f"Epochs and lengths of a step at which the gradient changes least: {', '.join(told)}."


def _spread(values: npt.NDArray[np.float64], digits: int, *, sign: bool = False) -> str:
    """Write mean ± standard deviation; a dash where there is no value."""
    if np.isnan(values).any():
        return "\N{EN DASH}"
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{number(float(values.mean()), digits, sign=sign)}{spread}"


def effective_rates(runs: Sequence[Run]) -> npt.NDArray[np.float64]:
    """Multiply learning rates with 1 / length^2 of the weights before norms, shape (S, E - 1).

    Both are those between two epochs: the weights at the end of one, and the rate with which the
    next begins. Such weights matter by their direction alone, which a step of rate r turns as far
    as one of rate r / length^2 would turn weights of length 1.
    """
    return column(runs, "lr")[:, 1:] * column(runs, "rate_factor")[:, :-1]
