"""Benchmarks: cases timed in turn, kept with the machine and the day, compared as ratios.

Machines are noisy, and two timings of the same thing, hours apart, may differ by a third. So cases
are timed in rounds, each case once a round, and what is told is the ratio of two cases in the same
round: its median, lowest and highest.
"""

import json
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from normstudy.tables import Table

Case = tuple[str, str]
"""What was done, and with which arm."""


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

    def median(self, case: Case) -> float:
        """Median over the rounds, in seconds."""
        return statistics.median(self.seconds[case])

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
        part = path.with_suffix(".part")
        part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
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


def interleave(
    cases: Mapping[Case, Callable[[], float]], rounds: int, *, seed: int = 0
) -> dict[Case, list[float]]:
    """Time all cases once a round, in an order that is drawn anew for each round.

    Parameters
    ----------
    cases
        Functions that do something and return the seconds that it took, per whatever is counted.
    rounds
        How many times; one round before them warms up and is not kept.
    seed
        Of the order.
    """
    rng = random.Random(seed)
    seconds: dict[Case, list[float]] = {case: [] for case in cases}
    for turn in range(rounds + 1):
        for case in rng.sample(list(cases), len(cases)):
            taken = cases[case]()
            if turn > 0:
                seconds[case].append(taken)
    return seconds


def ratios(timings: Timings, under: str, *, rates: bool = True) -> Table:
    """Tabulate everything that was done as a multiple of one of them, arm by arm.

    Parameters
    ----------
    timings
        What was timed.
    under
        What everything is compared with.
    rates
        How many times as fast, instead of how many times as long.
    """
    rows = []
    for what in timings.whats():
        cells = []
        for arm in timings.arms():
            if {(what, arm), (under, arm)} <= timings.seconds.keys():
                pair = ((under, arm), (what, arm)) if rates else ((what, arm), (under, arm))
                middle, low, high = timings.ratio(*pair)
                cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            else:
                cells.append("–")
        rows.append((what, *cells))
    return Table((f"{'speed' if rates else 'time'} / {under}", *timings.arms()), tuple(rows))
