"""A study trains what it names, as it was searched for, and is one entry."""

import inspect
from dataclasses import fields, replace

import pytest
from runs_of_the_report import NOTEBOOKS, PAGES, studies_of

from normstudy.study import runs
from normstudy.study.compare import cautious, choose
from normstudy.study.model import Net
from normstudy.study.moving import moved
from normstudy.study.recipes import DATASETS, NORMS, varied
from normstudy.study.reports import LIMITS
from normstudy.study.runs import find, load, run_study, save
from normstudy.study.store import locate
from normstudy.study.studies import STUDIES, chosen

MAIN, SEARCH, BUDGET = STUDIES["main"], STUDIES["learning-rates"], STUDIES["mnist"]
SHOWN = studies_of([*PAGES, *NOTEBOOKS])  # no page waits for its runs
ARMS = [
    *("Batch norm", "Batch norm + L1", "Group norm"),
    *("Layer norm", "Instance norm", "No norm"),
]


@pytest.fixture(autouse=True)
def report_on_cifar10(monkeypatch):
    monkeypatch.delenv("NORMSTUDY_REPORT", raising=False)


def all_of(arms):
    return [recipe for recipes in arms.values() for recipe in recipes]


# -- what is listed --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_says_what_it_is(name):
    study = STUDIES[name]
    assert study.name == name
    assert study.title
    assert study.seeds
    assert len(set(study.seeds)) == len(study.seeds)
    assert all(study.arms.values())
    recipes = all_of(study.recipes())
    assert len(set(recipes)) == len(recipes), "no recipe is trained for two arms"
    assert {recipe.data for recipe in recipes} == {study.data}
    lost = set(all_of(study.diverged))
    assert not lost & set(recipes), "what diverged is not trained again"
    if study.reference is not None:
        assert set(study.reference.values) <= set(study.arms)
        assert study.reference.label
        assert study.reference.source.endswith(".")


@pytest.mark.parametrize("name", SHOWN)
def test_every_run_of_these_studies_is_published_with_the_present_numbers(name, tmp_path):
    recipes = all_of(STUDIES[name].recipes())
    assert [recipe.name for recipe in recipes if find(recipe, tmp_path) is None] == []


@pytest.mark.parametrize("name", SHOWN)
def test_a_study_is_returned_by_arm_without_a_training(name, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "train", None)
    found = run_study(STUDIES[name], folder=tmp_path / "store", n_jobs=1, progress=False)
    listed = STUDIES[name].recipes()
    assert {arm: [run.recipe for run in made] for arm, made in found.items()} == listed
    assert list(found) == list(STUDIES[name].arms)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("data", DATASETS)
def test_the_main_study_has_every_arm_with_every_seed(data):
    arms = MAIN.recipes((0, 1, 5), data)
    assert list(arms) == ARMS
    for arm in arms.values():
        assert [recipe.seed for recipe in arm] == [0, 1, 5]
        assert {recipe.data for recipe in arm} == {data}
        assert all(replace(recipe, seed=0) == arm[0] for recipe in arm)


def test_arms_differ_in_nothing_but_norm_penalty_and_what_the_search_chose():
    differing = set(varied(all_of(MAIN.recipes())))
    assert differing <= {"norm", "num_groups", "l1", "lr", "seed"}


def test_the_main_study_keeps_its_promises():
    arms = {arm: recipes[0] for arm, recipes in MAIN.recipes().items()}
    assert MAIN.seeds == tuple(range(10))
    assert all(recipe.epochs == 20 for recipe in arms.values())
    assert not any(recipe.validation for recipe in arms.values())
    assert {arm for arm, recipe in arms.items() if recipe.l1} == {"Batch norm + L1"}
    assert arms["Batch norm + L1"].l1 >= 1e-5
    norms = {arm: recipe.norm for arm, recipe in arms.items()}
    in_order = ("batch", "batch", "group", "layer", "instance", "none")
    assert norms == dict(zip(ARMS, in_order, strict=True))


def test_what_is_published_cannot_be_replaced():
    with pytest.raises(TypeError, match="does not support item assignment"):
        STUDIES["mine"] = MAIN


# -- the search ------------------------------------------------------------------------------------


def test_the_search_tries_on_held_out_images_alone():
    tried = SEARCH.recipes()
    assert list(tried) == list(MAIN.arms)
    for arm, recipes in tried.items():
        assert all(recipe.validation for recipe in recipes)
        (final,) = MAIN.arms[arm]
        assert {recipe.norm for recipe in recipes} == {final.norm}
        assert {recipe.l1 > 0 for recipe in recipes} == {final.l1 > 0}


def test_each_arm_of_the_first_study_has_the_best_settings_of_those_that_were_tried():
    for arm, tried in STUDIES["search"].recipes().items():
        paths = [locate(runs.PUBLISHED, recipe.name) for recipe in tried]
        best = max(map(load, paths), key=lambda run: run.accuracy).recipe
        (final,) = STUDIES["cifar10"].arms[arm]
        assert final == replace(best, epochs=final.epochs, validation=False), arm


def test_what_diverged_in_the_first_search_left_no_run_and_is_not_chosen(tmp_path):
    diverged = [recipe for tried in STUDIES["search"].diverged.values() for recipe in tried]
    assert diverged
    assert [recipe for recipe in diverged if find(recipe, tmp_path)] == []
    finals = [(r.norm, r.lr, r.weight_decay, r.l1) for (r,) in STUDIES["cifar10"].arms.values()]
    assert not {(r.norm, r.lr, r.weight_decay, r.l1) for r in diverged} & set(finals)


def test_runs_of_a_search_stay_with_their_arm(tmp_path, monkeypatch):
    search = STUDIES["search"]
    published = {recipe.name: find(recipe) for recipe in all_of(search.recipes())}
    monkeypatch.setattr(runs, "PUBLISHED", tmp_path / "none")
    monkeypatch.setattr(runs, "train", None)
    for run in published.values():
        save(run, tmp_path / "store")
    found = run_study(search, folder=tmp_path / "store", progress=False)
    assert [len(arm) for arm in found.values()] == [4, 3, 6, 4, 7]
    assert len(found["Group norm"]) == len({run.recipe for run in found["Group norm"]})


# -- the budget of the reports on MNIST ------------------------------------------------------------


def test_the_arms_on_mnist_differ_in_norm_penalty_and_rate_alone():
    arms = {arm: recipe for arm, (recipe,) in BUDGET.arms.items()}
    assert list(arms) == ARMS
    assert set(varied(list(arms.values()))) <= {"norm", "num_groups", "l1", "lr"}
    assert {arm for arm, recipe in arms.items() if recipe.l1} == {"Batch norm + L1"}
    assert {(r.epochs, r.validation, r.l1_of) for r in arms.values()} == {(20, False, "sum")}
    assert len(BUDGET.seeds) == 5
    for recipe in arms.values():
        net = Net(recipe.norm, recipe.num_groups, net=recipe.net, in_channels=1, size=28)
        assert sum(p.numel() for p in net.parameters()) < LIMITS["mnist"]


def test_rates_on_mnist_are_searched_alike_by_other_seeds():
    search = STUDIES["mnist-learning-rates"]
    assert not set(search.seeds) & set(BUDGET.seeds)
    rates = {tuple(recipe.lr for recipe in tried) for tried in search.arms.values()}
    ((first, *others),) = rates
    assert others == pytest.approx([first * 2**n for n in range(1, 6)])
    for arm, tried in search.arms.items():
        (final,) = BUDGET.arms[arm]
        for recipe in tried:
            asked = replace(recipe, epochs=final.epochs, validation=False, lr=final.lr)
            assert (recipe.validation, asked) == (True, final)


def test_what_a_less_cautious_rule_chose_for_layer_norm_is_kept(tmp_path):
    search, study = STUDIES["mnist-learning-rates"], STUDIES["mnist-first-rate"]
    searched = [find(recipe, tmp_path) for recipe in search.recipes()["Layer norm"]]
    ((arm, (first,)),) = study.arms.items()
    (final,) = BUDGET.arms["Layer norm"]
    assert choose(searched).lr == first.lr > final.lr
    assert (replace(first, lr=final.lr), study.seeds) == (final, BUDGET.seeds)
    assert arm == "Layer norm, first rate"


def test_no_run_on_mnist_is_published_before_its_rate_was_chosen(tmp_path):
    search = STUDIES["mnist-learning-rates"]
    for arm, tried in search.recipes().items():
        (final,) = BUDGET.arms[arm]
        searched = [found for recipe in tried if (found := find(recipe, tmp_path))]
        made = [recipe for recipe in BUDGET.recipes()[arm] if find(recipe, tmp_path)]
        whole = len(searched) == len(tried)
        named = whole and cautious(searched, search.diverged.get(arm, ())).lr == final.lr
        assert named or not made, f"{arm}: enter what the search names, then train"


# -- other data sets -------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "batch_size", "crop"), [("mnist", 128, 2), ("digits", 32, 1)])
def test_a_report_on_another_set_moves_the_main_study_and_leaves_the_search(
    data, batch_size, crop, monkeypatch
):
    before, searched = MAIN.recipes(), SEARCH.recipes()
    monkeypatch.setenv("NORMSTUDY_REPORT", data)
    assert SEARCH.recipes() == searched
    assert (MAIN.data, SEARCH.data) == (data, "cifar10")
    after = MAIN.recipes()
    assert list(after) == ARMS
    for arm, recipes in after.items():
        old = before[arm][0]
        seeds = [recipe.seed for recipe in recipes]
        assert seeds == ([0, 1] if data == "digits" else list(range(10)))
        for recipe in recipes:
            assert (recipe.data, recipe.batch_size, recipe.crop) == (data, batch_size, crop)
            assert recipe.lr == pytest.approx(old.lr * (batch_size / 128) ** 0.5)
            assert recipe.num_groups == old.num_groups // 2
            assert recipe.precision == "float32"
            assert recipe.epochs == (5 if data == "digits" else 20)
            for name in ("norm", "weight_decay", "l1", "validation"):
                assert getattr(recipe, name) == getattr(old, name)
    assert [recipe.seed for recipe in MAIN.recipes((7, 8, 9))["No norm"]] == [7, 8, 9]


@pytest.mark.parametrize("norm", NORMS)
def test_what_the_study_chose_for_a_norm_is_looked_up(norm):
    arm, recipe = chosen(norm, "cifar10")
    wanted = "layer" if norm == "layer_chw" else norm
    assert MAIN.arms[arm] == (replace(recipe, norm=wanted),)
    assert recipe.norm == norm
    assert not recipe.l1
    assert chosen(norm, "digits") == (arm, moved(recipe, "digits"))


def test_a_network_is_that_of_the_main_study_unless_it_is_told_otherwise():
    given = inspect.signature(Net).parameters
    _, recipe = chosen("group", "cifar10")
    shared = given.keys() & {f.name for f in fields(recipe)} - {"norm"}
    assert shared >= {"net", "num_groups", "init", "dropout", "ghost_batch", "bn_momentum"}
    for name in shared:
        assert given[name].default == getattr(recipe, name), name


def test_the_arm_with_a_penalty_is_found_when_asked_for():
    assert chosen("batch", "cifar10", l1=True) == ("Batch norm + L1", *MAIN.arms["Batch norm + L1"])
    assert chosen("group", "cifar10", l1=True) == chosen("group", "cifar10"), "it has none"
