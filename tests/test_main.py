"""The command line, from its options to its exit status."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from normstudy import __main__ as command
from normstudy.study import recipes, runs
from normstudy.study.recipes import Recipe

TINY = ("--data", "digits", "--epochs", "2", "--crop", "1", "--num-groups", "8", "--lr", "0.1")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["normstudy", *arguments])
    command.main()


def test_train_prints_the_epochs_keeps_the_run_and_draws_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, pictures = tmp_path / "store", tmp_path / "pictures"
    where = ("--store", str(store), "--figures", str(pictures))
    call(monkeypatch, "train", "--norm", "group", *TINY, *where)
    printed = capsys.readouterr().out
    recipe = Recipe(data="digits", norm="group", num_groups=8, epochs=2, crop=1, lr=0.1)
    kept = runs.find(recipe, store)
    assert kept is not None
    assert f"{kept.accuracy:.2%}" in printed.splitlines()[3]
    assert {path.name for path in pictures.iterdir()} == {
        f"{recipe.name}-{kind}.png" for kind in ("loss", "accuracy", "mistakes")
    }

    call(monkeypatch, "runs", "--store", str(store), "--json")
    (listed,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert listed["digest"] == recipe.digest
    assert Recipe.from_dict(listed["recipe"]) == recipe
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert listed[name] == kept.history[name][-1]
    assert listed["seconds"] > 0
    assert listed["device"]

    call(monkeypatch, "runs", "--store", str(store))
    assert recipe.digest in capsys.readouterr().out


def test_study_trains_every_arm_and_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {
        label: [replace(recipe, epochs=1) for recipe in arm]
        for label, arm in recipes.study("digits", range(2)).items()
    }
    asked: list[tuple[str, list[int]]] = []

    def study(data: str, seeds: range) -> dict[str, list[Recipe]]:
        asked.append((data, list(seeds)))
        return small

    monkeypatch.setattr(recipes, "study", study)
    where = ("--store", str(tmp_path), "--jobs", "1")
    call(monkeypatch, "study", "--data", "digits", "--seeds", "2", *where)
    assert asked == [("digits", [0, 1])]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 10
    assert all(recipe.digest in "".join(printed) for arm in small.values() for recipe in arm)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lr", "-1"), r"lr=-1.0 is out of range; accepted: a number in \(0, inf\)"),
        (("--epochs", "0"), "epochs=0 is out of range"),
        (("--norm", "group", "--num-groups", "7"), "num_groups=7 does not divide 16 channels"),
        (("--device", "cuda"), "PyTorch sees no GPU here"),
    ],
)
def test_bad_input_ends_with_a_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    where = ("--data", "digits", "--crop", "1", "--store", str(tmp_path))
    with pytest.raises(SystemExit, match=message) as stopped:
        call(monkeypatch, "train", *where, *arguments)
    assert str(stopped.value).startswith("normstudy: ")
    assert not list(tmp_path.glob("*.json"))


def test_an_unknown_norm_is_refused_with_the_accepted_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "train", "--norm", "foo")
    assert stopped.value.code == 2
    told = capsys.readouterr()
    assert all(norm in told.out + told.err for norm in recipes.NORMS)


def test_reproduce_compares_to_the_bit_and_fails_on_another_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(data="digits", epochs=1, crop=1, lr=0.1)
    made = runs.run(recipe, store=tmp_path, progress=False)
    shutil.rmtree(tmp_path / "unfinished")
    monkeypatch.setattr(command, "PUBLISHED", tmp_path)
    call(monkeypatch, "reproduce")
    assert "the same to the bit" in capsys.readouterr().out

    history = dict(made.history)
    history["test_accuracy"] = [made.accuracy + 0.5]
    wrong = replace(made, history=history, confidences=made.confidences / 2)
    runs.save(wrong, tmp_path)
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "reproduce", "--all")
    assert stopped.value.code == 1
    assert "NOT REPRODUCED" in capsys.readouterr().out


def test_reproduce_needs_published_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "PUBLISHED", tmp_path)
    with pytest.raises(SystemExit, match="no published runs"):
        call(monkeypatch, "reproduce")


def test_help_names_every_field_of_a_recipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "normstudy", "train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for field in fields(Recipe):
        name = field.name.replace("_", "-")
        assert re.search(rf"--(no-)?{name}\s", done.stdout), name
