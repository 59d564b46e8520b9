"""Hard images are counted over all runs, and an arm is compared with the worst of the others."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix
from study.fakes import fake_run

from normstudy.study import data, hardness
from normstudy.study.recipes import Recipe

DIGITS = data.load("digits")
TRUTH = DIGITS.test.labels.numpy()
N = len(TRUTH)


def run(wrong, norm="batch", seed=0, *, answer=1, sure=0.9):
    """Make a run that is wrong on these images: its answer is so many classes further on."""
    predictions = TRUTH.copy()
    predictions[list(wrong)] = (TRUTH[list(wrong)] + answer) % 10
    confidences = np.full(N, sure, np.float32)
    accuracy = (predictions == TRUTH).mean()
    recipe = Recipe(data="digits", norm=norm, seed=seed)
    return fake_run(recipe, [accuracy], num=N, predictions=predictions, confidences=confidences)


ARMS = {
    "Batch norm": [run([0, 1, 2]), run([0, 1], seed=1)],
    "Group norm": [run([0, 5], "group"), run([0, 5, 2], "group", 1, answer=2)],
}


def test_shares_are_fractions_of_the_runs():
    found = hardness.shares(ARMS, DIGITS)
    assert found["Batch norm"][:6].tolist() == [1, 1, 0.5, 0, 0, 0]
    assert found["Group norm"][:6].tolist() == [1, 0, 0.5, 0, 0, 1]


def test_the_images_that_most_runs_get_wrong_come_first():
    found = hardness.most_often_wrong(ARMS, DIGITS)
    assert [(h.index, h.wrong, h.runs) for h in found] == [
        (0, 4, 4),
        (1, 2, 4),
        (2, 2, 4),
        (5, 2, 4),
    ]
    assert found[0].true_name == str(TRUTH[0])
    assert found[0].answer == str((TRUTH[0] + 1) % 10), "three of four say so"
    assert [h.index for h in hardness.most_often_wrong(ARMS, DIGITS, count=1)] == [0]
    rows = hardness.listing(found).rows
    assert rows[0] == ("0", found[0].true_name, "4 of 4", found[0].answer, "3")


def test_an_arm_alone_is_compared_with_the_worst_of_the_others():
    (only,) = hardness.wrong_only_with("Group norm", ARMS, DIGITS)
    assert (only.index, only.margin, only.wrong, only.runs) == (5, 1.0, 2, 2)
    third = {**ARMS, "Layer norm": [run([5], "layer"), run([], "layer", 1)]}
    (only,) = hardness.wrong_only_with("Group norm", third, DIGITS)
    assert only.margin == 0.5
    assert hardness.wrong_only_with("Layer norm", third, DIGITS) == []
    with pytest.raises(ValueError, match="arm='No norm' must be one of several arms; given: Batch"):
        hardness.wrong_only_with("No norm", ARMS, DIGITS)


def test_kinds_of_images_are_counted():
    rows = hardness.kinds(ARMS, DIGITS).rows
    assert rows[0] == ("Batch norm", "2", str(N - 3), "2", "1")
    assert rows[1] == ("Group norm", "2", str(N - 3), "2", "1")
    everywhere, runs, chance = hardness.in_all(ARMS, DIGITS)
    assert (everywhere, runs) == (1, 4)
    assert chance == pytest.approx(3 * 2 * 2 * 3 / N**4 * N)


def test_a_grid_shows_what_was_chosen():
    hard = hardness.most_often_wrong(ARMS, DIGITS)
    fig = hardness.grid(hard, DIGITS, name="hard", title="Hard", note="Most often wrong.")
    words = [text.get_text() for text in fig.axes[0].texts]
    assert len(words) == 4
    assert words[0].endswith("4 of 4, no. 0")
    assert "by 4 of 4" in fig.normstudy["alt"]
    none = hardness.grid([], DIGITS, name="none", title="None", note="Nothing.")
    assert none.normstudy["alt"] == "None: none."


def test_accuracies_of_classes_have_an_interval_over_the_seeds():
    found = hardness.class_accuracies(ARMS, DIGITS)
    k = int(TRUTH[0])
    of_class = k == TRUTH
    values = [100 * (r.predictions == TRUTH)[of_class].mean() for r in ARMS["Batch norm"]]
    assert found.rows[k][1].startswith(f"{np.mean(values):.1f}")
    assert found.header == (
        "class",
        *ARMS,
        "best minus worst, points",
        "expected from error counts alone",
    )
    errors = {a: [100 * (r.predictions != TRUTH) for r in runs] for a, runs in ARMS.items()}
    overall = [np.mean(of) for of in errors.values()]
    of_class = np.mean([np.mean([e[k == TRUTH] for e in of]) for of in errors.values()])
    alike = of_class * np.ptp(overall) / np.mean(overall)
    assert float(found.rows[k][-1]) == pytest.approx(alike, abs=0.051)
    one = hardness.class_accuracies({"Batch norm": ARMS["Batch norm"][:1]}, DIGITS)
    assert "(" not in one.rows[0][1]


def test_the_matrix_is_scikit_learns_over_all_seeds():
    fig = hardness.confusion_matrix("Group norm", ARMS["Group norm"], DIGITS)
    answers = np.concatenate([r.predictions for r in ARMS["Group norm"]])
    expected = 100 * confusion_matrix(np.tile(TRUTH, 2), answers, normalize="true")
    image = fig.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, expected)
    assert fig.normstudy["name"] == "confusion-group-norm"
    assert hardness.confusion_matrix("Batch norm + L1", ARMS["Group norm"], DIGITS).normstudy[
        "name"
    ] == ("confusion-batch-norm-l1")


def test_of_two_that_disagree_the_surer_one_counts():
    sure, unsure = run([3], sure=0.9), run([4], sure=0.5)
    assert hardness.together(sure, unsure, DIGITS) == pytest.approx(100 * (1 - 1 / N))
    assert hardness.together(unsure, sure, DIGITS) == pytest.approx(100 * (1 - 1 / N))
    assert hardness.together(run([3]), run([3, 4], sure=0.1), DIGITS) == pytest.approx(
        100 * (1 - 1 / N)
    )


def test_pairs_of_networks_have_unequal_seeds():
    arms = {
        "Batch norm": [run([s], seed=s, sure=0.5 + s / 10) for s in range(3)],
        "Group norm": [run([9 + s], "group", s) for s in range(3)],
    }
    found = hardness.ensembles(arms, DIGITS)
    assert list(found) == [
        ("Batch norm", "Batch norm"),
        ("Batch norm", "Group norm"),
        ("Group norm", "Group norm"),
    ]
    assert {len(values) for values in found.values()} == {3}
    wrong = 100 * (1 - 1 / N)
    pairs = [(0, 1, wrong), (1, 2, wrong), (2, 0, wrong)]
    assert found["Batch norm", "Group norm"] == [(*s, pytest.approx(v)) for *s, v in pairs]
    rows = hardness.ensemble_table(found).rows
    assert {row[1] for row in rows} == {"3"}
    assert {row[0] for row in rows} >= {"Batch norm and group norm", "Batch norm, two seeds"}
    assert {row[3:] for row in rows} == {
        ("\N{EN DASH}",) * 3,
        ("+0.00", "0.00 to 0.00", "+0.00"),
    }
    one = {arm: runs[:1] for arm, runs in arms.items()}
    assert hardness.ensembles(one, DIGITS) == {}


def test_what_two_norms_gain_together_is_measured_by_two_seeds_of_each():
    seeds = [(0, 1), (1, 2), (2, 0)]
    values = {("A", "A"): (80, 81, 82), ("A", "B"): (85, 86, 87), ("B", "B"): (84, 84, 84)}
    found = {
        pair: [(*two, float(v)) for two, v in zip(seeds, of, strict=True)]
        for pair, of in values.items()
    }
    arms = {"A": [run([], "batch")], "B": [run([], "group")]}
    both = hardness.ensemble_table(found).rows[0]
    assert both[0] == "A and B"
    assert (both[3], both[5]) == ("+3.50", "+2.00")
    assert hardness.ensembles_in_short(found, arms) == (
        "Two unequal norms within 0.5 points of each other answer together by +3.50 to +3.50 "
        "points better than two seeds of one of them; in 1 of 1 pairs that is more than chance. "
        "Two seeds of the better norm do better than both norms in 0 of 1 pairs."
    )
    unequal = {"A": arms["A"], "B": [run(range(40), "group")]}
    assert hardness.ensembles_in_short(found, unequal).startswith(
        "No two arms of unequal norms lie"
    )


def test_leads_by_chance_are_those_of_arms_whose_names_mean_nothing():
    rng = np.random.default_rng(1)
    arms = {
        arm: [run(rng.choice(N, 60, replace=False), norm, seed) for seed in range(4)]
        for arm, norm in (("Batch norm", "batch"), ("Group norm", "group"), ("Layer norm", "layer"))
    }
    chance = hardness.chance_leads("Group norm", arms, DIGITS, count=3, draws=30)
    assert chance.shape == (30, 3)
    assert (np.diff(chance, axis=1) <= 0).all()
    real = [h.margin for h in hardness.wrong_only_with("Group norm", arms, DIGITS, 3)]
    assert chance[:, 0].min() <= real[0] <= chance[:, 0].max()
    own = arms | {"Group norm": [run(range(60), "group", seed) for seed in range(4)]}
    lead = hardness.wrong_only_with("Group norm", own, DIGITS, 3)[0].margin
    chance = hardness.chance_leads("Group norm", own, DIGITS, count=3, draws=30)
    assert lead > np.quantile(chance[:, 0], 0.9)
    with pytest.raises(ValueError, match="the arms have unequal seeds"):
        hardness.chance_leads("Group norm", arms | {"No norm": [run([], "none", 9)]}, DIGITS)
