"""The plan of the main study came before its runs, and these were made as it says."""

import shutil
import subprocess
from pathlib import Path

import pytest

from normstudy.study.runs import PUBLISHED, stored

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
