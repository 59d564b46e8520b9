"""The plan of the main study came before its runs, and these were made as it says."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from normstudy.study.compare import choose
from normstudy.study.model import Net
from normstudy.study.runs import PUBLISHED, find, stored
from normstudy.study.studies import STUDIES

ROOT = Path(__file__).parents[2]
PLAN = "docs/plan.rst"
MAIN, SEARCH = STUDIES["main"], STUDIES["learning-rates"]
NET = "pyramid"
TEXT = (ROOT / PLAN).read_text(encoding="utf-8")
PLANNED = [name for name in STUDIES if f"``{name}``" in TEXT]


def git(*arguments):
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def governed():
    arms = [of for name in PLANNED for of in STUDIES[name].recipes(data="cifar10").values()]
    planned = {recipe for of in arms for recipe in of}
    found = [run for run in stored(PUBLISHED) if run.recipe in planned]
    if not found:
        pytest.skip("none of its runs is published yet")
    return found


def test_the_plan_is_older_than_every_run_that_it_governs(governed):
    history = shutil.which("git") and git("rev-parse", "--is-shallow-repository").stdout.strip()
    if history != "false":
        pytest.skip("this is no full clone of the repository")
    assert git("status", "--porcelain", PLAN).stdout == "", "the plan is not to be edited"
    (plan,) = git("log", "-1", "--format=%H", "--", PLAN).stdout.split()
    for revision in sorted({run.environment["git_revision"] for run in governed}):
        assert not revision.endswith("-dirty"), "a run whose code nobody can look up"
        older = git("merge-base", "--is-ancestor", plan, revision)
        assert older.returncode == 0, f"{plan} is not older than {revision}: {older.stderr}"


def test_the_workflow_has_the_history_that_this_needs():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    for name, job in yaml.safe_load(text)["jobs"].items():
        called = [re.search(r"nox -s (.*)", step.get("run", "")) for step in job["steps"]]
        sessions = {word for found in called if found for word in found[1].split()}
        if sessions & {"tests", "lowest"}:
            first = job["steps"][0]
            assert first["uses"].startswith("actions/checkout@")
            assert first["with"]["fetch-depth"] == 0, name


def test_all_runs_were_made_alike(governed):
    for name in ("device", "onednn_max_cpu_isa", "torch", "threads", "data_md5"):
        assert len({run.environment[name] for run in governed}) == 1, name
    about = governed[0].environment
    assert about["device"].startswith("AVX2 CPU")
    assert about["onednn_max_cpu_isa"] == "AVX2"
    assert about["threads"] == 1


def test_what_is_the_same_in_all_arms_is_the_same(governed):
    said = {"crop": 4, "flip": True, "momentum": 0.9, "nesterov": True, "batch_size": 128}
    said |= {"schedule": "one-cycle", "warmup": 0.2, "precision": "float32", "init": "he"}
    for run in governed:
        assert {name: getattr(run.recipe, name) for name in said} == said


def test_the_search_tries_what_the_plan_says():
    text = " ".join((ROOT / PLAN).read_text(encoding="utf-8").split())
    study = STUDIES["learning-rates"]
    recipes = [recipe for tried in study.arms.values() for recipe in tried]
    rates = sorted({recipe.lr for recipe in recipes})
    *first, last = (f"{rate:g}" for rate in rates)
    assert f"``learning-rates``: {', '.join(first)} and {last} in every arm" in text
    assert all([r.lr for r in tried] == rates for tried in study.arms.values())
    assert f"by the seeds {study.seeds[0]} and {study.seeds[1]}, which the main study" in text
    assert {(r.epochs, r.validation, r.weight_decay, r.net) for r in recipes} == {
        (10, True, 5e-4, NET)
    }
    groups = {r.num_groups for r in recipes if r.norm == "group"}
    penalties = {r.l1 for r in recipes} - {0}
    assert (groups, penalties) == ({8}, {3e-5})
    counts = [sum(p.numel() for p in Net(norm, net=NET).parameters()) for norm in ("batch", "none")]
    assert "``pyramid``, {:,} parameters under each norm and {:,} without".format(*counts) in text


# -- what the rule chose ---------------------------------------------------------------------------


OTHERS = {"Group norm": ("groups", "num_groups"), "Batch norm + L1": ("lambdas", "l1")}


def tried(study, arm):
    return [found for recipe in study.recipes()[arm] if (found := find(recipe, PUBLISHED))]


def test_what_diverged_left_no_run_and_is_not_trained_again():
    lost = [recipe for recipes in SEARCH.diverged.values() for recipe in recipes]
    left = [recipe for recipes in SEARCH.recipes().values() for recipe in recipes]
    whole = sum(len(recipes) for recipes in SEARCH.arms.values()) * len(SEARCH.seeds)
    assert [recipe for recipe in lost if find(recipe, PUBLISHED)] == []
    assert lost
    assert not set(lost) & set(left)
    assert len(left) == whole - len(lost)


@pytest.mark.parametrize("arm", MAIN.arms)
def test_the_main_study_has_what_the_rule_chose(arm):
    ((final,), lost) = MAIN.arms[arm], SEARCH.diverged.get(arm, ())
    rates = sorted(recipe.lr for recipe in SEARCH.arms[arm])
    chosen = choose(tried(SEARCH, arm), lost)
    assert rates[0] < chosen.lr < rates[-1], "an end of the grid: it has to be extended"
    last, field = OTHERS.get(arm, (None, ""))
    if last is not None:
        asked = STUDIES[last].arms[arm]
        assert chosen in {replace(recipe, seed=chosen.seed) for recipe in asked}
        at_rate = [run for run in tried(STUDIES[last], arm) if run.recipe.lr == chosen.lr]
        best = choose(at_rate)
        place, lrs = rates.index(chosen.lr), {chosen.lr}
        if getattr(best, field) != getattr(chosen, field):
            lrs |= {rates[place - 1], rates[place + 1]}
            chosen = choose(tried(STUDIES[last], arm))
            assert getattr(chosen, field) == getattr(best, field)
        assert {recipe.lr for recipe in asked} == lrs
    assert replace(chosen, epochs=20, validation=False, seed=final.seed) == final
