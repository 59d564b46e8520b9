"""The main study is timed on a GPU where there is one; elsewhere a line says that it is not."""

import json
import subprocess
from types import SimpleNamespace

import bench_gpu
import pytest
import torch
from made_up import make_up

from normstudy.study import runs
from normstudy.study.runs import Run

ALL = [recipe for recipes in bench_gpu.ARMS.values() for recipe in recipes]


def made(recipe, **options):
    """Make up a run."""
    outcome = make_up(recipe, **options)
    values = {name: getattr(outcome, name) for name in type(outcome).__dataclass_fields__}
    return Run(recipe=recipe, environment={}, **values)


def test_without_a_gpu_nothing_is_timed_and_a_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench_gpu.cases() == {}
    assert capsys.readouterr().out == "gpu: PyTorch sees no GPU here, so nothing is timed on one\n"


def test_one_run_three_versions_and_60_runs_are_timed(monkeypatch):
    trained, started = [], []

    def start(command, **options):
        started.append(command)
        seeds, arms = int(command[2]), command[3:]
        return SimpleNamespace(stdout=json.dumps({arm: [0.9] * seeds for arm in arms}).encode())

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(bench_gpu, "train", lambda recipe, **options: trained.append(recipe))
    monkeypatch.setattr(subprocess, "run", start)
    monkeypatch.setattr(bench_gpu, "ACCURACY", {"on the GPU": {}, "published": {}})
    monkeypatch.setattr(runs, "find", lambda recipe, folder: made(recipe) if recipe.seed else None)
    cases = bench_gpu.cases()
    for arm, recipes in bench_gpu.ARMS.items():
        expected = [made(recipe).accuracy for recipe in recipes[1:]]
        assert bench_gpu.ACCURACY["published"][arm] == expected
    assert [what for what, _ in cases] == ["one run, after a first one"] * 3 + [
        "three versions, from cold",
        "60 runs, from cold",
    ]
    assert all(case() >= 0 for case in cases.values())
    assert {recipe.norm for recipe in trained} == {"batch", "group", "layer"}
    assert {(recipe.precision, recipe.epochs) for recipe in trained} == {("bfloat16", 20)}
    assert [command[2:] for command in started] == [
        ["1", "Batch norm", "Group norm", "Layer norm"],
        ["10", *bench_gpu.ARMS],
    ]
    assert bench_gpu.ACCURACY["on the GPU"] == {arm: [0.9] * 10 for arm in bench_gpu.ARMS}


def test_the_process_trains_what_it_is_asked_for_and_prints_accuracies(monkeypatch, capsys):
    asked = []

    def run_all(recipes, **options):
        asked.append((recipes, options))
        return [made(recipe) for recipe in recipes]

    monkeypatch.setattr(runs, "run_all", run_all)
    monkeypatch.setattr("sys.argv", ["bench_gpu.py", "10", *bench_gpu.ARMS])
    bench_gpu.main()
    ((recipes, options),) = asked
    assert recipes == [bench_gpu.on_gpu(recipe) for recipe in ALL]
    assert len(recipes) == 60
    assert (options["device"], options["retrain"]) == ("cuda", True)
    told = json.loads(capsys.readouterr().out)
    assert {arm: len(accuracies) for arm, accuracies in told.items()} == dict.fromkeys(
        bench_gpu.ARMS, 10
    )
    assert told["No norm"][0] == pytest.approx(made(recipes[-10]).accuracy)
