"""What things cost: cases timed in turn, kept with machine and day, told as ratios; memory.

Machines are noisy, and two timings of the same thing, hours apart, may differ by a third. So cases
are timed in rounds, each case once a round, and what is told is the ratio of two cases in the same
round: its median, lowest and highest.
"""

import json
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from normstudy.drawing import QUIET, Row, describe, forest, in_own_style
from normstudy.study import store
from normstudy.study.environment import checkout
from normstudy.tables import Table, in_sentence

TIMINGS = (checkout() or Path(__file__).parent) / "docs" / "timings"
"""Where ``nox -s bench`` writes, in a checkout."""

Case = tuple[str, str]  # what was done, and with which arm


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """Seconds by case, one value a round, and where and when they were taken.

    ``per`` is what the seconds are for, as in "image" or "call".
    """

    name: str
    per: str
    seconds: Mapping[Case, Sequence[float]]
    environment: Mapping[str, Any]
    date: str
    """As in 2026-11-25."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """The most that a process held, in bytes, by arm; empty where nobody looked."""
    accuracy: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """Test accuracies, fractions, by where and arm; empty where the time alone is of interest."""

    def median(self, case: Case) -> float:
        """Median over the rounds, in seconds."""
        return statistics.median(self.seconds[case])

    @property
    def rounds(self) -> int:
        """How often each case was timed."""
        return len(next(iter(self.seconds.values())))

    def ratio(self, over: Case, under: Case) -> tuple[float, float, float]:
        """Median, lowest and highest of the ratio of two cases in the same round."""
        ratios = [a / b for a, b in zip(self.seconds[over], self.seconds[under], strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)

    def whats(self) -> list[str]:
        """List what was done, in the order in which it was listed."""
        return list(dict.fromkeys(what for what, _ in self.seconds))

    def arms(self) -> list[str]:
        """List the arms, in the order in which they were listed."""
        return list(dict.fromkeys(arm for _, arm in self.seconds))

    def save(self, folder: Path) -> Path:
        """Write one JSON file, named after the timings; it is whole or not there."""
        folder.mkdir(parents=True, exist_ok=True)
        values = asdict(self)
        values["seconds"] = [[*case, list(times)] for case, times in self.seconds.items()]
        path = folder / f"{self.name}.json"
        store.write_whole(path, (json.dumps(values, indent=1) + "\n").encode())
        return path


def read(path: Path) -> Timings:
    """Read what :meth:`Timings.save` has written.

    Raises
    ------
    ValueError
        If the file holds no timings, or cases of unequal rounds.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["seconds"] = {(what, arm): times for what, arm, times in values["seconds"]}
        timings = Timings(**values)
        rounds = {len(times) for times in timings.seconds.values()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{path} holds no timings ({error}); make them again with: nox -s bench"
        raise ValueError(msg) from error
    if len(rounds) != 1 or 0 in rounds:
        msg = f"{path} has cases of {sorted(rounds)} rounds; make it again with: nox -s bench"
        raise ValueError(msg)
    return timings


def interleave(cases: Mapping[Case, Callable[[], float]], rounds: int) -> dict[Case, list[float]]:
    """Time all cases once a round, in an order that is drawn anew for each round.

    Parameters
    ----------
    cases
        Functions that do something and return the seconds that it took, per whatever is counted.
    rounds
        How many times; one round before them warms up and is not kept.
    """
    rng = random.Random(0)
    seconds: dict[Case, list[float]] = {case: [] for case in cases}
    for turn in range(rounds + 1):
        for case in rng.sample(list(cases), len(cases)):
            taken = cases[case]()
            if turn > 0:
                seconds[case].append(taken)
    return seconds


def kept(layer: nn.Module, x: Tensor) -> int:
    """Count the bytes that a layer keeps between forward and backward; views count once."""
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x.detach().requires_grad_())
    return sum(storages.values())


@in_own_style
def cost(timings: Timings, what: str, under: str) -> Figure:
    """Draw how many times as long each arm takes as the arm ``under``, for one thing done."""
    rows = []
    for arm in timings.arms():
        if arm != under and (what, arm) in timings.seconds:
            middle, low, high = timings.ratio((what, arm), (what, under))
            rows.append(Row(arm, arm, [], middle, low, high, f"{middle:.2f}"))
    title = f"Time relative to {in_sentence(under)}"
    device = timings.environment["device"]
    about = f"{what.capitalize()}, {device}, {timings.environment['threads']} threads."
    note = f"Marks: median of {timings.rounds} rounds; bars: lowest to highest."
    axis = f"times as long as {in_sentence(under)}"
    fig = forest(rows, title, f"{about}\n{note}", axis)
    fig.axes[0].axvline(1, color=QUIET, linewidth=1)
    caption = f"{title}. {about} {note} {timings.date}."
    found = "; ".join(f"{row.name} {row.text}" for row in rows)
    return describe(fig, name="norm-costs", caption=caption, alt=f"Intervals of {axis}: {found}.")


def beside(
    timings: Timings, whats: Mapping[str, str], under: str, *, what_under: str | None = None
) -> Table:
    """Tabulate how many times as long each arm takes as one of them.

    Parameters
    ----------
    timings
        What was timed.
    whats
        What was done, by the name that its row gets.
    under
        The arm that the others are compared with.
    what_under
        What was done with that arm, where it is the same for all rows.
    """
    arms = [
        arm
        for arm in timings.arms()
        if arm != under and any((what, arm) in timings.seconds for what in whats.values())
    ]
    rows = []
    for name, what in whats.items():
        cells = []
        for arm in arms:
            over, base = (what, arm), (what_under or what, under)
            known = {over, base} <= timings.seconds.keys()
            cells.append(f"{timings.ratio(over, base)[0]:.2f}" if known else "–")
        rows.append((name, *cells))
    return Table((f"time / {in_sentence(under)}", *arms), tuple(rows))


def ratios(timings: Timings, under: str, whats: Sequence[str] = ()) -> Table:
    """Tabulate how many times as fast as one thing others are done, a row for each arm.

    Parameters
    ----------
    timings
        What was timed.
    under
        What everything is compared with.
    whats
        What is shown; everything by default.
    """
    shown = list(whats) or [what for what in timings.whats() if what != under]
    rows = []
    for arm in timings.arms():
        cells = []
        for what in shown:
            if {(what, arm), (under, arm)} <= timings.seconds.keys():
                middle, low, high = timings.ratio((under, arm), (what, arm))
                cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            else:
                cells.append("–")
        rows.append((arm, *cells))
    return Table((f"speed / {under}", *shown), tuple(rows))


def on_gpu(folder: Path | None = None) -> list[Table]:
    """Tabulate what trainings take on a GPU, and what they come to; nothing where nobody timed it.

    Parameters
    ----------
    folder
        Where ``gpu.json`` is; default :data:`TIMINGS`.

    Returns
    -------
    list of Table
        Seconds of each case; and by arm mean, standard deviation and number of the test accuracies.
    """
    path = (folder or TIMINGS) / "gpu.json"
    if not path.exists():
        return []
    timings = read(path)
    rows = [
        (what, arm, f"{timings.median((what, arm)):.1f}", f"{min(s):.1f} to {max(s):.1f}")
        for (what, arm), s in timings.seconds.items()
    ]
    head = f"{timings.environment['device']}, {timings.date}"
    accuracies = timings.accuracy.values()
    arms = dict.fromkeys(arm for of_place in accuracies for arm in of_place)
    scores = [(arm, *(_score(of_place.get(arm, ())) for of_place in accuracies)) for arm in arms]
    return [
        Table((head, "of", "seconds", f"{timings.rounds} rounds"), tuple(rows)),
        Table(("test accuracy (chance 10%)", *timings.accuracy), tuple(scores)),
    ]


def _score(accuracies: Sequence[float]) -> str:
    """Write mean, standard deviation and number of some accuracies."""
    if len(accuracies) < 2:
        return "–"
    mean, sd = 100 * statistics.fmean(accuracies), 100 * statistics.stdev(accuracies)
    return f"{mean:.2f} ± {sd:.2f}% ({len(accuracies)})"
