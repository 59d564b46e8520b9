"""What the public reports say together."""

from itertools import combinations
from operator import attrgetter

import numpy as np
import pytest
from scipy import stats

from normstudy.study import consensus
from normstudy.study.consensus import listing, paired, seed_differences
from normstudy.study.reports import Report, reports_on
from normstudy.study.runs import PUBLISHED, find
from normstudy.study.studies import STUDIES
from normstudy.tables import LEVEL
from tests.study.fakes import arm

ON_CIFAR10 = reports_on("cifar10")
PAIR = ("Group norm", "Layer norm")
STUDY = STUDIES["main"]


def report(name="R", size=40_000, remark="", **accuracies):
    arms = {key.replace("_", " "): value for key, value in accuracies.items()}
    sizes = dict.fromkeys(arms, size) if size else {}
    return Report(name=name, data="cifar10", parameters=sizes, accuracies=arms, remark=remark)


def arms():
    return {
        "Batch norm": arm(80, 84, 81, norm="batch"),
        "Group norm": arm(78, 79, 80, norm="group"),
        "Layer norm": arm(77, 79, 78, norm="layer"),
    }


def test_pairs_are_differences_of_what_was_printed():
    found = paired(
        [
            report(Group_norm=75.31, Layer_norm=75.0),
            report(Group_norm=70.0, Layer_norm=71.0, Batch_norm=80.0),
            report(Group_norm=74.35, Layer_norm=74.35),
            report(Group_norm=99.0),
        ],
        *PAIR,
    )
    assert found.values == (0.31, -1.0, 0.0)
    assert found.counts == (1, 1)
    assert found.p == 1
    assert found.mean == pytest.approx(-0.23)
    low, high = found.interval
    expected = stats.ttest_1samp(found.values, 0).confidence_interval()
    np.testing.assert_allclose((low, high), expected)
    assert consensus.summary([found]).rows == (
        (
            *("Group norm − Layer norm", "3", "1", "1", "1", "1.000", "−0.23"),
            *(f"−{-expected.low:.2f} to {expected.high:.2f}", "0.68"),
        ),
    )


def test_the_public_reports_do_not_decide_between_group_and_layer_norm():
    found = paired(ON_CIFAR10, *PAIR)
    assert found.counts == (17, 10)
    assert found.p == pytest.approx(stats.binomtest(17, 27).pvalue)
    assert str(found) == (
        "Group norm is ahead of layer norm in 17 of 27 reports (sign test: p = 0.248), on average "
        "by 0.56 points (95% interval −0.46 to 1.58)."
    )
    assert "sign test: p < 0.001" in str(paired(ON_CIFAR10, "Batch norm", "Group norm"))


def test_one_report_is_no_pair():
    with pytest.raises(ValueError, match="1 of 2 reports give 'Group norm' and 'Layer norm'; two"):
        paired([report(Group_norm=70.0, Layer_norm=71.0), report(Group_norm=70.0)], *PAIR)


def test_the_tables_show_every_pair_and_every_report():
    pairs = [paired(ON_CIFAR10, *PAIR)]
    (row,) = consensus.summary(pairs).rows
    assert row == (
        *("Group norm − Layer norm", "27", "17", "10", "0", "0.248"),
        *("+0.56", "−0.46 to 1.58", "2.58"),
    )
    table = listing([report("R1", size=None, Batch_norm=80.0, remark="odd"), report(Group_norm=70)])
    assert table.header == ("report", "parameters", "Batch norm, %", "Group norm, %", "remark")
    assert table.rows == (("R1", "–", "80.00", "–", "odd"), ("R", "40,000", "–", "70.00", ""))


def test_differences_of_seeds_never_use_a_seed_twice():
    found = seed_differences(arms(), *PAIR)
    assert sorted(found) == pytest.approx(sorted([78 - 79, 78 - 78, 79 - 77, 79 - 78, 80 - 77, 1]))


def test_the_scatter_of_reports_is_set_beside_that_of_seeds():
    pair, ours = paired(ON_CIFAR10, *PAIR), seed_differences(arms(), *PAIR)
    (row,) = consensus.scatter([pair], arms()).rows
    ratio = np.std(pair.values, ddof=1) / np.std(ours, ddof=1)
    assert row == ("Group norm − Layer norm", f"{ratio:.1f}", "2 of 6")  # one tie, one behind


def test_the_figures_show_what_the_tables_say():
    pairs = [paired(ON_CIFAR10, *PAIR), paired(ON_CIFAR10, "Layer norm", "Batch norm")]
    fig = consensus.spreads(pairs, arms())
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names == [pairs[0].title, "the same, here", pairs[1].title, "the same, here"]
    dots = [line.get_xdata() for line in fig.axes[0].lines if line.get_markersize() == 2.5]
    assert [len(xs) for xs in dots] == [27, 6, 28, 6]
    np.testing.assert_allclose(dots[0], pairs[0].values)
    assert "+0.56, sd 2.58" in fig.normstudy["alt"]


def test_the_sizes_are_those_within_the_limit():
    fig = consensus.sizes(ON_CIFAR10, arms(), 47_266)
    small = [line for line in fig.axes[0].lines if line.get_markersize() == 5]
    assert len(small) == 3
    assert max(max(line.get_xdata()) for line in small) < 50_000
    layer = next(line for line in small if line.get_marker() == "D")
    sized = [r for r in ON_CIFAR10 if r.parameters and "Layer norm" in r.accuracies]
    assert len(layer.get_xdata()) == len(sized) - 2  # those that are too large
    assert "networks of 50,000 parameters or more are left out" in fig.normstudy["caption"]


def test_the_page_may_say_what_it_says_of_the_reports():
    names = ("Batch norm", "Group norm", "Layer norm")
    pairs = [paired(ON_CIFAR10, *pair) for pair in combinations(names, 2)]
    assert [pair.p < LEVEL for pair in pairs] == [True, True, False]
    ours = {arm: [find(r, PUBLISHED) for r in of] for arm, of in STUDY.recipes().items()}
    spreads = [np.std(seed_differences(ours, *pair.pair), ddof=1) for pair in pairs]
    assert all(pair.sd > spread for pair, spread in zip(pairs, spreads, strict=True))
    rows = consensus.by_size(ON_CIFAR10, names).rows
    assert [float(row[3]) < LEVEL for row in rows] == [True, False, False]
    lowest, highest = zip(*(map(float, row[5].split(" to ")) for row in rows), strict=True)
    assert min(np.subtract(highest, lowest)) > 5, "several points, with one and the same norm"


def test_what_is_too_large_is_not_ranked():
    sized = [r for r in ON_CIFAR10 if "Layer norm" in r.parameters and "Layer norm" in r.accuracies]
    (row,) = consensus.by_size(ON_CIFAR10, ["Layer norm"]).rows
    assert int(row[1]) == len(sized) - 2


def test_in_short_says_how_much_wider_reports_scatter():
    pair = paired(ON_CIFAR10, "Batch norm", "Group norm")
    text = consensus.in_short([pair], arms())
    spread = np.std(seed_differences(arms(), *pair.pair), ddof=1)
    assert f"scatter {pair.sd / spread:.0f} to {pair.sd / spread:.0f} times as widely" in text


def test_accuracy_is_ranked_by_size():
    (row,) = consensus.by_size(ON_CIFAR10, ["Batch norm"]).rows
    sized = [r for r in ON_CIFAR10 if r.parameters and "Batch norm" in r.accuracies]
    sizes, accuracies = (
        np.array([of(r)["Batch norm"] for r in sized])
        for of in (attrgetter("parameters"), attrgetter("accuracies"))
    )
    rank = stats.spearmanr(sizes, accuracies)
    large = accuracies[np.argsort(sizes, stable=True)[len(sizes) // 2 :]]
    assert row[1:3] == (str(len(sized)), f"{rank.statistic:+.2f}")
    assert float(row[3]) == pytest.approx(rank.pvalue, abs=5e-4)
    assert row[4] == f"{large.mean():.2f} ± {large.std(ddof=1):.2f}"
