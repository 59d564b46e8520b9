"""Agreement on what is hard: kappa, two seeds of an arm, and two arms."""

import numpy as np
import pytest
from study.fakes import DIGITS, N, answering, image_set
from study.fakes import wrong_on as run

from normstudy.study import agreement
from normstudy.study.agreement import distances, in_short, kappa, kappas, table

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
    found = kappas({"A": arm, "B": other}, image_set())
    seeds = {pair: [(a, b) for a, b, _ in of] for pair, of in found.items()}
    assert seeds == {
        ("A", "A"): [(0, 1), (0, 2), (1, 2)],
        ("A", "B"): [(0, 1), (1, 0), (2, 0), (2, 1)],
        ("B", "B"): [(0, 1)],
    }
    assert kappas({"A": arm[:1], "B": other[:1]}, image_set()) == {}


TWO_ARMS = {
    "A": [answering([0, 2, 1, 0, 0, 1]), answering([0, 2, 1, 0, 0, 1], seed=1)],
    "B": [
        answering([1, 1, 2, 1, 1, 2], norm="group"),
        answering([1, 1, 2, 1, 1, 2], norm="group", seed=1),
    ],
}


def test_agreement_is_within_arms_and_between_them():
    found = table(kappas(TWO_ARMS, image_set()))
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
    pairwise = kappas(arms, images)
    found = {one.pair: one for one in distances(pairwise)}
    within, beside, between = (
        np.mean([v for *_, v in pairwise[pair]]) for pair in (("A", "A"), ("C", "C"), ("A", "C"))
    )
    assert found["A", "C"].size == pytest.approx((within + beside) / 2 - between)
    assert [pair for pair, one in found.items() if one.decided] == [("A", "C"), ("B", "C")]
    text = in_short(pairwise, arms)
    assert text.startswith("different norms fail on somewhat different images. Kappa (1: the same")
    assert text.endswith("That is more than chance in 2 of 3 pairs of arms.")
    same = {arm: arms[arm] for arm in "AB"}
    text = in_short(kappas(same, images), same)
    assert text.startswith("these runs do not show")
    assert text.endswith("in 0 of 1 pairs of arms.")


def test_arms_that_do_not_differ_are_rarely_called_apart():
    rng, images = np.random.default_rng(1), image_set([0] * 300)
    called = 0
    for _ in range(60):
        hard = rng.beta(0.3, 1.2, 300)
        arms = {"A": drawn(rng, hard, 5), "B": drawn(rng, hard, 5, norm="group")}
        (one,) = distances(kappas(arms, images))
        called += one.decided
    assert called <= 6


def test_what_a_seed_adds_to_all_of_its_pairs_does_not_widen_an_interval():
    rng = np.random.default_rng(0)
    adds = {arm: rng.normal(size=5) for arm in "AB"}
    found = {
        (a, b): [
            (s, t, 80 + adds[a][s] + adds[b][t])
            for s in range(5)
            for t in range(5)
            if (s < t if a == b else s != t)
        ]
        for a, b in (("A", "A"), ("A", "B"), ("B", "B"))
    }
    (both,), (better,) = distances(found), agreement.behind_better(found)
    assert (both.size, both.half) == pytest.approx((0, 0), abs=1e-9)
    first, second = sorted(2 * np.mean(of) for of in adds.values())
    assert better.size == pytest.approx((second - first) / 2)
    assert better.half > 1
    assert better.turned.ends(2).startswith("\N{MINUS SIGN}")


def test_what_cannot_be_compared_is_said_and_not_a_traceback():
    other = [answering(PREDICTIONS, lr=0.1), answering(LABELS, lr=0.1, seed=1)]
    for arms in ({"A": TWO_ARMS["A"], "B": other}, {a: runs[:1] for a, runs in TWO_ARMS.items()}):
        found = kappas(arms, image_set())
        assert in_short(found, arms).endswith("there is nothing to compare")


# -- two networks that answer together -------------------------------------------------------------


def test_of_two_that_disagree_the_surer_one_counts():
    sure, unsure = run([3], sure=0.9), run([4], sure=0.5)
    assert agreement.together(sure, unsure, DIGITS) == pytest.approx(100 * (1 - 1 / N))
    assert agreement.together(unsure, sure, DIGITS) == pytest.approx(100 * (1 - 1 / N))
    assert agreement.together(run([3]), run([3, 4], sure=0.1), DIGITS) == pytest.approx(
        100 * (1 - 1 / N)
    )


def test_pairs_of_networks_have_unequal_seeds():
    arms = {
        "Batch norm": [run([s], seed=s, sure=0.5 + s / 10) for s in range(3)],
        "Group norm": [run([9 + s], "group", s) for s in range(3)],
    }
    found = agreement.ensembles(arms, DIGITS)
    assert list(found) == [
        ("Batch norm", "Batch norm"),
        ("Batch norm", "Group norm"),
        ("Group norm", "Group norm"),
    ]
    seeds = {pair: [two for *two, _ in of] for pair, of in found.items()}
    assert seeds == {
        pair: [two for *two, _ in of] for pair, of in agreement.kappas(arms, DIGITS).items()
    }
    assert {len(values) for values in found.values()} == {3, 6}
    values = [value for of in found.values() for *_, value in of]
    assert values == pytest.approx([100 * (1 - 1 / N)] * 12)
    rows = agreement.ensemble_table(found).rows
    assert {row[1] for row in rows} == {"3", "6"}
    assert {row[0] for row in rows} >= {"Batch norm and group norm", "Batch norm, two seeds"}
    assert {row[3:] for row in rows} == {
        ("\N{EN DASH}",) * 4,
        ("+0.00", "0.00 to 0.00") * 2,
    }
    one = {arm: runs[:1] for arm, runs in arms.items()}
    assert agreement.ensembles(one, DIGITS) == {}


def test_two_seeds_of_one_arm_are_one_pair_and_of_two_arms_two():
    arms = {
        "Batch norm": [run([s], seed=s) for s in range(2)],
        "Group norm": [run([9 + s], "group", s) for s in range(2)],
    }
    found = agreement.ensembles(arms, DIGITS)
    assert {pair: [(a, b) for a, b, _ in of] for pair, of in found.items()} == {
        ("Batch norm", "Batch norm"): [(0, 1)],
        ("Batch norm", "Group norm"): [(0, 1), (1, 0)],
        ("Group norm", "Group norm"): [(0, 1)],
    }


def test_what_two_norms_gain_together_is_measured_by_two_seeds_of_each():
    seeds = [(0, 1), (1, 2), (2, 0)]
    values = {("A", "A"): (80, 81, 82), ("A", "B"): (85, 86, 87), ("B", "B"): (84, 84, 84)}
    found = {
        pair: [(*two, float(v)) for two, v in zip(seeds, of, strict=True)]
        for pair, of in values.items()
    }
    arms = {"A": [run([], "batch")], "B": [run([], "group")]}
    both = agreement.ensemble_table(found).rows[0]
    assert both[0] == "A and B"
    assert (both[3], both[5]) == ("+3.50", "+2.00")
    low, high = both[4].split(" to ")
    assert (float(low) + float(high)) / 2 == pytest.approx(3.5, abs=0.01)
    assert agreement.ensembles_in_short(found, arms) == (
        f"A and B, which are about equally accurate, gain +3.50 (95% interval {low} to {high}) "
        "points by answering together, over two seeds of one of them as a mean of both. Of all 1 "
        "pairs of unequal norms, 0 are behind two seeds of the better norm by more than chance, "
        "and 0 ahead of them."
    )
    unequal = {"A": arms["A"], "B": [run(range(40), "group")]}
    assert agreement.ensembles_in_short(found, unequal).startswith(
        "No two arms of unequal norms lie"
    )
