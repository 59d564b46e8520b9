"""A study keeps its arms apart, whatever they have in common, and on whatever data."""

from dataclasses import FrozenInstanceError, replace

import pytest

from normstudy.study.design import Study
from normstudy.study.recipes import Recipe, variants
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

MAIN = STUDIES["main"]
TINY = Recipe(data="digits", epochs=1, batch_size=480, lr=0.1, crop=1, precision="float32")


@pytest.fixture(autouse=True)
def report_on_cifar10(monkeypatch):
    monkeypatch.delenv("NORMSTUDY_REPORT", raising=False)


def all_of(arms):
    return [recipe for recipes in arms.values() for recipe in recipes]


def test_two_arms_of_equal_norm_and_unequal_settings_live_side_by_side(tmp_path, pretended):
    base = replace(TINY, norm="group")
    study = Study(
        name="groups",
        title="Two numbers of groups, and smaller batches",
        seeds=(0, 1),
        arms={
            "Group norm, 16 groups": variants(base, num_groups=16),
            "Group norm, 2 groups": variants(base, num_groups=2),
            "Group norm, 2 groups, smaller batches": variants(base, num_groups=2, batch_size=360),
        },
    )
    folder = tmp_path / "store"
    made = run_study(study, folder=folder, n_jobs=1, device="cpu", progress=False)
    settings = [(16, 480), (2, 480), (2, 360)]
    assert list(made) == list(study.arms)
    for (groups, batch_size), arm in zip(settings, made.values(), strict=True):
        found = [(run.recipe.num_groups, run.recipe.batch_size, run.recipe.seed) for run in arm]
        assert found == [(groups, batch_size, 0), (groups, batch_size, 1)]
    assert len({run.loss for arm in made.values() for run in arm}) == 6
    assert len(list(folder.glob("*.json"))) == 6
    assert pretended == all_of(study.recipes())
    again = run_study(study, folder=folder, progress=False)
    assert len(pretended) == 6
    assert {arm: [run.loss for run in found] for arm, found in again.items()} == {
        arm: [run.loss for run in found] for arm, found in made.items()
    }


def test_a_second_group_norm_beside_the_main_studys_drops_nothing():
    (group,) = MAIN.arms["Group norm"]
    more = {"Group norm, G = 2": variants(group, num_groups=2)}
    more["Batch norm, 32 images"] = variants(MAIN.arms["Batch norm"][0], batch_size=32)
    wider = replace(MAIN, arms={**MAIN.arms, **more}).recipes()
    assert list(wider) == [*MAIN.arms, *more]
    assert {arm: wider[arm] for arm in MAIN.arms} == MAIN.recipes()
    assert {r.num_groups for r in wider["Group norm"]} == {group.num_groups}
    assert {r.num_groups for r in wider["Group norm, G = 2"]} == {2}
    assert len(set(all_of(wider))) == 8 * 10


def test_arms_that_differ_stay_apart_on_digits():
    arms = {
        "G = 2": variants(Recipe(), norm="group", num_groups=2),
        "G = 8": variants(Recipe(), norm="group", num_groups=8),
        "small batches": variants(Recipe(), norm="group", num_groups=8, batch_size=32),
    }
    study = Study(name="three", title="Three arms", arms=arms)
    on_digits = [recipes[0] for recipes in study.recipes(data="digits").values()]
    assert [recipe.num_groups for recipe in on_digits] == [1, 4, 4]
    assert [recipe.batch_size for recipe in on_digits] == [32, 32, 8]
    assert len({recipe.lr for recipe in on_digits}) == 1


def test_arms_that_would_fall_together_are_refused():
    arms = {f"G = {g}": variants(Recipe(), norm="group", num_groups=g) for g in (1, 2)}
    study = Study(name="two", title="Two arms", arms=arms)
    match = r"on digits the arms 'G = 1' and 'G = 2' of the study 'two' would be the same; keep"
    with pytest.raises(ValueError, match=match):
        study.recipes(data="digits")


def test_only_studies_made_for_cifar10_are_moved(monkeypatch):
    reports = Study(
        name="report", title="", arms={"A": variants(Recipe(), data="mnist", net="study-d")}
    )
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    assert reports.data == "mnist"
    with pytest.raises(ValueError, match="a recipe for mnist cannot be moved to digits; accepted"):
        reports.recipes(data="digits")


def test_a_study_can_be_moved_to_another_precision(monkeypatch):
    study = STUDIES["cifar10"]
    given = {r.precision for arm in study.recipes().values() for r in arm}
    assert given == {"bfloat16"}
    moved_there = study.recipes(precision="float32")
    assert {r.precision for arm in moved_there.values() for r in arm} == {"float32"}
    monkeypatch.setenv("NORMSTUDY_PRECISION", "float32")
    assert study.recipes() == moved_there
    monkeypatch.setenv("NORMSTUDY_PRECISION", "float8")
    with pytest.raises(ValueError, match="NORMSTUDY_PRECISION='float8' is unknown; acc"):
        study.recipes()


def test_what_diverged_is_left_out_in_another_precision_too(monkeypatch):
    fast, slow = variants(Recipe(), norm="none", lr=[0.8, 0.1])
    study = Study(
        name="search",
        title="Two rates",
        arms={"No norm": (fast, slow)},
        seeds=(0, 1),
        diverged={"No norm": (replace(fast, seed=1),)},
    )
    expected = [(0.8, 0), (0.1, 0), (0.1, 1)]
    assert {fast.precision, slow.precision} == {"bfloat16"}
    monkeypatch.delenv("NORMSTUDY_PRECISION", raising=False)
    asked = {"bfloat16": [study.recipes()], "float32": [study.recipes(precision="float32")]}
    monkeypatch.setenv("NORMSTUDY_PRECISION", "float32")
    asked["float32"].append(study.recipes())
    for precision, answers in asked.items():
        for recipes in answers:
            assert [(r.lr, r.seed) for r in recipes["No norm"]] == expected
            assert {r.precision for r in recipes["No norm"]} == {precision}


def test_a_study_cannot_change():
    with pytest.raises(FrozenInstanceError):
        MAIN.seeds = (0,)
