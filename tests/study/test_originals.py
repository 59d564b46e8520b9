"""The reports are repeated with their own settings, and what they printed is as they printed it."""

from dataclasses import replace

import pytest
import torch

from normstudy.study import originals
from normstudy.study.data import FACTS
from normstudy.study.model import Net, layer_table, make_norm
from normstudy.study.optimize import penalized
from normstudy.study.originals import ORIGINALS
from normstudy.study.recipes import varied
from normstudy.study.studies import OF_REPORTS, STUDIES

ARMS = {"B": originals.B, "C": originals.C, "D": originals.D, "E": originals.E}
SIDES = {"mnist": (1, 28), "cifar10": (3, 32)}


def built(recipe):
    channels, size = SIDES[recipe.data]
    net = Net(
        *(recipe.norm, recipe.num_groups),
        net=recipe.net,
        in_channels=channels,
        size=size,
        channels_per_group=recipe.channels_per_group,
    )
    return net, size


@pytest.mark.parametrize("letter", ORIGINALS)
def test_every_network_has_as_many_parameters_as_its_report_printed(letter):
    original = ORIGINALS[letter]
    assert list(original.best) == list(original.last) == list(ARMS[letter])
    for arm, recipe in ARMS[letter].items():
        assert recipe.data == original.data
        net, _ = built(recipe)
        assert sum(p.numel() for p in net.parameters()) == original.parameters[arm], arm


@pytest.mark.parametrize(("letter", "field"), [("B", 18), ("C", 44), ("D", 22), ("E", 22)])
def test_receptive_fields_are_those_that_a_reader_counts(letter, field):
    for recipe in ARMS[letter].values():
        net, size = built(recipe)
        rows = layer_table(net, size)
        pool = [i for i, row in enumerate(rows) if row.kind == "AvgPool2d"]
        assert rows[pool[0] - 1 if pool else -1].receptive_field == field, "before the average"


@pytest.mark.parametrize("letter", ORIGINALS)
def test_what_all_four_share_is_shared(letter):
    for recipe in ARMS[letter].values():
        assert (recipe.batch_size, recipe.momentum, recipe.nesterov) == (128, 0.9, False)
        assert (recipe.crop, recipe.flip, recipe.validation) == (0, False, False)
        assert (recipe.l1_on, recipe.weight_decay_on) == ("all", "all")
        assert (recipe.precision, recipe.num_groups) in {("float32", 16), ("float32", 2)}


def test_the_settings_are_those_of_the_reports():
    b, c, d, e = (list(ARMS[letter].values()) for letter in "BCDE")
    assert [r.epochs for r in b] == [25, 25, 20]
    assert [(r.lr, r.l1, r.l1_of, r.dropout) for r in b] == [(0.02, 0.01, "sum", 0.03)] * 3
    assert [r.epochs * r.warmup for r in b] == pytest.approx([6, 6, 6])
    assert all(r.rebuilt and r.init == "kaiming-uniform" for r in b)
    assert b[0].rotation ** 2 == pytest.approx(6**2 + 7**2, rel=0.01)
    assert [(r.lr, r.l1, r.weight_decay, r.dropout) for r in c] == [(0.01, 0, 0, 0.1)] * 3
    assert [r.num_groups for r in c if r.norm == "group"] == [2]
    assert {(r.lr, r.rotation, r.dropout) for r in d} == {(0.01, 7.0, 0.02)}
    assert [(r.l1, r.l1_of) for r in d if r.l1] == [(5e-4, "mean")]
    assert [r.norm for r in d] == ["batch", "layer_chw", "group"]
    assert [(r.l1, r.weight_decay) for r in e] == [(1e-4, 1e-3), (1e-4, 0), (0, 1e-3)]
    assert [r.channels_per_group for r in (*b, *e) if r.norm == "group"] == [2, 2]
    assert {r.schedule for r in (*c, *d, *e)} == {"constant"}
    assert {(r.lr, r.rotation, r.dropout) for r in e} == {(0.04, 6.9, 0.05)}


def test_the_penalty_of_report_b_is_weakened_and_nothing_else():
    l1_of_e = ARMS["E"]["Group norm + L1"].l1
    for arm, recipe in originals.B_PENALTY.items():
        assert recipe.l1 == pytest.approx(l1_of_e)
        assert replace(recipe, l1=0.01) == originals.B_MEANT[arm]


def test_the_groups_of_report_b_are_made_larger_and_nothing_else():
    (wide,) = originals.B_TWO_GROUPS.values()
    assert varied([wide, originals.B_PENALTY["Group norm"]]) == ["num_groups", "channels_per_group"]
    on_one_pixel = make_norm("group", 16, num_groups=wide.num_groups)
    assert on_one_pixel.num_channels // on_one_pixel.num_groups == 8


def test_findings_are_the_order_of_what_was_printed():
    pairs = {
        letter: [(f.ahead, f.behind) for f in original.findings]
        for letter, original in ORIGINALS.items()
    }
    assert pairs["D"] == [("Batch norm + L1", "Layer norm"), ("Group norm", "Layer norm")]  # a tie
    assert pairs["C"][0] == ("Group norm", "Batch norm")
    assert [f.behind for f in ORIGINALS["C"].findings if f.written] == ["Layer norm"] * 2
    assert pairs["B"][0] == ("Layer norm", "Batch norm + L1")
    assert len(pairs["E"]) == 3


def test_the_defects_are_one_change_each():
    for one, other in zip(originals.B.values(), originals.B_MEANT.values(), strict=True):
        assert varied([one, other]) == ["rebuilt"]
    for one, other in zip(originals.D.values(), originals.D_FIRST_EPOCH.values(), strict=True):
        assert varied([one, other]) == ["epochs"]
    assert originals.C_BUILT["Batch norm"] == originals.C["Batch norm"]
    none, mean, weak, full = originals.D_PENALTY.values()
    assert varied([none, mean]) == ["l1"]
    assert varied([mean, full]) == ["l1_of"]
    assert varied([weak, full]) == ["l1"]


def test_the_weak_sum_pulls_as_hard_as_the_mean_does_on_average():
    _, mean, weak, _ = originals.D_PENALTY.values()
    net, _ = built(mean)
    pulls = [
        torch.cat([torch.full((p.numel(),), pull).double() for p, pull in found.values()])
        for found in (penalized(net, mean), penalized(net, weak))
    ]
    assert len(pulls[0]) == ORIGINALS["D"].parameters["Batch norm + L1"]
    torch.testing.assert_close(pulls[0].mean(), pulls[1].mean())
    assert pulls[0].min() == pytest.approx(mean.l1 / 2_304)  # the factor of its largest tensor


def test_taken_apart_every_norm_meets_every_regularizer():
    recipes = originals.E_APART
    assert {(r.norm, r.l1 > 0, r.weight_decay > 0) for r in recipes.values()} == {
        (norm, l1, l2)
        for norm in ("batch", "group", "layer")
        for l1 in (False, True)
        for l2 in (False, True)
    }
    assert set(originals.E.items()) <= set(recipes.items())
    for recipe in recipes.values():
        same = next(r for r in originals.E.values() if r.norm == recipe.norm)
        assert replace(recipe, l1=same.l1, weight_decay=same.weight_decay) == same


def test_every_report_is_a_study_with_its_seeds_and_its_printed_numbers():
    assert set(OF_REPORTS) == {name for name in STUDIES if name.startswith("study-")}
    main = STUDIES["main"].recipes()
    assert STUDIES["study-a"].recipes() == {
        arm: main[arm] for arm in ("Group norm", "Layer norm", "Batch norm + L1")
    }
    for letter, original in ORIGINALS.items():
        study = STUDIES[f"study-{letter.lower()}"]
        assert {arm: tried for arm, (tried,) in study.arms.items()} == ARMS[letter]
        assert len(study.seeds) == (3 if FACTS[original.data].title == "CIFAR-10" else 5)
        assert study.reference.values == original.best
        assert study.original is original
        assert not study.stands_in
    assert STUDIES["study-d-penalty"].reference is None
