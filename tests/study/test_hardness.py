"""Hard images are counted over all runs, and an arm is compared with the worst of the others."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import confusion_matrix
from study.fakes import DIGITS, TRUTH, N, fake_run
from study.fakes import wrong_on as run

from normstudy.study import hardness
from normstudy.study.data import ImageSet, Split
from normstudy.study.recipes import Recipe

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
    assert found[0].agreeing == 3


def test_of_images_that_are_wrong_as_often_the_surest_come_first():
    runs = [run([3], sure=0.6), run([7], seed=1, sure=0.8), run([5], seed=2, sure=0.7)]
    found = hardness.most_often_wrong({"Batch norm": runs}, DIGITS)
    assert [h.index for h in found] == [7, 5, 3]


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


def test_a_grid_shows_what_was_chosen():
    hard = hardness.most_often_wrong(ARMS, DIGITS)
    fig = hardness.grid(hard, DIGITS, name="hard", title="Hard", note="Most often wrong.")
    words = [text.get_text() for text in fig.axes[0].texts]
    assert len(words) == 4
    assert words[0].endswith("\n4 of 4")
    assert " #0\n" in words[0]
    assert "by 4 of 4" in fig.normstudy["alt"]
    alone = hardness.wrong_only_with("Group norm", ARMS, DIGITS)
    assert alone[0].told == "2 of 2, next 0%"
    none = hardness.grid([], DIGITS, name="none", title="None", note="Nothing.")
    assert none.normstudy["alt"] == "None: none."


def test_accuracies_of_classes_have_an_interval_over_the_seeds():
    found = hardness.class_accuracies(ARMS, DIGITS)
    k = int(TRUTH[0])
    of_class = k == TRUTH
    for arm, cell in zip(ARMS, found.rows[k][3:], strict=True):
        values = [100 * (r.predictions == TRUTH)[of_class].mean() for r in ARMS[arm]]
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert cell == f"{np.mean(values):.1f} ({low:.1f} to {high:.1f})"
    assert found.header == (
        "class",
        "best minus worst, points",
        "expected from error counts alone",
        *ARMS,
    )
    errors = {a: [100 * (r.predictions != TRUTH) for r in runs] for a, runs in ARMS.items()}
    overall = [np.mean(of) for of in errors.values()]
    of_class = np.mean([np.mean([e[k == TRUTH] for e in of]) for of in errors.values()])
    alike = of_class * np.ptp(overall) / np.mean(overall)
    assert float(found.rows[k][2]) == pytest.approx(alike, abs=0.051)
    one = hardness.class_accuracies({"Batch norm": ARMS["Batch norm"][:1]}, DIGITS)
    assert "(" not in one.rows[0][3]


def test_a_class_that_one_arm_gets_wrong_more_often_than_its_errors_say_is_found():
    rng = np.random.default_rng(0)
    ones, every = np.flatnonzero(TRUTH == 1), np.arange(N)
    norms = {"Batch norm": "batch", "Group norm": "group", "Layer norm": "layer"}
    alike = {
        arm: [run(rng.choice(every, 60, replace=False), norm, seed) for seed in range(6)]
        for arm, norm in norms.items()
    }
    found = hardness.class_shares_in_short(alike, DIGITS)
    assert found.startswith(
        "Parts of an arm's errors in one class, in percent of its errors, beside 2 other arms, 30 "
        "in all; decided: none; no other is more than "
    )
    own = [
        run([*ones[:30], *rng.choice(every, 30, replace=False)], "group", seed) for seed in range(6)
    ]
    assert "group norm, 1 +" in hardness.class_shares_in_short(alike | {"Group norm": own}, DIGITS)
    one = {arm: runs[:1] for arm, runs in alike.items()}
    assert hardness.class_shares_in_short(one, DIGITS).endswith("decided: none.")


def test_the_best_and_the_worst_arm_of_a_class_are_told_apart():
    arms = {
        "Batch norm": answers_of("batch", [0, 1, 2, 0, 1], [0, 1, 2, 1, 1]),
        "Group norm": answers_of("group", [1, 1, 2, 1, 1], [1, 1, 0, 0, 0]),
        "Layer norm": answers_of("layer", [0, 1, 0, 1, 2], [0, 0, 2, 1, 1]),
    }
    # right, of the two ants: 2 and 1, 0 and 1, 1 and 1; of the two bees: 2, 2; 2, 1; 1, 1;
    # of the one cat: 1, 1; 1, 0; 0, 1
    rows = hardness.class_accuracies(arms, few_images()).rows
    assert [row[:2] for row in rows] == [("ant", "50.0"), ("bee", "50.0"), ("cat", "50.0")]
    assert [cell.split()[0] for cell in rows[0][3:]] == ["75.0", "25.0", "50.0"]


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


def test_the_most_frequent_confusion_is_told_and_not_turned_round():
    bees = answers_of("group", [0, 2, 2, 0, 2], [0, 1, 2, 0, 2])  # 3 of 4 are taken for cats
    words = hardness.confusion_matrix("Group norm", bees, few_images()).normstudy
    assert words["alt"].endswith("Most frequent confusion: bee taken for cat, 75.0%.")


def test_leads_by_chance_are_those_of_arms_whose_names_mean_nothing():
    rng = np.random.default_rng(1)
    arms = {
        arm: [run(rng.choice(N, 60, replace=False), norm, seed) for seed in range(8)]
        for arm, norm in (("Batch norm", "batch"), ("Group norm", "group"), ("Layer norm", "layer"))
    }
    chance = hardness.chance_leads(arms, DIGITS)
    assert chance.shape == (100, 3, hardness.SHOWN)
    assert (np.diff(chance, axis=2) <= 0).all()
    largest = chance[..., 0].max(axis=1)
    real = max(hardness.wrong_only_with(arm, arms, DIGITS)[0].margin for arm in arms)
    assert largest.min() <= real <= largest.max()
    own = arms | {"Group norm": [run(range(60), "group", seed) for seed in range(8)]}
    lead = hardness.wrong_only_with("Group norm", own, DIGITS)[0].margin
    assert lead > np.quantile(hardness.chance_leads(own, DIGITS)[..., 0].max(axis=1), 0.9)
    rows = {row[0]: row[1:] for row in hardness.leads(own, DIGITS).rows}
    assert rows["Group norm"] == (f"{100 * lead:.0f}", *rows["Group norm"][1:])
    assert float(rows["Group norm"][-1]) < 5
    assert len(rows) == 4


def test_equal_leads_are_as_frequent_by_chance():
    arms = {  # shares of 8, 7 and 3, 2 tenths: leads of one tenth, but for rounding
        "Batch norm": [run([0] * (s < 8) + [1] * (s < 2), seed=s) for s in range(10)],
        "Group norm": [run([0] * (s < 7) + [1] * (s < 3), "group", s) for s in range(10)],
    }
    first, second = (hardness.wrong_only_with(arm, arms, DIGITS)[0].margin for arm in arms)
    assert first == second == 0.1
    with pytest.raises(ValueError, match="the arms have unequal seeds"):
        hardness.chance_leads(arms | {"No norm": [run([], "none", 9)]}, DIGITS)


# -- labels to be doubted --------------------------------------------------------------------------


def few_images():
    split = Split(torch.zeros(5, 8, 8, 1, dtype=torch.uint8), torch.tensor([0, 1, 2, 0, 1]))
    zero = torch.zeros(1)
    return ImageSet("digits", split, split, ("ant", "bee", "cat"), zero, zero + 1)


def answers_of(norm, *predictions):
    made = []
    for seed, of_one in enumerate(predictions):
        recipe = Recipe(data="digits", norm=norm, seed=seed)
        answers = np.array(of_one, dtype=np.int64)
        ones = np.ones(len(answers), dtype=np.float32)
        made.append(fake_run(recipe, [0.5], num=5, predictions=answers, confidences=ones))
    return made


SHARED = {  # labels      0 1 2 0 1
    "Batch norm": answers_of("batch", [0, 2, 0, 1, 2], [0, 2, 0, 1, 1], [0, 1, 0, 1, 2]),
    "Layer norm": answers_of("layer", [0, 0, 0, 2, 1], [0, 2, 0, 1, 1], [1, 2, 0, 1, 2]),
}


def test_images_that_most_seeds_of_every_arm_get_wrong_those_most_agreed_on_first():
    found = hardness.doubtful(SHARED, few_images())
    assert [(h.index, h.true_name, h.answer, h.agreeing) for h in found] == [
        (2, "cat", "ant", 6),
        (3, "ant", "bee", 5),
        (1, "bee", "cat", 4),
    ]
    assert {h.runs for h in found} == {6}


def test_it_is_said_in_short():
    assert hardness.doubtful_in_short(SHARED, few_images()) == (
        "Of 5 test images, 5 are wrong in some run, 3 in most seeds of every arm, and to 1 of "
        "these all 6 runs give the same wrong answer."
    )


def test_the_picture_counts_the_runs():
    words = hardness.doubtful_grid(SHARED, few_images()).normstudy
    assert words["name"] == "doubtful"
    assert words["caption"].startswith("Wrong under every norm: 3 test images. Digits. Wrong")
    assert "no. 3, ant taken for bee by 5 runs;" in words["alt"]


def test_the_picture_shows_twenty_at_most(monkeypatch):
    one = hardness.doubtful(SHARED, few_images())[0]
    monkeypatch.setattr(hardness, "doubtful", lambda arms, images: [one] * 21)
    fig = hardness.doubtful_grid(SHARED, few_images())
    assert fig.normstudy["caption"].startswith("Wrong under every norm: 20 of 21 test images.")
    assert len(fig.axes[0].texts) == 20


def test_where_no_image_is_shared_nothing_is_shown():
    right = {"Batch norm": answers_of("batch", [0, 1, 2, 0, 1])}
    assert hardness.doubtful(right, few_images()) == []
    words = hardness.doubtful_grid(right, few_images()).normstudy
    assert words["alt"].endswith("Wrong under every norm: 0 test images: none.")


def test_runs_of_other_images_are_refused():
    with pytest.raises(ValueError, match="the run has 2 predictions and the test set 5 images"):
        hardness.doubtful({"A": [fake_run(Recipe(data="digits"), [0.5], num=2)]}, few_images())
