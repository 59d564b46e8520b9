"""Agreement on what is hard: kappa, two seeds of an arm, and two arms."""

import numpy as np
import pytest
from study.fakes import answering, image_set

from normstudy.study.agreement import apart, in_short, kappa, kappas, table

LABELS = [0, 1, 2, 0, 1, 2]
PREDICTIONS = [0, 2, 1, 0, 0, 1]


def test_kappa_by_hand():
    one, other = (
        answering([0, 2, 1, 0, 0, 1]),
        answering([0, 2, 2, 0, 0, 2]),
    )
    # 4 and 2 of 6 are wrong, 2 in both; they agree on 4 of 6; chance gives (4 * 2 + 2 * 4) / 36
    assert kappa(one, other, image_set()) == pytest.approx((4 / 6 - 16 / 36) / (1 - 16 / 36))
    assert kappa(one, one, image_set()) == pytest.approx(1)


def test_pairs_of_unequal_seeds_come_once_within_an_arm():
    arm = [answering(PREDICTIONS, seed=seed) for seed in (0, 1, 2)]
    other = [answering(PREDICTIONS, seed=seed, norm="group") for seed in (0, 1)]
    within = [(a, b) for a, b, _ in kappas(arm, arm, image_set())]
    assert within == [(0, 1), (0, 2), (1, 2)]
    between = [(a, b) for a, b, _ in kappas(arm, other, image_set())]
    assert between == [(0, 1), (1, 0), (2, 0), (2, 1)]


TWO_ARMS = {
    "A": [answering([0, 2, 1, 0, 0, 1]), answering([0, 2, 1, 0, 0, 1], seed=1)],
    "B": [
        answering([1, 1, 2, 1, 1, 2], norm="group"),
        answering([1, 1, 2, 1, 1, 2], norm="group", seed=1),
    ],
}


def test_agreement_is_within_arms_and_between_them():
    found = table(TWO_ARMS, image_set())
    rows = {row[0]: row[1:] for row in found.rows}
    dash = "\N{EN DASH}"
    assert rows["A, two seeds"] == ("1", "1.000", dash, dash)
    assert rows["A and B"][0] == "2"
    assert rows["A and B"][1].startswith("\N{MINUS SIGN}")
    assert float(rows["A and B"][2]) > 1
    assert rows["A and B"][3] == "none"


def drawn(rng, hard, num_seeds, **fields):
    """Make runs that get an image wrong with the probability given for it."""
    return [
        answering(np.where(rng.random(len(hard)) < hard, 1, 0), seed=seed, **fields)
        for seed in range(num_seeds)
    ]


def test_arms_are_apart_by_what_they_agree_less_than_seeds_do():
    rng, images = np.random.default_rng(0), image_set([0] * 2000)
    hard, other = rng.permuted(np.tile([0.02, 0.5], 1000)), np.tile([0.5, 0.02], 1000)
    arms = {
        "A": drawn(rng, hard, 4),
        "B": drawn(rng, hard, 4, norm="group"),
        "C": drawn(rng, other, 4, norm="layer"),
    }
    found = {one.pair: one for one in apart(arms, images)}
    within = np.mean([v for *_, v in kappas(arms["A"], arms["A"], images)])
    beside = np.mean([v for *_, v in kappas(arms["C"], arms["C"], images)])
    between = np.mean([v for *_, v in kappas(arms["A"], arms["C"], images)])
    assert found["A", "C"].size == pytest.approx((within + beside) / 2 - between)
    assert [pair for pair, one in found.items() if one.decided] == [("A", "C"), ("B", "C")]
    text = in_short(arms, images)
    assert text.startswith("different norms fail on somewhat different images. Kappa (1: the same")
    assert text.endswith("That is more than chance in 2 of 3 pairs of arms.")
    same = {arm: arms[arm] for arm in "AB"}
    assert in_short(same, images).startswith("these runs do not show")
    assert in_short(same, images).endswith("in 0 of 1 pairs of arms.")


def test_arms_that_do_not_differ_are_rarely_called_apart():
    rng, images = np.random.default_rng(1), image_set([0] * 300)
    called = 0
    for _ in range(60):
        hard = rng.beta(0.3, 1.2, 300)
        arms = {"A": drawn(rng, hard, 5), "B": drawn(rng, hard, 5, norm="group")}
        (one,) = apart(arms, images)
        called += one.decided
    assert called <= 6


def test_what_cannot_be_compared_is_said_and_not_a_traceback():
    other = [answering(PREDICTIONS, lr=0.1), answering(LABELS, lr=0.1, seed=1)]
    for arms in ({"A": TWO_ARMS["A"], "B": other}, {a: runs[:1] for a, runs in TWO_ARMS.items()}):
        assert in_short(arms, image_set()).endswith("there is nothing to compare")
