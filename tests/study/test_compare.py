"""Intervals of differences against the formulas of their authors, and verdicts against both."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from fakes import arm, fake_run, made, near
from scipy import stats

from normstudy.study import compare
from normstudy.study.data import load
from normstudy.study.recipes import Recipe
from normstudy.tables import interval

THREE = {
    "A": arm(88, 89, 90, 88.5, 89.2),
    "B": arm(85, 85.5, 86.8, 86.1),
    "C": arm(84, 86, 85, 85.5, 84.9),
}


def test_differences_are_those_of_games_and_howell():
    values = [[100 * run.accuracy for run in runs] for runs in THREE.values()]
    test = stats.tukey_hsd(*values, equal_var=False)
    ends = test.confidence_interval(0.95)
    found = compare.differences(THREE)
    assert [d.pair for d in found] == [("A", "B"), ("A", "C"), ("B", "C")]
    for d, (i, j) in zip(found, combinations(range(3), 2), strict=True):
        expected = (test.statistic[i, j], ends.low[i, j], ends.high[i, j], test.pvalue[i, j])
        assert (d.mean, d.low, d.high, d.p) == pytest.approx(expected, rel=1e-6)
        assert d.family == 3


def test_two_arms_are_welchs_test():
    runs = {"A": arm(88, 89, 90, 88), "B": arm(85, 87.5, 86.8)}
    (d,) = compare.differences(runs)
    expected = stats.ttest_ind([88, 89, 90, 88], [85, 87.5, 86.8], equal_var=False)
    ends = expected.confidence_interval(0.95)
    assert d.family == 1
    assert (d.low, d.high) == pytest.approx((ends.low, ends.high), rel=1e-4)
    assert d.p == pytest.approx(expected.pvalue, rel=1e-4)


def test_unequal_seeds_are_compared_too():
    (d,) = compare.differences({"A": arm(88, 89, 90), "B": [made(85, 7), made(86, 8)]})
    assert (d.first.n, d.second.n) == (3, 2)
    assert d.mean == pytest.approx(3.5)


def test_a_difference_can_be_turned_round():
    (d,) = compare.differences({"A": arm(88, 89, 90), "B": arm(85, 85.5, 86.8)})
    back = -d
    assert (back.mean, back.low, back.high) == pytest.approx((-d.mean, -d.high, -d.low))
    assert back.pair == ("B", "A")
    assert back.ordered() == d == d.ordered()
    assert d.title == "A \N{MINUS SIGN} B"


@pytest.mark.parametrize(
    ("other", "spread", "verdict", "start"),
    [
        (86.0, 0.2, "ahead", "Batch norm is ahead of group norm by 2.00 points of test accuracy ("),
        (
            *(87.8, 0.05, "ahead"),
            "Batch norm is ahead of group norm by 0.20 points of test accuracy, which is surely",
        ),
        (
            *(87.95, 0.2, "equal"),
            "Batch norm and group norm are equal within 0.5 points of test accuracy: in these runs",
        ),
        (
            *(87.6, 0.8, "open"),
            "The data do not decide between batch norm and group norm: in these runs, batch norm",
        ),
    ],
)
def test_sentences_follow_the_interval(other, spread, verdict, start):
    arms = {"Batch norm": near(88, spread), "Group norm": near(other, spread)}
    (d,) = compare.differences(arms)
    assert d.verdict == verdict
    assert str(d).startswith(start)
    assert str(compare.differences(dict(reversed(arms.items())))[0]) == str(d)


def test_on_mnist_equal_means_within_five_images():
    arms = {
        "Batch norm": near(99.5, 0.02, data="mnist"),
        "Group norm": near(99.4, 0.02, data="mnist"),
        "Layer norm": near(99.49, 0.02, data="mnist"),
    }
    found = {d.pair: d for d in compare.differences(arms)}
    assert {d.margin for d in found.values()} == {0.05}
    assert found["Batch norm", "Group norm"].equal is False
    assert found["Batch norm", "Layer norm"].equal is True
    assert compare.differences(THREE)[0].margin == 0.5


def test_verdicts_are_read_from_the_interval():
    for d in compare.differences(THREE):
        assert d.decided == (d.p < 0.05) == (d.low > 0 or d.high < 0)
    assert ", simultaneous for 3 pairs)." in str(d)


def test_lower_loss_is_ahead():
    runs = {"A": arm(88, 89, 90.1), "B": arm(85, 86, 87)}
    (d,) = compare.differences(runs, "test_loss")
    text = str(d)
    assert text.startswith("A is ahead of B by 0.0303 nats of test loss (95% interval 0.0")
    assert not d.equal  # losses have no margin


def test_validation_scores_are_called_so():
    runs = {"A": arm(88, 89, 90, validation=True), "B": arm(85, 86, 88, validation=True)}
    assert "points of validation accuracy" in str(compare.differences(runs)[0])


def test_without_spread_nothing_is_decided():
    assert str(compare.differences({"A": arm(80), "B": arm(90)})[0]) == (
        "One seed decides nothing; in it, B is better than A by 10.00 points of test accuracy."
    )
    equal, apart, known = compare.differences(
        {"A": arm(88, 88), "B": arm(88, 88), "C": arm(87, 88)}
    )
    assert str(equal) == (
        "No arm has any spread, so there is no interval; in all seeds, "
        "A and B have the same test accuracy."
    )
    assert (equal.decided, equal.equal, equal.interval) == (False, False, "none")
    assert apart.low < 0.5 < apart.high
    assert not math.isnan(known.p)
    single, both, _ = compare.differences({"A": arm(88, 89), "B": arm(85), "C": arm(80, 81)})
    assert math.isnan(single.low)
    assert both.decided


def test_an_interval_allows_for_those_pairs_alone_that_have_one():
    values = [88, 89, 90], [85, 85.5, 86.8]
    arms = {"A": arm(*values[0]), "B": arm(*values[1]), "C": arm(80)}
    found = {d.pair: d for d in compare.differences(arms)}
    assert [d.family for d in found.values()] == [1, 1, 1]
    welch = stats.ttest_ind(*values, equal_var=False)
    low, high = welch.confidence_interval(0.95)
    several = found["A", "B"]
    assert (several.low, several.high) == pytest.approx((low, high), rel=1e-4)
    assert several.p == pytest.approx(welch.pvalue, rel=1e-4)
    assert "simultaneous" not in str(several)


def test_correlation_over_seeds():
    a, b = [88, 89, 90, 88.5], [85, 85.5, 86.8, 85.2]
    (c,) = compare.seed_correlations({"A": arm(*a), "B": arm(*b)[::-1], "C": arm(80, 81, 82)})
    assert (c.pair, c.n) == (("A", "B"), 4)
    assert c.r == pytest.approx(np.corrcoef(a, b)[0, 1])
    z = math.atanh(c.r) + np.array([-1, 1]) * 1.959964 / math.sqrt(4 - 3)  # Fisher 1921
    assert (c.low, c.high) == pytest.approx(tuple(np.tanh(z)), rel=1e-5)


def scored(share, seed, rng, images, *, hard=None, **fields):
    """Make a run that gets a share of the test images right, by chance or where ``hard`` is low."""
    labels = images.test.labels.numpy()
    luck = rng.random(len(labels)) if hard is None else hard
    answers = np.where(luck < share, labels, (labels + 1) % 10)
    accuracy = float((answers == labels).mean())
    recipe = Recipe(data="digits", seed=seed, **fields)
    confidences = np.ones(len(labels), dtype=np.float32)
    return fake_run(
        recipe, [accuracy], num=len(labels), predictions=answers, confidences=confidences
    )


def test_intervals_that_count_the_images_too():
    images, rng = load("digits"), np.random.default_rng(1)
    arms = {
        name: [scored(share, seed, rng, images) for seed in range(10)]
        for name, share in (("A", 0.8), ("B", 0.7))
    }
    intervals = compare.image_intervals(arms, images, resamples=1_500)
    low, high = intervals["A", "B"]
    (d,) = compare.differences(arms)
    assert low < d.mean < high
    # every answer of every run is chance here, so the exact error of the difference is known; the
    # seeds and the images are both drawn again, which counts this chance once for each
    n = 10 * len(images.test)
    error = 100 * math.sqrt((0.8 * 0.2 + 0.7 * 0.3) / n)
    assert 2 * 1.96 * error < high - low < 2 * 1.96 * error * math.sqrt(3) * 1.15
    again = compare.image_intervals(arms, images, resamples=1_500)
    assert again == intervals


def test_images_of_unequal_difficulty_widen_the_interval():
    images, rng = load("digits"), np.random.default_rng(1)
    hard = rng.random(len(images.test))
    arms = {
        name: [scored(share, seed, rng, images, hard=hard) for seed in range(4)]
        for name, share in (("A", 0.8), ("B", 0.7))
    }
    low, high = compare.image_intervals(arms, images)["A", "B"]
    # all seeds agree, so only the images are left: those between the two levels make the difference
    share = arms["A"][0].accuracy - arms["B"][0].accuracy
    error = 100 * math.sqrt(share * (1 - share) / len(images.test))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def tried(lr, *accuracies, loss, **fields):
    """Make the runs of one setting, one seed each."""
    return [
        fake_run(
            Recipe(data="digits", validation=True, lr=lr, seed=seed, **fields),
            [accuracy / 100],
            test_loss=[loss],
        )
        for seed, accuracy in enumerate(accuracies)
    ]


def test_a_setting_is_chosen_by_accuracy_and_among_close_ones_by_loss():
    poor = tried(0.1, 80, 80.4, loss=0.1)
    good, close = tried(0.2, 84, 85, loss=0.5), tried(0.4, 84.2, 84.3, loss=0.4)
    assert compare.choose([*poor, *good]).lr == 0.2
    assert compare.choose([*poor, *good, *close]).lr == 0.4  # 84.25 against 84.5
    assert compare.choose([*poor, *good, *tried(0.4, 84.1, 84.2, loss=0.4)]).lr == 0.2
    assert compare.choose(close[::-1]) == close[0].recipe
    lost = [replace(good[1].recipe, seed=7)]
    assert compare.choose([*poor, good[0]], diverged=lost).lr == 0.1


def test_a_cautious_choice_is_the_lowest_rate_within_a_standard_error():
    def search(lr, accuracy, *losses):
        made = tried(lr, *[accuracy] * len(losses), loss=None)
        return [
            replace(run, history=run.history | {"test_loss": [loss]})
            for run, loss in zip(made, losses, strict=True)
        ]

    best = search(0.8, 84, 0.40, 0.44)  # 0.42, with a standard error of 0.02
    near, far = search(0.2, 84, 0.42, 0.45), search(0.1, 84, 0.44, 0.45)
    poor = search(0.05, 83, 0.1, 0.1)
    assert compare.choose([*far, *near, *best]).lr == 0.8
    assert compare.cautious([*far, *near, *best]).lr == 0.2
    assert compare.cautious([*far, *best]).lr == 0.8
    assert compare.cautious([*poor, *near, *best]).lr == 0.2, "too far in accuracy to be chosen"
    assert compare.cautious([*near, *best], [near[1].recipe]).lr == 0.8
    with pytest.raises(ValueError, match="one seed, and so no standard error; train a second"):
        compare.cautious([near[0], best[0]])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: compare.differences({}), r"no runs to compare \(no arms\); give a dict"),
        (
            lambda: compare.differences({"A": arm(88)}),
            r"one arm given \(A\); a comparison takes two",
        ),
        (
            lambda: compare.differences({"A": arm(88), "B": arm(80, data="mnist")}),
            "the runs mix data sets",
        ),
        (
            lambda: compare.differences({"A": arm(88), "B": arm(88)}, "f1"),
            "the measure 'f1' is unknown",
        ),
        (
            lambda: compare.choose([]),
            "settings are chosen by runs on validation images; given: none",
        ),
        (
            lambda: compare.choose([*tried(0.1, 80, loss=1), *arm(80)]),
            "by runs on validation images; given: test, validation",
        ),
        (
            lambda: compare.choose([*tried(0.1, 80, loss=1), *tried(0.2, 80, 81, loss=1)]),
            r"tried with unequal seeds \(0; 0, 1\); train the missing ones",
        ),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_an_end_that_is_not_zero_does_not_look_like_zero():
    (found,) = compare.differences({"A": arm(80.1, 80.3, 80.2), "B": arm(80.0, 80.1, 79.9)})
    ends = replace(found, low=0.0044, high=0.4)
    assert ends.interval == "0.004 to 0.40"
    assert replace(found, low=-0.0044, high=0.0).interval == "\N{MINUS SIGN}0.004 to 0.00"
    assert interval(0.00004, 1, 2) == "0.00004 to 1.00"
