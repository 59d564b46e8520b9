"""Mistakes of runs whose right answers are written down here."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study.fakes import answering, image_set

from normstudy.study.mistakes import (
    Mistake,
    calibration,
    calibration_in_short,
    confusions,
    error_by_chance,
    find_mistakes,
    is_wrong,
    overlap,
    reliability,
)
from normstudy.tables import number

LABELS = [0, 1, 2, 0, 1, 2]
PREDICTIONS = [0, 2, 1, 0, 0, 1]  # images 1, 2, 4 and 5 are wrong
CONFIDENCES = [0.99, 0.6, 0.9, 0.98, 0.7, 0.9]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("most confident", [2, 5, 4, 1]),  # 2 and 5 are tied: the first of the test set comes first
        ("least confident", [1, 4, 2, 5]),
    ],
)
def test_orders(order, expected):
    found = find_mistakes(answering(PREDICTIONS, CONFIDENCES), image_set(), order=order)
    assert [mistake.index for mistake in found] == expected


def test_a_mistake_says_what_was_taken_for_what():
    first = find_mistakes(answering(PREDICTIONS, CONFIDENCES), image_set(), count=1)
    expected = Mistake(
        index=2,
        true=2,
        predicted=1,
        confidence=float(np.float32(0.9)),
        true_name="cat",
        predicted_name="bee",
    )
    assert first == [expected]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0, 1, width=32))))
def test_all_mistakes_are_mistakes_and_none_is_missing(rows):
    labels = [row[0] for row in rows]
    run = answering([row[1] for row in rows], [row[2] for row in rows])
    images = image_set(labels) if rows else image_set([])
    found = find_mistakes(run, images, count=None)
    assert {m.index for m in found} == {i for i, (a, b, _) in enumerate(rows) if a != b}
    assert all(m.true != m.predicted for m in found)
    assert [m.confidence for m in found] == sorted((m.confidence for m in found), reverse=True)
    assert find_mistakes(run, images, count=10) == found[:10]


def test_overlap_of_three_models():
    runs = {
        "A": answering([0, 2, 1, 0, 1, 2]),  # wrong: 1, 2
        "B": answering([0, 2, 0, 1, 1, 2]),  # wrong: 1, 2, 3
        "C": answering([0, 1, 1, 0, 0, 2]),  # wrong: 2, 4
    }
    found = overlap(runs, image_set())
    assert found.names == ("A", "B", "C")
    assert found.num_wrong == (2, 3, 2)
    assert found.all_wrong == 1
    assert found.any_wrong == 4
    assert found.expected_all_wrong == pytest.approx(6 * (2 / 6) * (3 / 6) * (2 / 6))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: find_mistakes(answering(LABELS), image_set(), order="wildest"),
            "unknown; accepted: most",
        ),
        (lambda: find_mistakes(answering(LABELS), image_set(), count=0), "count=0 is too few"),
        (
            lambda: is_wrong(answering(LABELS), image_set(name="mnist")),
            "trained on digits .* are mnist",
        ),
        (lambda: is_wrong(answering(LABELS, validation=True), image_set()), "validation=False"),
        (lambda: is_wrong(answering([0, 1]), image_set()), "has 2 predictions and the test set 6"),
        (lambda: overlap({"A": answering(LABELS)}, image_set()), "1 run given; .* two or more"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_reliability_by_hand():
    found = reliability([answering(PREDICTIONS, CONFIDENCES)], image_set())
    # images 1 (.6), 4 (.7), 2 and 5 (.9) are wrong, 0 (.99) and 3 (.98) are right
    assert found.counts.tolist() == [1, 1, 2, 2]
    np.testing.assert_allclose(found.confidence, [0.6, 0.7, 0.9, 0.985], rtol=1e-6)
    np.testing.assert_allclose(found.accuracy, [0, 0, 0, 1])
    assert found.error == pytest.approx((0.6 + 0.7 + 2 * 0.9 + 2 * (1 - 0.985)) / 6)


def test_a_confidence_of_one_lies_in_the_last_bin():
    found = reliability([answering([0], [1.0])], image_set([0]))
    assert found.counts.tolist() == [1]
    assert found.error == 0


def test_runs_are_counted_together():
    one, other = answering(PREDICTIONS, CONFIDENCES), answering(LABELS, [0.6] * 6)
    found = reliability([one, other], image_set())
    assert found.counts.tolist() == [7, 1, 2, 2]
    np.testing.assert_allclose(found.accuracy, [6 / 7, 0, 0, 1])


def test_confusions_are_listed_by_their_number():
    (row,) = confusions({"A": [answering([0, 2, 1, 0, 2, 1])]}, image_set()).rows
    assert row == ("A", "4", "cat as bee: 2", "bee as cat: 2", row[-1])
    assert row[-1].endswith(": 0")


def test_calibration_by_hand():
    one = answering(PREDICTIONS, [0.99, 0.99, 0.9, 0.98, 0.7, 0.9])
    other = answering(LABELS, [0.99, *[0.6] * 5], seed=1)
    # confidences: 5.46 / 6 = 0.91 and 3.99 / 6 = 0.665, in the mean 0.7875
    # the fakes count half of the answers as right
    # of the first, 2 of 3 are right in the last bin, where confidences sum to 2.96, and none below:
    errors = ((2.96 - 2) + 0.9 + 0.9 + 0.7) / 6, ((1 - 0.99) + 5 * (1 - 0.6)) / 6
    assert np.mean(errors) == pytest.approx(0.45583, abs=1e-5)
    # at 98.5 to 99.5% are image 0, which both get right, and image 1, which one gets wrong
    (row,) = calibration({"A": [one, other]}, image_set()).rows
    gaps, there = (0.5 - 0.91, 0.5 - 0.665), (0.5, 0.0)
    told = [
        f"{number(100 * np.mean(v), 2)} ± {100 * np.std(v, ddof=1):.2f}"
        for v in (gaps, errors, there)
    ]
    assert row[:4] == ("A", "2", *told[:2])
    assert row[5] == told[2]
    assert calibration_in_short({"A": [one], "B": [other]}, image_set()) == (
        "Confidence and accuracy are 33.5 to 57.7 points apart (expected calibration error of "
        "each run)."
    )


def test_answers_that_are_right_as_often_as_they_claim_have_an_error_too():
    rng, labels = np.random.default_rng(2), np.zeros(4000, dtype=int)
    few, many = (
        answering(np.zeros(n, dtype=int), rng.uniform(0.3, 1, n), seed=n) for n in (400, 4000)
    )
    assert error_by_chance(many) < error_by_chance(few) < 0.1
    # a bin of m answers with confidence c is off by sqrt(2 c (1 - c) / (pi m)) on average
    c, m = rng.uniform(0.3, 1, 100_000), 4000 / (0.7 * 15)
    assert error_by_chance(many) == pytest.approx(
        np.sqrt(2 * c * (1 - c) / (np.pi * m)).mean(), rel=0.2
    )
    assert error_by_chance(answering(labels, np.ones(4000))) == 0


def test_without_an_answer_of_that_confidence_there_is_nothing_to_count():
    (row,) = calibration({"A": [answering(PREDICTIONS, [0.6] * 6)]}, image_set()).rows
    assert row[-1] == "no such answer"
