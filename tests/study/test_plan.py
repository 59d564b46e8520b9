"""The plan of the main study came before its runs, and these were made as it says."""

import shutil
import subprocess
from pathlib import Path

import pytest

from normstudy.study.model import Net
from normstudy.study.runs import PUBLISHED, stored
from normstudy.study.studies import STUDIES

ROOT = Path(__file__).parents[2]
PLAN = "docs/plan.rst"
NET = "pyramid"  # the plan governs whatever is trained with it


def git(*arguments):
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def governed():
    found = [run for run in stored(PUBLISHED) if run.recipe.net == NET]
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
