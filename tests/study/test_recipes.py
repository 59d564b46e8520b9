"""Recipes refuse what cannot be trained, name their runs, and vary one thing at a time."""

import ast
import hashlib
import json
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normstudy.study import recipes
from normstudy.study.networks import NETWORKS, Dropout
from normstudy.study.recipes import DATASETS, NORMS, Recipe, variants, varied
from normstudy.study.runs import PUBLISHED

ANY_RECIPE = st.builds(
    Recipe,
    data=st.sampled_from(DATASETS),
    net=st.sampled_from(list(NETWORKS)),
    norm=st.sampled_from(NORMS),
    num_groups=st.integers(1, 64),
    channels_per_group=st.sampled_from([0, 2]),
    epochs=st.integers(1, 30),
    lr=st.floats(1e-6, 10),
    schedule=st.sampled_from(["one-cycle", "one-cycle-cosine", "constant"]),
    rebuilt=st.booleans(),
    nesterov=st.booleans(),
    weight_decay_on=st.sampled_from(["weights", "all"]),
    l1=st.sampled_from([0.0, 1e-5]),
    l1_of=st.sampled_from(["sum", "mean"]),
    dropout=st.floats(0, 0.9),
    flip=st.booleans(),
    shear=st.floats(0, 89),
    seed=st.integers(0, 2**31 - 1),
)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            {"norm": "bach"},
            r"norm='bach' is unknown; accepted: batch, group, layer, layer_chw, instance, none",
        ),
        ({"data": "cifar"}, r"data='cifar' is unknown; accepted: cifar10, mnist, digits"),
        (
            {"net": "resnet"},
            r"net='resnet' is unknown; accepted: separable, pyramid, pyramid-act-first",
        ),
        (
            {"schedule": "step"},
            r"schedule='step' is unknown; accepted: one-cycle, one-cycle-cosine",
        ),
        ({"init": "xavier"}, r"init='xavier' is unknown; accepted: pytorch, he, kaiming-uniform"),
        ({"l1_of": "max"}, r"l1_of='max' is unknown; accepted: sum, mean"),
        ({"rebuilt": 1}, r"rebuilt=1 is no flag; give True or False"),
        ({"channels_per_group": -1}, r"channels_per_group=-1 is out of range; accepted: a number"),
        ({"weight_decay_on": "no"}, r"weight_decay_on='no' is unknown; accepted: weights, all"),
        ({"l1_on": "biases"}, r"l1_on='biases' is unknown; accepted: weights, all, scales"),
        ({"l1_step": "soft"}, r"l1_step='soft' is unknown; accepted: subgradient, proximal"),
        ({"ghost_batch": -1}, r"ghost_batch=-1 is out of range; accepted: a number in \[0, "),
        ({"bn_momentum": 0.0}, r"bn_momentum=0.0 is out of range; accepted: a number in \(0, 1\)"),
        ({"bn_momentum": 1.0}, r"bn_momentum=1.0 is out of range"),
        ({"subset": -1}, r"subset=-1 is out of range; accepted: a number in \[0, "),
        ({"probe": "loss"}, r"probe='loss' is unknown; accepted: statistics, last-statistics, cor"),
        ({"probe": "weights+"}, r"probe='weights\+' is unknown; .* or several joined by \+"),
        ({"probe": 1}, r"probe=1 is unknown"),
        ({"precision": "float16"}, r"precision='float16' is unknown; accepted: bfloat16, float32"),
        ({"num_groups": 0}, r"num_groups=0 is out of range; accepted: a number in \[1, "),
        ({"num_groups": 2.0}, r"num_groups=2.0 is no whole number; give an int"),
        ({"epochs": 0}, r"epochs=0 is out of range; accepted: a number in \[1, "),
        ({"epochs": 1.5}, r"epochs=1.5 is no whole number"),
        ({"batch_size": 0}, r"batch_size=0 is out of range; accepted: a number in \[1, "),
        ({"batch_size": -1}, r"batch_size=-1 is out of range"),
        ({"lr": 0.0}, r"lr=0.0 is out of range; accepted: a number in \(0, 1e\+38\)"),
        ({"lr": -0.1}, r"lr=-0.1 is out of range"),
        ({"lr": float("inf")}, r"lr=inf is out of range"),
        ({"lr": float("nan")}, r"lr=nan is out of range"),
        ({"warmup": 0.0}, r"warmup=0.0 is out of range; accepted: a number in \(0, 1\)"),
        ({"warmup": 1.0}, r"warmup=1.0 is out of range"),
        ({"momentum": 1.0}, r"momentum=1.0 is out of range; accepted: a number in \[0, 1\)"),
        ({"weight_decay": -1e-4}, r"weight_decay=-0.0001 is out of range"),
        ({"l1": -1e-5}, r"l1=-1e-05 is out of range; accepted: a number in \[0, 1e\+38\)"),
        ({"dropout": 1.0}, r"dropout=1.0 is out of range; accepted: a number in \[0, 1\)"),
        ({"dropout": -0.1}, r"dropout=-0.1 is out of range"),
        ({"crop": -1}, r"crop=-1 is out of range; accepted: a number in \[0, 16\)"),
        ({"rotation": -1.0}, r"rotation=-1.0 is out of range"),
        ({"shear": -1.0}, r"shear=-1.0 is out of range; accepted: a number in \[0, 90\)"),
        ({"shear": 90.0}, r"shear=90.0 is out of range"),
        ({"translation": 1.0}, r"translation=1.0 is out of range"),
        ({"scaling": 1.0}, r"scaling=1.0 is out of range"),
        ({"jitter": 1.0}, r"jitter=1.0 is out of range"),
        ({"seed": -1}, r"seed=-1 is out of range"),
        ({"lr": "0.1"}, r"lr='0.1' is of type str; give an int or a float"),
        ({"num_groups": np.int64(8)}, r"num_groups=.*8.* is of type int64; give an int or a float"),
        ({"epochs": True}, r"epochs=True is of type bool; give an int or a float"),
        ({"flip": "no"}, r"flip='no' is no flag; give True or False"),
        ({"nesterov": 0}, r"nesterov=0 is no flag; give True or False"),
        ({"validation": 1}, r"validation=1 is no flag; give True or False"),
    ],
)
def test_what_cannot_be_trained_is_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        Recipe(**wrong)
    with pytest.raises(ValueError, match=match):
        replace(Recipe(), **wrong)


def test_a_recipe_cannot_change():
    with pytest.raises(AttributeError):
        Recipe().norm = "group"


def test_every_number_says_beside_itself_what_it_accepts():
    kinds = get_type_hints(Recipe)
    for f in fields(Recipe):
        numeric = kinds[f.name] in (int, float)
        assert set(f.metadata) == ({"low", "high", "above"} if numeric else set()), f.name
        if numeric:
            assert f.metadata["low"] <= f.default < f.metadata["high"]
            with pytest.raises(ValueError, match=rf"{f.name}=.* is out of range; accepted: a num"):
                Recipe(**{f.name: f.metadata["low"] - 1})


def test_a_new_field_is_one_edit():
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Longer(Recipe):
        cutout: int = recipes._number(0, 0, 9)
        mixed: bool = False

    assert Longer(seed=3).digest == Recipe(seed=3).digest, "no run is renamed"
    assert Longer(cutout=2).digest != Longer().digest
    assert Longer.from_dict(Longer(cutout=2).to_dict()) == Longer(cutout=2)
    with pytest.raises(ValueError, match=r"cutout=9 is out of range; accepted: a number in \[0, 9"):
        Longer(cutout=9)
    with pytest.raises(ValueError, match="mixed=3 is no flag"):
        Longer(mixed=3)


@given(ANY_RECIPE)
def test_a_recipe_survives_json(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def as_read(recipe):
    """Give fields that decide nothing their default."""
    return replace(recipe, **{f.name: f.default for f in fields(Recipe) if f.name in recipe.unread})


@given(ANY_RECIPE, ANY_RECIPE)
def test_digests_are_equal_exactly_for_recipes_that_are_equal_in_what_is_read(one, other):
    assert (one.digest == other.digest) == (as_read(one) == as_read(other))
    assert one.name == as_read(one).name


@pytest.mark.parametrize(
    ("unread", "read"),
    [
        ({"num_groups": 8}, {"norm": "group"}),
        ({"num_groups": 8, "norm": "group", "channels_per_group": 2}, {"channels_per_group": 0}),
        ({"channels_per_group": 2}, {"norm": "group"}),
        ({"warmup": 0.5, "schedule": "constant"}, {"schedule": "one-cycle"}),
        ({"nesterov": False, "momentum": 0.0}, {"momentum": 0.5}),
        ({"weight_decay_on": "all", "weight_decay": 0.0}, {"weight_decay": 0.1}),
        ({"l1_on": "all"}, {"l1": 0.1}),
        ({"l1_of": "mean"}, {"l1": 0.1}),
        ({"l1_step": "proximal"}, {"l1": 0.1}),
        ({"ghost_batch": 8, "norm": "layer"}, {"norm": "batch"}),
        ({"bn_momentum": 0.5, "norm": "group"}, {"norm": "batch"}),
        ({"flip": False, "data": "mnist"}, {"data": "cifar10"}),
    ],
)
def test_a_field_that_decides_nothing_makes_no_second_run(unread, read):
    recipe = Recipe(**unread)
    name = next(iter(unread))
    default = {name: getattr(Recipe(), name)}
    assert recipe.name == replace(recipe, **default).name
    assert replace(recipe, **read).name != replace(recipe, **read, **default).name
    assert getattr(replace(recipe, **read), name) == unread[name], "it is not forgotten"


def test_dropout_counts_where_the_network_has_a_place_for_it():
    places = {net: Recipe(net=net, dropout=0.1).name != Recipe(net=net).name for net in NETWORKS}
    for net, forms in NETWORKS.items():
        rows = [row for form in forms.values() for row in form]
        assert places[net] == any(isinstance(row, Dropout) for row in rows)
    assert places["separable"]


def test_a_whole_number_is_as_good_as_the_same_float():
    assert Recipe(lr=1, l1=0).digest == Recipe(lr=1.0, l1=0.0).digest
    assert json.dumps(Recipe(lr=1).to_dict()) == json.dumps(Recipe(lr=1.0).to_dict())


def test_the_digest_looks_at_what_differs_from_the_defaults_only():
    def first_digits(text):
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    assert Recipe().digest == first_digits("{}")
    assert Recipe(seed=3, lr=0.1).digest == first_digits('{"lr": 0.1, "seed": 3}')


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"lr": 0.3}, "cifar10-batch-seed0-44136fa355b3678a"),
        ({"l1": 3e-5, "seed": 1}, "cifar10-batch-l1-seed1-1393fd2021784ee7"),
        ({"norm": "group", "lr": 0.2, "num_groups": 32}, "cifar10-group-seed0-ef0600652c41599a"),
        (
            {"norm": "layer", "lr": 0.1, "weight_decay": 2e-4, "seed": 3},
            "cifar10-layer-seed3-704792fb53545ffc",
        ),
        ({"norm": "none", "lr": 0.1, "seed": 2}, "cifar10-none-seed2-77e547e7a3120db7"),
        (
            {"norm": "none", "lr": 0.03, "epochs": 5, "validation": True},
            "cifar10-none-seed0-7134b9dba7efe57e",
        ),
    ],
)
def test_the_names_of_published_runs_never_change(settings, name):
    assert Recipe(**settings).name == name


def test_every_published_run_has_the_name_of_its_recipe():
    paths = sorted((PUBLISHED / "cifar10-separable").glob("*.json"))
    assert len(paths) >= 47
    for path in paths:
        values = json.loads(path.read_text())["recipe"]
        assert Recipe.from_dict(values).name == path.stem


def test_names_can_be_read_and_say_what_is_scored():
    recipe = Recipe(norm="batch", l1=1e-5, seed=2)
    assert recipe.name == f"cifar10-batch-l1-seed2-{recipe.digest}"
    assert replace(recipe, norm="none", l1=0.0).name.startswith("cifar10-none-seed2-")
    assert recipe.scored == "test"
    assert replace(recipe, validation=True).scored == "validation"


def test_a_recipe_of_a_newer_version_is_refused():
    values = Recipe().to_dict() | {"label_smoothing": 0.1, "cutout": 8}
    match = r"the fields cutout, label_smoothing, which this version .* saved by a newer version"
    with pytest.raises(ValueError, match=match):
        Recipe.from_dict(values)


# -- varying ---------------------------------------------------------------------------------------


def test_variants_are_all_combinations_in_order():
    base = Recipe(seed=5)
    found = variants(base, norm="group", lr=[0.1, 0.2], num_groups=[4, 8])
    assert [(r.lr, r.num_groups) for r in found] == [(0.1, 4), (0.1, 8), (0.2, 4), (0.2, 8)]
    assert {(r.norm, r.seed) for r in found} == {("group", 5)}
    assert variants(base) == (base,)
    with pytest.raises(ValueError, match=r"lr=0 is out of range"):
        variants(base, lr=[0.1, 0])


@given(st.lists(ANY_RECIPE, min_size=1, max_size=4))
def test_the_fields_that_vary_are_named_in_their_order(several):
    found = varied(several)
    assert found == [f.name for f in fields(Recipe) if f.name in found]
    for f in fields(Recipe):
        same = all(getattr(r, f.name) == getattr(several[0], f.name) for r in several)
        nobody_reads_it = all(f.name in r.unread for r in several)
        assert (f.name not in found) == (same or nobody_reads_it)


def test_recipes_need_nothing_but_the_standard_library_and_the_names_of_networks():
    tree = ast.parse(Path(recipes.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    others = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert others == {"normstudy.study.networks"}


def test_a_field_that_no_recipe_reads_does_not_vary():
    one, other = Recipe(norm="batch"), Recipe(norm="batch", num_groups=4)
    assert varied([one, other]) == []
    assert varied([one, replace(other, norm="group")]) == ["norm", "num_groups"]


@pytest.mark.parametrize(
    "change",
    [
        *({name: 0.5} for name in ("rotation", "shear", "translation", "scaling", "jitter")),
        *({"crop": 2}, {"flip": True}),
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_random_change_of_training_images_augments(change):
    plain = Recipe(data="cifar10", crop=0, flip=False)
    assert not plain.augments
    assert replace(plain, **change).augments
    assert not replace(plain, data="mnist", flip=True).augments, "digits are never mirrored"
