"""Means, spreads and intervals against values worked out by hand or taken from other programs."""

import math

import numpy as np
import pytest
from fakes import arm, fake_run, made
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from normstudy.study import measures
from normstudy.study.recipes import Recipe


def test_summary_by_hand():
    s = measures.summarize(arm(87, 88, 89))
    assert (s.n, s.mean, s.sd) == pytest.approx((3, 88, 1))
    # t(.975, 2) = 4.302653 from a printed table; the standard error is 1 / sqrt(3)
    assert (s.low, s.high) == pytest.approx((88 - 4.302653 / 3**0.5, 88 + 4.302653 / 3**0.5))
    assert str(s) == "88.00 ± 1.00"
    assert s.interval == "85.52 to 90.48"


def test_one_seed_has_no_spread():
    s = measures.summarize(arm(88))
    assert str(s) == "88.00 (n = 1)"
    assert s.interval == "none (n = 1)"
    assert math.isnan(s.sd)
    assert math.isnan(s.low)


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("test_accuracy", 88),
        ("test_loss", 1.12),
        ("train_accuracy", 91),
        ("train_loss", 0.1),
        ("gap", 3),
    ],
)
def test_measures(measure, value):
    assert measures.summarize(arm(88), measure).mean == pytest.approx(value)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8))
def test_interval_agrees_with_scipy(values):
    low, high = measures.mean_interval(values)
    if np.std(values) > 1e-6:
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)
    assert low <= np.mean(values) + 1e-9
    assert high >= np.mean(values) - 1e-9


def test_sampling_error():
    assert measures.sampling_error([made(87), made(89)]) == pytest.approx(
        100 * (0.88 * 0.12 / 1000) ** 0.5
    )


def test_welch_is_scipys():
    one, other = [80.0, 81.0, 83.0], [75.0, 75.5]
    error, freedom = measures.welch([measures.summarize(arm(*of)) for of in (one, other)])
    test = stats.ttest_ind(one, other, equal_var=False)
    assert (error, freedom) == pytest.approx((test._standard_error, test.df))
    for lone in ([[80.0]], [[10.0, 10.0], [10.0, 10.0]]):
        found = measures.welch([measures.summarize(arm(*of)) for of in lone])
        assert np.isnan(found).all()


def test_penalty_share_and_small_weights():
    run = made(88, penalty=0.1)
    np.testing.assert_allclose(measures.penalty_share(run), [0.1 / 1.0, 0.05 / 0.35])
    assert (measures.penalty_share(made(88)) == 0).all()
    weights = np.random.default_rng(0).exponential(0.002, 50_000)
    quantiles = np.quantile(weights, np.linspace(0, 1, 1001)).astype(np.float32)
    run = fake_run(Recipe(), [0.88], weight_quantiles=quantiles)
    assert measures.small_weights(run) == pytest.approx((weights < 1e-3).mean(), abs=1e-3)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: measures.check_arms({}), r"no runs to compare \(no arms\); give a dict"),
        (lambda: measures.check_arms({"A": []}), r"no runs to compare \(A: 0\); give a dict"),
        (lambda: measures.summarize([]), "no runs to compare"),
        (
            lambda: measures.check_arms({"A": arm(88), "B": arm(80, data="mnist")}),
            r"mix data sets \(data=digits, mnist\); accepted: runs with one value of data",
        ),
        (
            lambda: measures.check_arms({"A": arm(88), "B": arm(80, validation=True)}),
            "mix test and validation scores",
        ),
        (
            lambda: measures.summarize([made(88, 0, lr=0.1), made(88, 1, lr=0.2)]),
            "differ in lr; accepted: runs of one recipe",
        ),
        (lambda: measures.summarize([made(88), made(89)]), r"has the seeds \[0, 0\]"),
        (
            lambda: measures.summarize(arm(88), "f1"),
            "the measure 'f1' is unknown; accepted: test_acc",
        ),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()
