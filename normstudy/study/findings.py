"""The findings of a study in sentences."""

import math
from functools import cache
from itertools import pairwise

import numpy as np
from scipy import stats

from normstudy.study.compare import Difference, differences
from normstudy.study.measures import CONFIDENCE, Arms, check_arms, summarize
from normstudy.tables import in_sentence


def short_answer(arms: Arms) -> list[str]:
    """Answer in a line for each arm: its accuracy, and how far it is behind the best one."""
    check_arms(arms)
    means = {arm: summarize(runs) for arm, runs in arms.items()}
    order = sorted(means, key=lambda arm: -means[arm].mean)
    best, num_scored = order[0], arms[order[0]][0].num_scored
    scored = arms[best][0].recipe.scored
    first = f"{best}: {means[best]}% of {num_scored:,} {scored} images right"
    lines = [f"{first}, mean ± standard deviation of {means[best].n} seeds, after the last epoch."]
    found = {frozenset(d.pair): d for d in differences(arms)} if len(arms) > 1 else {}
    for arm in order[1:]:
        d = found[frozenset((arm, best))]
        d = d if d.pair[0] == best else -d
        size = f"{abs(d.mean):.2f} points behind {in_sentence(best)}"
        if d.tied:
            size = f"the same as {in_sentence(best)}"
        if not math.isnan(d.low):
            size += f" (95% interval {d.interval})"
        equal = f"; equal within {d.margin:g} points" if d.equal else ""
        tail = equal if d.decided or d.equal else "; the data do not decide between the two"
        lines.append(f"{arm}: {means[arm]}%, {size}{tail}.")
    return lines


def steps(arms: Arms, earlier: Arms) -> list[str]:
    """Say what was found in a dated sentence for each step from the best arm down to the last one.

    Parameters
    ----------
    arms
        Runs by arm; the date is that of the last one.
    earlier
        Runs of an earlier study by arm; its word stands beside each step.
    """
    ranked = sorted(arms, key=lambda arm: -summarize(arms[arm]).mean)
    date = max(str(run.environment["date"]) for runs in arms.values() for run in runs)
    now, before = ({frozenset(d.pair): d for d in differences(of)} for of in (arms, earlier))
    lines = []
    for pair in map(frozenset, pairwise(ranked)):
        step = now[pair].ordered()
        line = f"{date}: {step}"
        if (said := before.get(pair)) is None:
            line += " The first study did not have both arms."
        else:
            line += f" {_earlier(said if said.pair == step.pair else -said, step)}"
        lines.append(line)
    return lines


def marginal(arms: Arms) -> str:
    """Name the pairs that are decided, and would be open if their seeds were paired.

    The verdicts treat arms as independent. Arms that share seeds may move together, or against each
    other; in the second case an interval is too narrow. Paired, its half-width is q s / sqrt(2 n):
    n seeds whose differences have the standard deviation s, and q the 95% quantile of the
    studentized range of all arms with n - 1 degrees of freedom.
    """
    found = []
    for d in map(Difference.ordered, differences(arms)):
        first, second = (
            np.array([of.values[seed] for seed in sorted(of.values)]) for of in (d.first, d.second)
        )
        if not d.decided or d.first.values.keys() != d.second.values.keys():
            continue
        half = _range_quantile(len(arms), d.first.n) * np.std(first - second, ddof=1)
        if abs(d.mean) < half / np.sqrt(2 * d.first.n):
            ahead, behind = map(in_sentence, d.pair)
            found.append(f"{ahead} ahead of {behind} (95% interval {d.interval})")
    return f"Decided, and open if seeds were paired: {'; '.join(found) or 'no pair'}."


@cache  # it takes a second
def _range_quantile(arms: int, seeds: int) -> float:
    return float(stats.studentized_range.ppf(CONFIDENCE, arms, seeds - 1))


def _earlier(said: Difference, now: Difference) -> str:
    """Say what an earlier study found for a pair, and whether that fits what is found now."""
    then = said.ordered()
    first, second = map(in_sentence, then.pair)
    size = (
        f"{first} was {then.measure.text(abs(then.mean))} {then.unit} ahead of {second} "
        f"(95% interval {then.interval})"
    )
    if not said.decided:
        return f"The first network did not decide this: {size}."
    if now.decided:
        opposite = (said.mean > 0) != (now.mean > 0)
        return f"The first network said the {'opposite' if opposite else 'same'}: {size}."
    apart = bool(said.low > now.high or said.high < now.low)
    return (
        f"The first network decided this: {size}"
        f"{', which does not overlap with the interval here' * apart}."
    )
