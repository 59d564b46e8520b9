"""What the runs say, as tables and sentences: results, settings, pairs, penalties."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from scipy import stats
from torch import nn

from normstudy.study.compare import Correlation, Difference, differences
from normstudy.study.data import ImageSet
from normstudy.study.design import Reference
from normstudy.study.measures import (
    CONFIDENCE,
    SMALL_WEIGHT,
    Arms,
    Summary,
    check_arms,
    measure_of,
    penalty_share,
    sampling_error,
    small_weights,
    summarize,
)
from normstudy.study.model import Net, layer_table
from normstudy.study.networks import Block, Norm, Separable
from normstudy.study.recipes import Recipe, varied
from normstudy.study.runs import Run
from normstudy.study.train import build
from normstudy.tables import Table, in_sentence, interval, number, p_value

RESULTS = ("test_accuracy", "test_loss", "train_accuracy", "gap")


def results(arms: Arms, measures: Sequence[str] = RESULTS) -> Table:
    """Tabulate all arms: means ± standard deviations over the seeds, after the last epoch.

    Training measures are those of all training images without augmentation, in evaluation mode.

    Parameters
    ----------
    arms
        Runs by arm.
    measures
        Keys of :data:`normstudy.study.measures.MEASURES`; one column each.
    """
    check_arms(arms)
    rows = [
        (arm, str(len(runs)), *(str(summarize(runs, name)) for name in measures))
        for arm, runs in arms.items()
    ]
    some = next(iter(arms.values()))
    titles = (measure_of(name, some) for name in measures)
    return Table(("arm", "seeds", *(f"{m.title}, {m.unit}" for m in titles)), tuple(rows))


def extremes(arms: Arms, measures: Sequence[str]) -> str:
    """Say in a line for each measure which arms are at its ends, and which pairs are decided."""
    lines = []
    for name in measures:
        found = {arm: summarize(runs, name) for arm, runs in arms.items()}
        low, high = (pick(found, key=lambda arm: found[arm].mean) for pick in (min, max))
        of, pairs_of = found[low].measure, differences(arms, name)
        unit = of.unit if of.unit == "%" else f" {of.unit}"
        ends = (f"{of.text(found[arm].mean)}{unit} ({in_sentence(arm)})" for arm in (low, high))
        line = f"{of.title}: from {' to '.join(ends)}"
        if found[low].n > 1:
            apart = of.text(_typical(found.values()))
            line += f", two seeds of one arm differ by {apart} (root mean square)"
        lines.append(f"{line}; {sum(d.decided for d in pairs_of)} of {len(pairs_of)} pairs decided")
    return "\n".join(lines)


def _typical(found: Iterable[Summary]) -> float:
    """Compute how far two seeds of one arm are apart, root mean square: root of 2, times the sd."""
    return math.sqrt(2 * float(np.mean([summary.sd**2 for summary in found])))


def first_and_last(runs: Sequence[Run], columns: Sequence[str]) -> Table:
    """Tabulate columns of the history in the first and in the last epoch, a row for each seed."""
    rows = []
    for run in runs:
        ends = (run.history[column][epoch] for column in columns for epoch in (0, -1))
        rows.append((str(run.recipe.seed), *(f"{end:.4f}" for end in ends)))
    names = (name.replace("_", " ") for name in columns)
    header = (f"{name}, {epoch} epoch" for name in names for epoch in ("first", "last"))
    return Table(("seed", *header), tuple(rows))


def accuracies(arms: Arms) -> Table:
    """Tabulate the accuracy of every arm with both kinds of error, and the loss.

    The interval is that of the mean over the seeds; the sampling error is that of one trained
    network on other test images.
    """
    check_arms(arms)
    rows = []
    for arm, runs in arms.items():
        accuracy, loss = (summarize(runs, name) for name in ("test_accuracy", "test_loss"))
        error = f"{sampling_error(runs):.2f}"
        row = (arm, str(accuracy.n), str(accuracy), accuracy.interval, error, str(loss))
        rows.append(row)
    scored = next(iter(arms.values()))[0].recipe.scored
    header = (
        *("arm", "seeds", f"{scored} accuracy, %", "95% interval"),
        *("sampling error, points", f"{scored} loss, nats"),
    )
    return Table(header, tuple(rows))


def best_epochs(arms: Arms) -> Table:
    """Tabulate what quoting the best epoch of each run, instead of the last, would have added."""
    check_arms(arms)
    rows = []
    for arm, runs in arms.items():
        histories = [run.history["test_accuracy"] for run in runs]
        gains = [100 * (max(history) - history[-1]) for history in histories]
        epochs = (str(1 + history.index(max(history))) for history in histories)
        rows.append((arm, f"{np.mean(gains):.2f}", ", ".join(epochs)))
    header = ("arm", "best minus last epoch, points", "best epoch of each seed")
    return Table(header, tuple(rows))


def pairs(found: Sequence[Difference]) -> Table:
    """Tabulate what :func:`normstudy.study.compare.differences` found."""
    header = ("pair", "seeds", "difference", "95% interval", "p", "verdict")
    rows = []
    for d in found:
        seeds = ", ".join(dict.fromkeys(str(arm.n) for arm in (d.first, d.second)))
        p = "none" if math.isnan(d.p) else p_value(d.p)
        rows.append((d.title, seeds, d.measure.text(d.mean, sign=True), d.interval, p, _said(d)))
    return Table(header, tuple(rows))


def _said(d: Difference) -> str:
    """Name the verdict in a few words."""
    if d.decided:
        return f"ahead: {in_sentence(d.ordered().pair[0])}" + f", by < {d.margin:g}" * d.equal
    return f"equal within {d.margin:g}" if d.equal else "open"


def verdict(found: Sequence[Difference]) -> str:
    """Say in three sentences which pairs are decided and by how much, which are equal, or open."""
    of = {v: [d for d in found if d.verdict == v] for v in ("ahead", "equal", "open")}
    parts = []
    if decided := sorted(of["ahead"], key=lambda d: -abs(d.mean)):
        largest, smallest = (_ahead(d) for d in (decided[0], decided[-1]))
        sizes = largest if len(decided) == 1 else f"from {smallest} to {largest}"
        parts.append(f"Decided: {len(decided)} of {len(found)} pairs, {sizes}.")
    if found[0].measure.unit == "%":
        listed = "; ".join(f"{d.title} ({_size(d)})" for d in of["equal"])
        parts.append(f"Equal within {found[0].margin:g} points: {listed or 'no pair'}.")
    if of["open"]:
        listed = "; ".join(f"{d.title} ({_size(d)})" for d in of["open"])
        parts.append(f"Open: {listed}.")
    return " ".join(parts)


def _ahead(d: Difference) -> str:
    ahead, behind = map(in_sentence, d.ordered().pair)
    return f"{d.measure.text(abs(d.mean))} {d.unit} ({ahead} ahead of {behind})"


def _size(d: Difference) -> str:
    ends = "" if math.isnan(d.low) else f", 95% interval {d.interval}"
    return f"{d.measure.text(d.mean, sign=True)}{ends}"


def seeds_needed(found: Sequence[Difference], half_width: float) -> Table:
    """Tabulate roughly how many seeds would narrow each interval to ± ``half_width`` points.

    That is q^2 (s1^2 + s2^2) / (2 h^2) of each arm, where s1 and s2 are the standard deviations of
    the arms, and q the 95% quantile of the studentized range for as many arms as are compared.
    """
    rows = []
    for d in found:
        arms = (1 + math.sqrt(1 + 8 * d.family)) / 2  # k arms are k (k - 1) / 2 pairs
        q = float(stats.studentized_range.ppf(CONFIDENCE, arms, 10_000))
        variance = d.first.sd**2 + d.second.sd**2
        known = not math.isnan(variance)
        needed = math.ceil(q**2 * variance / (2 * half_width**2)) if known else "unknown (n = 1)"
        spread = d.measure.text(math.sqrt(variance / 2)) if known else "none"
        rows.append((d.title, str(min(d.first.n, d.second.n)), spread, str(needed)))
    header = ("pair", "seeds", "standard deviation, points", f"seeds for ± {half_width:g} points")
    return Table(header, tuple(rows))


def both_samples(arms: Arms, intervals: Mapping[tuple[str, str], tuple[float, float]]) -> Table:
    """Set intervals that count the test images as a sample too beside those for these images.

    Both are those of each pair alone.
    """
    rows = []
    for pair, (low, high) in intervals.items():
        (d,) = differences({arm: arms[arm] for arm in pair})
        wider = interval(low, high, d.measure.digits)
        rows.append((d.title, d.measure.text(d.mean, sign=True), d.interval, wider))
    header = ("pair", "difference", "95% interval, these images", "95% interval, other images")
    return Table(header, tuple(rows))


def correlations(found: Sequence[Correlation]) -> Table:
    """Tabulate how far arms move together over shared seeds."""
    rows = []
    for c in found:
        ends = interval(c.low, c.high, 2)
        rows.append((f"{c.pair[0]}, {c.pair[1]}", str(c.n), number(c.r, 2, sign=True), ends))
    return Table(("pair", "seeds", "r over seeds", "95% interval"), tuple(rows))


def beside(reference: Reference, arms: Arms) -> Table:
    """Set our means beside somebody else's numbers, for the arms that have both."""
    rows = []
    for arm, value in reference.values.items():
        ours = summarize(arms[arm])
        rows.append((arm, f"{value:.2f}", str(ours), number(ours.mean - value, 2, sign=True)))
    return Table(("arm", f"{reference.label}, %", "here, %", "points more"), tuple(rows))


def settings(arms: Arms) -> Table:
    """Tabulate the settings in which arms differ, a row each; the seed aside."""
    recipes = {arm: runs[0].recipe for arm, runs in arms.items()}
    names = [name for name in varied(list(recipes.values())) if name not in {"norm", "seed"}]
    rows = [(name, *(_setting(recipe, name) for recipe in recipes.values())) for name in names]
    return Table(("setting", *recipes), tuple(rows))


def shared_settings(arms: Arms) -> dict[str, object]:
    """Collect the settings that all arms share, but for those that are switched off."""
    recipes = [run.recipe for runs in arms.values() for run in runs]
    differing = {*varied(recipes), "seed"}
    shared = recipes[0].to_dict()
    return {name: value for name, value in shared.items() if value and name not in differing}


def penalties(arms: Arms) -> Table:
    """Set an L1 arm beside the one without: share of the loss, and what became of the weights."""
    check_arms(arms)
    header = (
        *("arm", "lambda", "share of the loss, first epoch, %", "last epoch, %"),
        *(f"weights below {SMALL_WEIGHT:g} in magnitude, %", "median magnitude"),
    )
    rows = []
    for arm, runs in arms.items():
        shares = 100 * np.mean([penalty_share(run) for run in runs], axis=0)
        small = 100 * np.mean([small_weights(run) for run in runs])
        median = np.mean([run.weight_quantiles[len(run.weight_quantiles) // 2] for run in runs])
        strength = f"{runs[0].recipe.l1:.3g}"
        row = (arm, strength, f"{shares[0]:.1f}", f"{shares[-1]:.1f}", f"{small:.1f}")
        rows.append((*row, f"{median:.2g}"))
    return Table(header, tuple(rows))


def penalty_in_short(with_l1: Sequence[Run], without: Sequence[Run]) -> str:
    """Say what share of the loss the L1 penalty is, and how the weights differ."""
    share = 100 * np.mean([penalty_share(run)[-1] for run in with_l1])
    middles, small = [], []
    for runs in (with_l1, without):
        middles.append(np.mean([np.median(run.weight_quantiles) for run in runs]))
        small.append(100 * np.mean([small_weights(run) for run in runs]))
    return (
        f"in the last epoch the penalty is {share:.1f}% of the loss. The median weight is "
        f"{middles[0]:.2g} in magnitude with it and {middles[1]:.2g} without; {small[0]:.1f}% and "
        f"{small[1]:.1f}% of the weights are below {SMALL_WEIGHT:g}."
    )


def splits(images: ImageSet) -> Table:
    """Tabulate the images of each split, and the accuracy of always giving its largest class."""
    to_train, held_out = images.validation_split()
    found = {
        "training": images.train,
        "of these, in a search: to train on": to_train,
        "of these, in a search: validation": held_out,
        "test": images.test,
    }
    rows = []
    for name, split in found.items():
        largest = int(split.labels.bincount().max()) / len(split)
        rows.append((name, f"{len(split):,}", f"{100 * largest:.1f}"))
    return Table(("split", "images", "largest class, %"), tuple(rows))


def layers(net: Net, size: int) -> Table:
    """Tabulate the layers of a network for images of ``size`` by ``size`` pixels."""
    rows = []
    for row in layer_table(net, size):
        shape = " × ".join(map(str, row.output_size))
        rows.append((row.name, row.kind, shape, f"{row.parameters:,}", str(row.receptive_field)))
    return Table(("layer", "kind", "output", "parameters", "receptive field"), tuple(rows))


def shared_means(recipes: Mapping[str, Recipe], images: ImageSet) -> Table:
    """Tabulate the means that each norm takes from a batch, by the size of the maps, with cells."""
    some = next(iter(recipes.values()))
    plan = layer_table(build(some, images), images.size)
    places = []
    for before, layer in pairwise(plan):
        # a norm takes the maps that come to it, or what the 3x3 half of its layer leaves of them
        if isinstance(layer.row, Norm | Block | Separable):
            less = 2 - 2 * layer.row.padding if isinstance(layer.row, Separable) else 0
            channels, height, width = before.output_size
            places.append((channels, height - less, width - less))
    rows = []
    for c, h, w in dict.fromkeys(places):
        row = [f"{some.batch_size} × {c} × {h} × {w}"]
        for recipe in recipes.values():
            n = recipe.batch_size
            groups = c // (recipe.channels_per_group or c / recipe.num_groups)
            each = {"batch": c, "group": n * int(groups), "instance": n * c}
            means = {**each, "layer": n, "layer_chw": n}.get(recipe.norm)
            cells = n * c * h * w
            row.append(f"{means:,} of {cells // means:,} cells" if means else "\N{EN DASH}")
        rows.append(tuple(row))
    return Table(("maps: N × C × H × W", *recipes), tuple(rows))


def norm_layers(nets: Mapping[str, nn.Module]) -> Table:
    """Tabulate the kinds of norm layers that each network holds, counted in the network itself."""
    rows = []
    for arm, net in nets.items():
        found = [part for part in net.modules() if "Norm" in type(part).__name__]
        kinds = Counter(type(part).__name__ for part in found)
        places = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"
        grouped = [part for part in found if isinstance(part, nn.GroupNorm)]
        sizes = sorted({part.num_channels // part.num_groups for part in grouped})
        rows.append((arm, places, ", ".join(map(str, sizes)) or "\N{EN DASH}"))
    return Table(("arm", "norm layers", "channels in a group"), tuple(rows))


def parameters(nets: Mapping[str, Net], size: int) -> Table:
    """Tabulate the parameters of each layer that has any, and their sum; one column an arm."""
    tables = {arm: layer_table(net, size) for arm, net in nets.items()}
    counts = {arm: [row.parameters for row in table] for arm, table in tables.items()}
    names = [row.name for row in next(iter(tables.values()))]
    rows = [row for row in zip(names, *counts.values(), strict=True) if any(row[1:])]
    rows.append(("all layers", *(sum(of_arm) for of_arm in counts.values())))
    cells = tuple((name, *(f"{count:,}" for count in of_layer)) for name, *of_layer in rows)
    return Table(("parameters", *tables), cells)


def _setting(recipe: Recipe, name: str) -> str:
    if name in recipe.unread:  # as the number of groups is by all norms but one
        return "\N{EN DASH}"
    value = getattr(recipe, name)
    return f"{value:g}" if isinstance(value, float) else str(value)
