"""What the runs say, as tables and sentences: results, settings, pairs, penalties."""

from collections.abc import Sequence

import numpy as np

from normstudy.study.compare import (
    SMALL_WEIGHT,
    Arms,
    Difference,
    check_arms,
    differences,
    measure_of,
    penalty_share,
    sampling_error,
    small_weights,
    summarize,
)
from normstudy.study.recipes import Recipe, varied
from normstudy.study.runs import Run
from normstudy.study.studies import Reference
from normstudy.tables import Table, p_value

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
    return f"{d.measure.text(abs(d.mean))} {unit} ({ahead} ahead of {behind})"


def _size(d: Difference) -> str:
    text = d.measure.text
    ends = f", 95 % interval {text(d.low)} to {text(d.high)}" if d.n > 1 else ""
    return f"{text(d.mean, sign=True)}{ends}"


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
        size = f"{abs(d.mean):.2f} points behind {best}"
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
    names = varied([run.recipe for run in runs])
    accuracy = measure_of("test_accuracy", runs)
    header = (*(name.replace("_", " ") for name in names), f"{accuracy.title}, %")
    rows = []
    for run in sorted(runs, key=lambda run: -run.accuracy):
        cells = (_setting(run.recipe, name) for name in names)
        rows.append((*cells, accuracy.text(accuracy.of(run))))
    return Table(header, tuple(rows))


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


def _setting(recipe: Recipe, name: str) -> str:
    if name == "num_groups" and recipe.norm != "group":
        return "\N{EN DASH}"  # the field is read by group norm alone
    value = getattr(recipe, name)
    return f"{value:g}" if isinstance(value, float) else str(value)
