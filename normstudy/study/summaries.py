"""What the runs say, as tables and sentences: results, settings, pairs, penalties."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import nn

from normstudy.study.compare import (
    SMALL_WEIGHT,
    Arms,
    Difference,
    Summary,
    check_arms,
    differences,
    measure_of,
    penalty_share,
    sampling_error,
    small_weights,
    summarize,
)
from normstudy.study.data import ImageSet
from normstudy.study.model import Net, layer_table
from normstudy.study.networks import Block, Norm
from normstudy.study.recipes import Recipe, varied
from normstudy.study.runs import Run
from normstudy.study.studies import Reference
from normstudy.study.train import build
from normstudy.tables import Table, in_sentence, p_value

RESULTS = ("test_accuracy", "test_loss", "train_accuracy", "gap")


def results(arms: Arms, measures: Sequence[str] = RESULTS) -> Table:
    """Tabulate all arms: means ± standard deviations over the seeds, after the last epoch.

    Training measures are those of all training images without augmentation, in evaluation mode.

    Parameters
    ----------
    arms
        Runs by arm.
    measures
        Keys of :data:`normstudy.study.compare.MEASURES`; one column each.
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
        ends = (f"{of.text(found[arm].mean)} {of.unit} ({in_sentence(arm)})" for arm in (low, high))
        line = f"{of.title}: from {' to '.join(ends)}"
        if found[low].n > 1:
            line += f", two seeds of one arm differ by about {of.text(_typical(found.values()))}"
        lines.append(f"{line}; {sum(d.decided for d in pairs_of)} of {len(pairs_of)} pairs decided")
    return "\n".join(lines)


def _typical(found: Iterable[Summary]) -> float:
    """Compute how far two seeds of one arm are typically apart: root of 2, times the pooled sd."""
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
        error = f"{sampling_error(runs[0])[0]:.2f}"
        row = (arm, str(accuracy.n), str(accuracy), accuracy.interval, error, str(loss))
        rows.append(row)
    scored = next(iter(arms.values()))[0].recipe.scored
    header = (
        *("arm", "seeds", f"{scored} accuracy, %", "95 % interval"),
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
    header = ("pair", "seeds", "difference", "95 % interval", "p", "p, Holm", "decided")
    rows = []
    for d in found:
        text = d.measure.text
        ends = f"{text(d.low)} to {text(d.high)}" if d.n > 1 else "none"
        p_values = (p_value(p) if d.n > 1 else "none" for p in (d.p, d.p_holm))
        decided = "yes" if d.decided else "no"
        rows.append((d.pair, str(d.n), text(d.mean, sign=True), ends, *p_values, decided))
    return Table(header, tuple(rows))


def verdict(found: Sequence[Difference]) -> str:
    """Say in two sentences which pairs are decided, how large the differences are, what is open."""
    decided = sorted((d for d in found if d.decided), key=lambda d: -abs(d.mean))
    still_open = [d for d in found if not d.decided]
    parts = []
    if decided:
        largest, smallest = (_ahead(d) for d in (decided[0], decided[-1]))
        sizes = largest if len(decided) == 1 else f"from {smallest} to {largest}"
        parts.append(f"Decided: {len(decided)} of {len(found)} pairs, {sizes}.")
    if still_open:
        listed = "; ".join(f"{d.pair} ({_size(d)})" for d in still_open)
        parts.append(f"Open: {listed}.")
    return " ".join(parts)


def _ahead(d: Difference) -> str:
    flip = (d.mean < 0) == (d.measure.better == "higher")
    ahead, behind = (d.second, d.first) if flip else (d.first, d.second)
    unit = "points" if d.measure.unit == "%" else d.measure.unit
    order = f"{in_sentence(ahead)} ahead of {in_sentence(behind)}"
    return f"{d.measure.text(abs(d.mean))} {unit} ({order})"


def _size(d: Difference) -> str:
    text = d.measure.text
    ends = f", 95 % interval {text(d.low)} to {text(d.high)}" if d.n > 1 else ""
    return f"{text(d.mean, sign=True)}{ends}"


def seeds_needed(found: Sequence[Difference], half_width: float) -> Table:
    """Tabulate roughly how many seeds would narrow each interval to ± ``half_width`` points.

    That is 2 + (2 s / h)^2, where s is the standard deviation of the paired differences.
    """
    rows = []
    for d in found:
        needed = f"{math.ceil(2 + (2 * d.sd / half_width) ** 2)}" if d.n > 1 else "unknown (n = 1)"
        rows.append((d.pair, str(d.n), d.measure.text(d.sd) if d.n > 1 else "none", needed))
    header = ("pair", "seeds", "standard deviation, points", f"seeds for ± {half_width:g} points")
    return Table(header, tuple(rows))


def short_answer(arms: Arms) -> list[str]:
    """Answer in a line for each arm: its accuracy, and how far it is behind the best one."""
    check_arms(arms)
    means = {arm: summarize(runs) for arm, runs in arms.items()}
    order = sorted(means, key=lambda arm: -means[arm].mean)
    best, num_scored = order[0], arms[order[0]][0].num_scored
    scored = arms[best][0].recipe.scored
    first = f"{best}: {means[best]} % of {num_scored:,} {scored} images right"
    lines = [f"{first}, mean ± standard deviation of {means[best].n} seeds, after the last epoch."]
    found = {frozenset((d.first, d.second)): d for d in differences(arms)}
    for arm in order[1:]:
        d = found[frozenset((arm, best))]
        low, high = (d.low, d.high) if d.first == best else (-d.high, -d.low)
        size = f"{abs(d.mean):.2f} points behind {in_sentence(best)}"
        if d.n > 1:
            text = d.measure.text
            size += f" (95 % interval {text(low)} to {text(high)})"
        tail = "" if d.decided else "; the data do not decide between the two"
        lines.append(f"{arm}: {means[arm]} %, {size}{tail}.")
    return lines


def beside(reference: Reference, arms: Arms) -> Table:
    """Set our means beside somebody else's numbers, for the arms that have both."""
    rows = []
    for arm, value in reference.values.items():
        ours = summarize(arms[arm])
        rows.append((arm, f"{value:.2f}", str(ours), f"{ours.mean - value:+.2f}"))
    return Table(("arm", f"{reference.label}, %", "here, %", "points more"), tuple(rows))


def settings(arms: Arms) -> Table:
    """Tabulate the settings in which arms differ, a row each; the seed aside."""
    recipes = {arm: runs[0].recipe for arm, runs in arms.items()}
    names = [name for name in varied(list(recipes.values())) if name not in {"norm", "seed"}]
    rows = [(name, *(_setting(recipe, name) for recipe in recipes.values())) for name in names]
    return Table(("setting", *recipes), tuple(rows))


def shared_settings(arms: Arms) -> dict[str, object]:
    """Collect the settings that all arms share."""
    recipes = [run.recipe for runs in arms.values() for run in runs]
    differing = {*varied(recipes), "seed"}
    return {name: value for name, value in recipes[0].to_dict().items() if name not in differing}


def tried(runs: Sequence[Run]) -> Table:
    """Tabulate what a search tried for one arm: the settings that vary, best accuracy first."""
    check_arms({str(i): [run] for i, run in enumerate(runs)})
    names = [name for name in varied([run.recipe for run in runs]) if name != "seed"]
    accuracy = measure_of("test_accuracy", runs)
    header = (*(name.replace("_", " ") for name in names), f"{accuracy.title}, %")
    rows = []
    for run in sorted(runs, key=lambda run: -run.accuracy):
        cells = (_setting(run.recipe, name) for name in names)
        rows.append((*cells, accuracy.text(accuracy.of(run))))
    return Table(header, tuple(rows))


def budgets(arms: Arms, diverged: Mapping[str, Sequence[Recipe]] | None = None) -> Table:
    """Tabulate how much a search tried for each arm."""
    check_arms({f"{arm} {i}": [run] for arm, runs in arms.items() for i, run in enumerate(runs)})
    rows = []
    for arm, runs in arms.items():
        failed = list((diverged or {}).get(arm, ()))
        recipes = [run.recipe for run in runs] + failed
        rates = sorted({recipe.lr for recipe in recipes})
        others = (
            ", ".join(n.replace("_", " ") for n in varied(recipes) if n not in {"lr", "seed"})
            or "nothing"
        )
        counts = (str(len(recipes)), str(len(failed)))
        rows.append((arm, *counts, ", ".join(f"{lr:g}" for lr in rates), others))
    return Table(("arm", "trainings", "diverged", "learning rates", "also varied"), tuple(rows))


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
        strength = f"{runs[0].recipe.l1:g}"
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
        f"in the last epoch the penalty is {share:.1f} % of the loss. The median weight is "
        f"{middles[0]:.2g} in magnitude with it and {middles[1]:.2g} without; {small[0]:.1f} % and "
        f"{small[1]:.1f} % of the weights are below {SMALL_WEIGHT:g}."
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
    places = [row.output_size for row in plan if isinstance(row.row, Norm | Block)]
    rows = []
    for c, h, w in dict.fromkeys(places):
        row = [f"{some.batch_size} × {c} × {h} × {w}"]
        for recipe in recipes.values():
            n = recipe.batch_size
            each = {"batch": c, "group": n * recipe.num_groups, "instance": n * c}
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
    if name == "num_groups" and recipe.norm != "group":
        return "\N{EN DASH}"  # the field is read by group norm alone
    value = getattr(recipe, name)
    return f"{value:g}" if isinstance(value, float) else str(value)
