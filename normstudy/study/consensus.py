"""What the public reports say together: arms compared over reports, beside runs of our own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from normstudy.drawing import GRID, QUIET, Row, apart, describe, forest, in_own_style, panel, style
from normstudy.study.compare import differences
from normstudy.study.measures import Arms, mean_interval, summarize
from normstudy.study.reports import LIMITS, Report
from normstudy.tables import Table, in_sentence, interval, number, p_equals, p_value


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """Two arms over all reports that give both: differences of their accuracies, in points."""

    pair: tuple[str, str]
    values: tuple[float, ...]
    """The first arm's accuracy minus the second's, a report each."""

    @property
    def counts(self) -> tuple[int, int]:
        """In how many reports the first arm is ahead, and in how many the second."""
        return sum(v > 0 for v in self.values), sum(v < 0 for v in self.values)

    @property
    def mean(self) -> float:
        """Mean over the reports."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Sample standard deviation over the reports."""
        return float(np.std(self.values, ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95% t-interval of the mean."""
        return mean_interval(self.values)

    @property
    def p(self) -> float:
        """Two-sided p-value of the sign test, ties left out.

        References
        ----------
        W. J. Dixon and A. M. Mood, The Statistical Sign Test, 1946,
        https://doi.org/10.1080/01621459.1946.10501898
        """
        ahead, behind = self.counts
        return float(stats.binomtest(ahead, ahead + behind).pvalue)

    @property
    def title(self) -> str:
        """First minus second, as text."""
        return " \N{MINUS SIGN} ".join(self.pair)

    def __str__(self) -> str:
        """Say in one sentence who is ahead how often and by how much, with a sign test."""
        ahead, _ = self.counts
        return (
            f"{self.pair[0]} is ahead of {in_sentence(self.pair[1])} in {ahead} of "
            f"{len(self.values)} reports (sign test: {p_equals(self.p)}), on average by "
            f"{number(self.mean, 2)} points (95% interval {interval(*self.interval, 2)})."
        )


def paired(reports: Sequence[Report], first: str, second: str) -> Paired:
    """Compare two arms over the reports that give both.

    Raises
    ------
    ValueError
        If fewer than two reports do.
    """
    both = [r.accuracies for r in reports if {first, second} <= r.accuracies.keys()]
    if len(both) < 2:
        msg = f"{len(both)} of {len(reports)} reports give {first!r} and {second!r}; two are needed"
        raise ValueError(msg)
    # as printed: two decimals, so that a tie is a tie
    values = tuple(round(accuracies[first] - accuracies[second], 2) for accuracies in both)
    return Paired(pair=(first, second), values=values)


def summary(pairs: Sequence[Paired]) -> Table:
    """Tabulate pairs: who is ahead how often, by how much, and how far that scatters."""
    header = (
        *("first − second", "reports", "first ahead", "second ahead", "equal", "sign test p"),
        *("mean, points", "95% interval", "standard deviation"),
    )
    rows = [
        (
            *(pair.title, str(len(pair.values)), *map(str, pair.counts)),
            *(str(len(pair.values) - sum(pair.counts)), p_value(pair.p)),
            number(pair.mean, 2, sign=True),
            interval(*pair.interval, 2),
            number(pair.sd, 2),
        )
        for pair in pairs
    ]
    return Table(header, tuple(rows))


def by_size(reports: Sequence[Report], arms: Sequence[str]) -> Table:
    """Tabulate, for each arm, how accuracy goes with the number of parameters.

    Spearman's rank correlation, and how accuracies scatter in the larger half of the networks.
    Those that are too large for the assignment are left out.
    """
    header = (
        *("arm", "networks of known size", "rank correlation", "p"),
        *("accuracy in the larger half, %", "lowest to highest"),
    )
    rows = []
    for arm in arms:
        both = [
            r
            for r in reports
            if arm in r.accuracies and r.parameters.get(arm, LIMITS[r.data]) < LIMITS[r.data]
        ]
        sizes, values = (
            np.array([numbers[arm] for numbers in of])
            for of in ([r.parameters for r in both], [r.accuracies for r in both])
        )
        rank, large = stats.spearmanr(sizes, values), values[sizes >= np.median(sizes)]
        rows.append(
            (
                *(arm, str(len(both)), number(float(rank.statistic), 2, sign=True)),
                *(p_value(float(rank.pvalue)), f"{large.mean():.2f} ± {large.std(ddof=1):.2f}"),
                f"{large.min():.2f} to {large.max():.2f}",
            )
        )
    return Table(header, tuple(rows))


def listing(reports: Sequence[Report]) -> Table:
    """Tabulate reports as they were found, a network each."""
    arms = list(dict.fromkeys(arm for report in reports for arm in report.accuracies))
    rows = []
    for report in reports:
        cells = (f"{report.accuracies[a]:.2f}" if a in report.accuracies else "–" for a in arms)
        size = " / ".join(dict.fromkeys(f"{n:,}" for n in report.parameters.values())) or "–"
        rows.append((report.name, size, *cells, report.remark))
    return Table(("report", "parameters", *(f"{arm}, %" for arm in arms), "remark"), tuple(rows))


def seed_differences(arms: Arms, first: str, second: str) -> list[float]:
    """List what reports of one seed each would have found: every seed of one arm minus every other.

    Accuracies in points, of different seeds only: two people hardly draw the same.
    """
    a, b = (summarize(arms[arm]).values for arm in (first, second))
    return [x - y for seed, x in a.items() for other, y in b.items() if seed != other]


def _wider(pair: Paired, arms: Arms) -> float:
    """Divide the scatter of a pair over reports by that over two seeds of our runs."""
    return pair.sd / float(np.std(seed_differences(arms, *pair.pair), ddof=1))


def in_short(pairs: Sequence[Paired], arms: Arms) -> str:
    """Say how far what reports find can be due to the norms."""
    wider = [_wider(pair, arms) for pair in pairs]
    return (
        f"The differences scatter {min(wider):.0f} to {max(wider):.0f} times as widely as those of "
        "two seeds of one network. The list cannot say how much of them is the norm: within one "
        "report, too, the arms may have been tuned unequally well."
    )


def scatter(pairs: Sequence[Paired], arms: Arms) -> Table:
    """Tabulate how many times wider reports scatter than seeds, and how often two seeds mislead.

    The last column counts those of :func:`seed_differences` that do not have the sign of the mean.
    """
    rows = []
    for pair in pairs:
        ours = seed_differences(arms, *pair.pair)
        mean = summarize(arms[pair.pair[0]]).mean - summarize(arms[pair.pair[1]]).mean
        wrong = sum(d * mean <= 0 for d in ours)
        rows.append((pair.title, f"{_wider(pair, arms):.1f}", f"{wrong} of {len(ours)}"))
    header = (
        *("first − second", "scatter of reports / of seeds"),
        "two seeds against the sign of our mean",
    )
    return Table(header, tuple(rows))


@in_own_style
def spreads(pairs: Sequence[Paired], arms: Arms) -> Figure:
    """Draw the differences in all reports, and beneath each pair those between our seeds."""
    rows = []
    ours = {d.pair: d for d in differences(arms)}
    ours |= {d.pair[::-1]: -d for d in ours.values()}
    for pair in pairs:
        low, high = pair.interval
        text = f"{number(pair.mean, 2, sign=True)}, sd {number(pair.sd, 2)}"
        rows.append(Row(pair.title, pair.pair[0], list(pair.values), pair.mean, low, high, text))
        if pair.pair in ours:
            d, seeds = ours[pair.pair], seed_differences(arms, *pair.pair)
            text = f"{number(d.mean, 2, sign=True)}, sd {number(float(np.std(seeds, ddof=1)), 2)}"
            rows.append(Row("the same, here", pair.pair[0], seeds, d.mean, d.low, d.high, text))
    title = "Two norms, in every report and here"
    about = "Black dots: a report, or two seeds of our runs. Marks and bars: mean and 95% interval."
    axis = "difference in test accuracy, points"
    fig = forest(rows, title, about, axis)
    fig.axes[0].axvline(0, color=QUIET, linewidth=1)
    caption = f"{title}. {about} At the right: mean, and standard deviation of the dots."
    found = "; ".join(f"{row.name} {row.text}" for row in rows)
    return describe(fig, name="report-spreads", caption=caption, alt=f"Dots of {axis}: {found}.")


@in_own_style
def sizes(reports: Sequence[Report], arms: Arms, parameters: int) -> Figure:
    """Draw accuracy against parameters: a mark a report and arm, and our means at our size."""
    title = "Accuracy against size"
    about = "Small marks: a report. Large marks, with names: means of our runs, last epoch."
    fig, ax = panel(title, about, height=4.8, right=1.9)
    known = [report for report in reports if report.parameters]
    limit = LIMITS[known[0].data]
    shown = [arm for arm in arms if any(arm in report.accuracies for report in known)]
    means = [summarize(arms[arm]) for arm in shown]
    for arm in shown:
        color, _, marker = style(arm, shown)
        given = [
            (size, r.accuracies[arm])
            for r in known
            if (size := r.parameters.get(arm, limit)) < limit
        ]
        ax.plot(*zip(*given, strict=True), marker, color=color, markersize=5, alpha=0.55)
    low, high = ax.get_ylim()
    high = max(high, *(mean.mean for mean in means)) + 1
    ax.set_ylim(low, high)
    places = [(mean.mean - low) / (high - low) for mean in means]
    for arm, mean, place in zip(shown, means, apart(places, 0.1, 0.02, 0.98), strict=True):
        color, _, marker = style(arm, shown)
        edge: dict[str, Any] = {"markeredgecolor": "black", "markeredgewidth": 0.8}
        ax.plot(parameters, mean.mean, marker, color=color, markersize=9, **edge)
        words: dict[str, Any] = {"transform": ax.transAxes, "fontsize": 10}
        ax.text(1.04, place, arm, weight="bold", va="bottom", **words)
        ax.text(1.04, place, str(mean) + "%", va="top", **words)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel("parameters", fontsize=10.5)
    ax.set_ylabel("test accuracy, %", fontsize=10.5, rotation=0, ha="left", va="bottom")
    ax.yaxis.set_label_coords(0, 1.02)
    caption = (
        f"{title}. {about} {len(known)} of {len(reports)} reports print a size; networks of "
        f"{limit:,} parameters or more are left out."
    )
    found = "; ".join(f"{arm} {mean}%" for arm, mean in zip(shown, means, strict=True))
    alt = f"Scatter plot of test accuracy against parameters; here, at {parameters:,}: {found}."
    return describe(fig, name="report-sizes", caption=caption, alt=alt)
