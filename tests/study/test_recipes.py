"""Recipes refuse what cannot be trained, name their runs, and vary one thing at a time."""

import ast
import hashlib
import json
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normstudy.study import recipes
from normstudy.study.recipes import (
    CHOSEN,
    DATASETS,
    DIVERGED,
    NORMS,
    TRIED,
    Recipe,
    report_data,
    search,
    shown,
    study,
)
from normstudy.study.runs import PUBLISHED, find, load

ANY_RECIPE = st.builds(
    Recipe,
    data=st.sampled_from(DATASETS),
    norm=st.sampled_from(NORMS),
    num_groups=st.integers(1, 64),
    epochs=st.integers(1, 30),
    lr=st.floats(1e-6, 10),
    l1=st.sampled_from([0.0, 1e-5]),
    dropout=st.floats(0, 0.9),
    flip=st.booleans(),
    seed=st.integers(0, 2**31 - 1),
)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            {"norm": "bach"},
            r"norm='bach' is unknown; accepted: batch, group, layer, instance, none",
        ),
        ({"data": "cifar"}, r"data='cifar' is unknown; accepted: cifar10, mnist, digits"),
        ({"l1_on": "biases"}, r"l1_on='biases' is unknown; accepted: weights, all"),
        ({"precision": "float16"}, r"precision='float16' is unknown; accepted: bfloat16, float32"),
        ({"num_groups": 0}, r"num_groups=0 is out of range; accepted: a number in \[1, inf\)"),
        ({"num_groups": 2.0}, r"num_groups=2.0 is no whole number; give an int"),
        ({"epochs": 0}, r"epochs=0 is out of range; accepted: a number in \[1, inf\)"),
        ({"epochs": 1.5}, r"epochs=1.5 is no whole number"),
        ({"batch_size": 0}, r"batch_size=0 is out of range; accepted: a number in \[1, inf\)"),
        ({"batch_size": -1}, r"batch_size=-1 is out of range"),
        ({"lr": 0.0}, r"lr=0.0 is out of range; accepted: a number in \(0, inf\)"),
        ({"lr": -0.1}, r"lr=-0.1 is out of range"),
        ({"lr": float("inf")}, r"lr=inf is out of range"),
        ({"lr": float("nan")}, r"lr=nan is out of range"),
        ({"warmup": 0.0}, r"warmup=0.0 is out of range; accepted: a number in \(0, 1\)"),
        ({"warmup": 1.0}, r"warmup=1.0 is out of range"),
        ({"momentum": 1.0}, r"momentum=1.0 is out of range; accepted: a number in \[0, 1\)"),
        ({"weight_decay": -1e-4}, r"weight_decay=-0.0001 is out of range"),
        ({"l1": -1e-5}, r"l1=-1e-05 is out of range; accepted: a number in \[0, inf\)"),
        ({"dropout": 1.0}, r"dropout=1.0 is out of range; accepted: a number in \[0, 1\)"),
        ({"dropout": -0.1}, r"dropout=-0.1 is out of range"),
        ({"crop": -1}, r"crop=-1 is out of range; accepted: a number in \[0, 16\)"),
        ({"rotation": -1.0}, r"rotation=-1.0 is out of range"),
        ({"translation": 1.0}, r"translation=1.0 is out of range"),
        ({"scaling": 1.0}, r"scaling=1.0 is out of range"),
        ({"jitter": 1.0}, r"jitter=1.0 is out of range"),
        ({"seed": -1}, r"seed=-1 is out of range"),
        ({"lr": "0.1"}, r"lr='0.1' is out of range; accepted: a number"),
        ({"epochs": True}, r"epochs=True is out of range"),
        ({"flip": "no"}, r"flip='no' is no flag; give True or False"),
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


@given(ANY_RECIPE)
def test_a_recipe_survives_json(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@given(ANY_RECIPE, ANY_RECIPE)
def test_digests_are_equal_exactly_for_equal_recipes(one, other):
    assert (one.digest == other.digest) == (one == other)


def test_a_whole_number_is_as_good_as_the_same_float():
    assert Recipe(lr=1, l1=0).digest == Recipe(lr=1.0, l1=0.0).digest
    assert json.dumps(Recipe(lr=1).to_dict()) == json.dumps(Recipe(lr=1.0).to_dict())


def test_the_digest_looks_at_what_differs_from_the_defaults_only():
    def first_digits(text):
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    assert Recipe().digest == first_digits("{}")
    assert Recipe(seed=3, lr=0.1).digest == first_digits('{"lr": 0.1, "seed": 3}')


def test_names_and_labels_can_be_read():
    recipe = Recipe(norm="batch", l1=1e-5, seed=2)
    assert recipe.label == "Batch norm + L1"
    assert recipe.name == f"cifar10-batch-l1-seed2-{recipe.digest}"
    assert replace(recipe, norm="none", l1=0.0).label == "No norm"


def test_a_recipe_of_a_newer_version_is_refused():
    values = Recipe().to_dict() | {"label_smoothing": 0.1, "cutout": 8}
    match = r"the fields cutout, label_smoothing, which this version .* saved by a newer version"
    with pytest.raises(ValueError, match=match):
        Recipe.from_dict(values)


@pytest.mark.parametrize("data", DATASETS)
def test_the_study_has_every_arm_with_every_seed(data):
    arms = study(data, seeds=(0, 1, 5))
    labels = ["Batch norm", "Batch norm + L1", "Group norm", "Layer norm", "No norm"]
    assert list(arms) == labels
    for label, arm in arms.items():
        assert [recipe.seed for recipe in arm] == [0, 1, 5]
        assert {recipe.label for recipe in arm} == {label}
        assert all(replace(recipe, seed=0) == arm[0] for recipe in arm)


def test_arms_differ_in_nothing_but_norm_penalty_and_what_the_search_chose():
    may_differ = {"norm", "num_groups", "l1", "lr", "weight_decay", "seed"}
    arms = [recipe for arm in study().values() for recipe in arm]
    differing = {
        f.name for f in fields(Recipe) if len({getattr(recipe, f.name) for recipe in arms}) > 1
    }
    assert differing <= may_differ


def test_the_study_keeps_its_promises():
    arms = {label: arm[0] for label, arm in study().items()}
    assert all(recipe.epochs == 20 for recipe in arms.values())
    assert not any(recipe.validation for recipe in arms.values())
    assert {label for label, recipe in arms.items() if recipe.l1} == {"Batch norm + L1"}
    assert arms["Batch norm + L1"].l1 >= 1e-5


def test_the_search_tries_on_held_out_images_alone():
    tried = search()
    assert set(tried) <= set(study())
    for label, arm in tried.items():
        assert all(recipe.validation and recipe.label == label for recipe in arm)
        assert len({recipe.digest for recipe in arm}) == len(arm)


def test_each_arm_has_the_best_settings_of_those_that_were_tried():
    for label, tried in search().items():
        paths = [PUBLISHED / f"{recipe.name}.json" for recipe in tried]
        best = max(map(load, paths), key=lambda run: run.accuracy).recipe
        chosen = study()[label][0]
        assert chosen == replace(best, epochs=chosen.epochs, validation=False), label


@pytest.mark.filterwarnings("error")
def test_every_run_that_the_report_shows_is_published_with_the_present_numbers(tmp_path):
    assert [recipe.name for recipe in shown() if find(recipe, tmp_path) is None] == []


def test_settings_that_diverged_left_no_run_and_are_not_chosen():
    for settings in DIVERGED:
        assert settings not in (*TRIED, *CHOSEN)


def test_the_report_shows_what_the_environment_says(monkeypatch):
    monkeypatch.delenv("NORMSTUDY_REPORT", raising=False)
    assert report_data() == "cifar10"
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    assert report_data() == "digits"
    monkeypatch.setenv("NORMSTUDY_REPORT", "imagenet")
    with pytest.raises(ValueError, match="NORMSTUDY_REPORT='imagenet' is unknown; accepted: cifar"):
        report_data()


def test_recipes_need_nothing_but_the_standard_library():
    tree = ast.parse(Path(recipes.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
