"""The command line, from its options to its exit status."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from study.fakes import fake_run

from normstudy import __main__ as command
from normstudy.study import cluster, runs
from normstudy.study.moving import moved
from normstudy.study.recipes import NORMS, Recipe
from normstudy.study.studies import OF_REPORTS, STUDIES, chosen
from normstudy.study.train import CONFIDENCE_STEP

CHOSEN = {arm: recipe for arm, (recipe,) in STUDIES["main"].arms.items()}
TINY = ("--data", "digits", "--epochs", "2", "--batch-size", "480")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["normstudy", *arguments])
    command.main()


def test_train_prints_the_epochs_keeps_the_run_and_draws_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, pictures = tmp_path / "store", tmp_path / "pictures"
    where = ("--store", str(store), "--figures", str(pictures))
    call(monkeypatch, "train", "--norm", "group", *TINY, *where)
    origin, changed, _, head, *epochs = capsys.readouterr().out.splitlines()
    found = chosen("group", "digits")
    assert found is not None
    recipe = replace(found[1], epochs=2, batch_size=480)
    kept = runs.find(recipe, store)
    assert kept is not None
    assert origin.startswith("settings of the study's arm 'Group norm' on digits: lr 0.1,")
    assert changed == "changed: epochs 2, batch_size 480"
    assert head.split()[0] == "epoch"
    assert f"{kept.accuracy:.2%}" in epochs[1]
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


@pytest.mark.processes
def test_a_backend_that_is_not_there_hinders_nothing(tmp_path: Path) -> None:
    environ = os.environ | {"MPLBACKEND": "module://not_there.backend", "HOME": str(tmp_path)}
    line = [sys.executable, "-m", "normstudy"]
    done = subprocess.run([*line, "--help"], env=environ, capture_output=True, check=False)
    assert done.returncode == 0
    where = ("--store=~/store", "--figures=~/pictures")
    asked = [*line, "train", *TINY, *where]
    done = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3
    assert len(list((tmp_path / "store").glob("*.json"))) == 1


def test_a_validation_score_has_no_picture_of_mistakes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--store", str(tmp_path / "store"), "--figures", str(tmp_path / "pictures"))
    call(monkeypatch, "train", "--validation", *TINY, *where)
    assert "no picture of mistakes" in capsys.readouterr().out
    assert len(list((tmp_path / "pictures").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "arm", "fields"),
    [
        ((), "Batch norm", {"lr": CHOSEN["Batch norm"].lr, "l1": 0.0, "net": "pyramid"}),
        (("--norm", "group"), "Group norm", {"num_groups": CHOSEN["Group norm"].num_groups}),
        (("--norm=layer",), "Layer norm", {"lr": CHOSEN["Layer norm"].lr}),
        (("--norm", "layer_chw"), "Layer norm", {"norm": "layer_chw"}),
        (("--l1", "1e-4"), "Batch norm + L1", {"lr": CHOSEN["Batch norm + L1"].lr, "l1": 1e-5}),
        (("--norm", "group", "--data", "mnist"), "Group norm", {"crop": 2}),
        (("--norm", "instance"), "Instance norm", {"norm": "instance"}),
    ],
)
def test_train_begins_from_what_the_study_chose(
    arguments: tuple[str, ...], arm: str, fields: dict[str, object]
) -> None:
    base, origin = command._base(["train", *arguments])
    assert repr(arm) in origin
    assert ("num_groups" in origin) == (arm == "Group norm")
    assert {name: getattr(base, name) for name in fields} == fields


def test_study_trains_every_arm_and_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {
        arm: tuple(replace(moved(recipe, "digits"), epochs=1, batch_size=480) for recipe in tried)
        for arm, tried in STUDIES["main"].arms.items()
    }
    study = replace(STUDIES["main"], arms=small)
    monkeypatch.setattr(command, "STUDIES", {"main": study})
    call(monkeypatch, "study", "main", "--seeds", "2", "--store", str(tmp_path), "--jobs", "1")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 12
    assert [line.split("digits")[0].strip() for line in printed[::2]] == list(small)
    recipes = [recipe for arm in study.recipes(range(2)).values() for recipe in arm]
    for line, recipe in zip(printed, recipes, strict=True):
        assert recipe.digest in line


def test_a_study_of_a_report_writes_its_own_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = {
        arm: (replace(moved(tried[0], "digits"), epochs=1, batch_size=480),)
        for arm, tried in list(STUDIES["main"].arms.items())[:2]
    }
    studies = {
        name: replace(STUDIES[name], arms=arms, seeds=(0,)) for name in ("study-d", "study-e")
    }
    monkeypatch.setattr(command, "STUDIES", studies | {"main": STUDIES["main"]})
    monkeypatch.setattr(command, "OF_REPORTS", tuple(studies))
    where = ("--store", str(tmp_path / "store"), "--figures", str(tmp_path / "plots"))
    call(monkeypatch, "study", "--all-reports", "--jobs", "1", *where)
    printed = capsys.readouterr().out
    written = sorted(path.name for path in (tmp_path / "plots").iterdir())
    kinds = ("accuracy", "loss", "mistakes-batch-norm-l1", "mistakes-batch-norm", "network")
    kinds += ("samples", "train-accuracy", "train-loss")
    assert written == [f"{name}-{kind}.png" for name in studies for kind in kinds]
    assert all(f"{name}: " in printed for name in written)
    assert "20 of its" in printed, "as report E shows them"


def test_all_studies_of_reports_are_asked_for_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Recipe] = []

    def stop(recipes: list[Recipe], **_: object) -> None:
        asked.extend(recipes)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_all", stop)
    with pytest.raises(SystemExit):
        call(monkeypatch, "study", "--all-reports")
    of_all = [r for name in OF_REPORTS for arm in STUDIES[name].recipes().values() for r in arm]
    assert asked == of_all
    assert {recipe.net for recipe in asked} == {
        *("pyramid", "study-b", "study-c", "study-d", "study-e"),
    }


def test_studies_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "study", "--list")
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(STUDIES)
    assert listed[0].endswith("(20 trainings)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "there is no study 'nothing'; accepted: cifar10, search"),
        (
            ("cifar10", "--seeds", "0"),
            "--seeds 0 is out of range; give a whole number from 1 to 1,000",
        ),
        (("cifar10", "--backend", "spark"), "there is no backend 'spark'; accepted: loky, dask"),
        (("cifar10", "--backend", "dask"), "--backend dask and --scheduler ADDRESS need each oth"),
        (("cifar10", "--scheduler", "tcp://a:1"), "--backend dask and --scheduler ADDRESS need"),
        (
            ("cifar10", "--backend", "dask", "--scheduler", "tcp://127.0.0.1:1"),
            "normstudy: no scheduler answers at tcp://127.0.0.1:1, which was tried for 0.2 s; one",
        ),
        (
            ("search", "--figures", "plots"),
            "--figures shows one setting an arm, and 'search' is a search; leave it out",
        ),
    ],
)
def test_a_study_that_cannot_be_trained_is_refused(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with pytest.raises(SystemExit, match=message):
        call(monkeypatch, "study", *arguments)


def test_options_without_a_command_are_answered_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "--norm", "group", "--epochs", "25")
    assert stopped.value.code == 2
    assert "write: normstudy train --norm group --epochs 25" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lr", "-1"), r"lr=-1.0 is out of range; accepted: a number in \(0, 1e\+38\)"),
        (("--epochs", "0"), "epochs=0 is out of range"),
        (("--norm", "group", "--num-groups", "7"), "num_groups=7 does not divide 12 channels"),
        (
            ("--net", "lenet"),
            "net='lenet' is unknown; accepted: separable, pyramid, pyramid-act-first",
        ),
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
    assert all(norm in told.out + told.err for norm in NORMS)


def test_reproduce_compares_to_the_bit_and_fails_on_another_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(data="digits", epochs=1, crop=1, lr=0.1, precision="float32")
    made = runs.run(recipe, folder=tmp_path, progress=False)
    shutil.rmtree(tmp_path / "unfinished")
    monkeypatch.setattr(command, "PUBLISHED", tmp_path)
    call(monkeypatch, "reproduce")
    assert "the same to the bit" in capsys.readouterr().out

    finer = made.confidences - 0.4 * CONFIDENCE_STEP
    runs.save(replace(made, confidences=finer.astype(np.float32)), tmp_path)
    call(monkeypatch, "reproduce")
    assert "the same to the bit" in capsys.readouterr().out, "as of records that kept more digits"
    other = made.confidences - CONFIDENCE_STEP
    runs.save(replace(made, confidences=other.astype(np.float32)), tmp_path)
    call(monkeypatch, "reproduce")
    assert "2.00% either way is allowed" in capsys.readouterr().out
    runs.save(replace(made, clean_train={"loss": 1.0, "accuracy": 0.5}), tmp_path)
    call(monkeypatch, "reproduce")
    assert "2.00% either way is allowed" in capsys.readouterr().out
    runs.save(made, tmp_path)

    quick = made.history | {"seconds": [0.0]}
    elsewhere = {"environment": made.environment | {"device": "NVIDIA H100"}, "history": quick}
    runs.save(replace(made, recipe=replace(recipe, seed=1), **elsewhere), tmp_path)
    call(monkeypatch, "reproduce")
    assert f"reproduced: {recipe.name}" in capsys.readouterr().out  # only this one can be equal

    history = dict(made.history)
    history["test_accuracy"] = [made.accuracy + 0.5]
    wrong = replace(made, history=history, confidences=made.confidences / 2)
    runs.save(wrong, tmp_path)
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "reproduce", "--all")
    assert stopped.value.code == 1
    assert "NOT REPRODUCED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moved_by", "verdict"),
    [(3, "reproduced"), (-3, "reproduced"), (5, "NOT REPRODUCED"), (-5, "NOT REPRODUCED")],
)
def test_of_three_published_seeds_four_standard_deviations_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moved_by: int,
    verdict: str,
) -> None:
    about = {"device": "a processor", "threads": torch.get_num_threads()}

    def made(seed: int, accuracy: float, lr: float = 0.1) -> runs.Run:
        recipe = Recipe(data="digits", seed=seed, lr=lr)
        return fake_run(recipe, [accuracy], environment=about)

    # a standard deviation of 0.2 points; another arm is far away
    published = [made(0, 0.802), made(1, 0.8), made(2, 0.804), made(0, 0.5, lr=0.2)]
    monkeypatch.setattr(command, "stored", lambda folder: published)
    monkeypatch.setattr(
        command, "run", lambda recipe, **_: made(recipe.seed, 0.802 + 0.002 * moved_by)
    )
    if verdict == "reproduced":
        call(monkeypatch, "reproduce")
    else:
        with pytest.raises(SystemExit) as stopped:
            call(monkeypatch, "reproduce")
        assert stopped.value.code == 1
    assert capsys.readouterr().out == (
        f"{verdict}: {published[0].recipe.name}, published 80.20%, here "
        f"{80.2 + 0.2 * moved_by:.2f}%, difference {0.2 * moved_by:+.2f}%; 0.80% either way is "
        "allowed\n"
    )


def test_reproduce_needs_published_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "PUBLISHED", tmp_path)
    with pytest.raises(SystemExit, match="no published runs"):
        call(monkeypatch, "reproduce")


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "--version")
    assert not stopped.value.code
    assert capsys.readouterr().out == f"normstudy {version('normstudy')}\n"


@pytest.mark.processes
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


# -- around the program ----------------------------------------------------------------------------


def in_a_process(
    *arguments: str, folder: Path, **environ: str | None
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    own = {k: v for k, v in (os.environ | environ).items() if v is not None}
    line = [sys.executable, "-m", "normstudy", *arguments]
    found = subprocess.run(line, env=own, cwd=folder, capture_output=True, check=False)
    out, err = (stream.decode("utf-8", "replace") for stream in (found.stdout, found.stderr))
    return subprocess.CompletedProcess(line, found.returncode, out, err)


@pytest.mark.processes
def test_a_users_style_neither_restyles_nor_breaks_a_figure(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    style = "text.usetex: True\nfont.family: no such font\naxes.facecolor: red\nsavefig.dpi: 30\n"
    (theirs / "matplotlibrc").write_text(style, encoding="utf-8")
    drawn = {}
    for name, variable in (("theirs", str(theirs)), ("ours", None)):
        where = ("--store", str(tmp_path / "store"), "--figures", str(tmp_path / name / "pictures"))
        done = in_a_process("train", *TINY, *where, folder=tmp_path, MATPLOTLIBRC=variable)
        assert done.returncode == 0, done.stderr
        pictures = (tmp_path / name / "pictures").glob("*.png")
        drawn[name] = {path.name: path.read_bytes() for path in pictures}
    assert len(drawn["ours"]) == 3
    assert drawn["theirs"] == drawn["ours"]


@pytest.mark.processes
def test_a_program_that_draws_our_figures_keeps_its_own_style(tmp_path: Path) -> None:
    program = (
        "import matplotlib as mpl; mpl.rcParams['axes.facecolor'] = 'red'; "
        "before = {**mpl.rcParams}; import normstudy.study.figures; "
        "assert {**mpl.rcParams} == before"
    )
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pictures_in_files_are_none_of_pyplots(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pretended: list[Recipe]
) -> None:
    where = ("--store", str(tmp_path / "store"), "--figures", str(tmp_path / "pictures"))
    mpl.use("svg")
    try:
        call(monkeypatch, "train", *TINY, *where)
        assert mpl.get_backend() == "svg"
        assert plt.get_fignums() == []
    finally:
        mpl.use("Agg")
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3


def test_a_picture_is_written_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pretended: list[Recipe]
) -> None:
    where = ("--store", str(tmp_path / "store"), "--figures", str(tmp_path / "pictures"))
    call(monkeypatch, "train", *TINY, *where)
    before = {path: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}

    def half(figure: Figure, to: Path | BinaryIO, **_: object) -> None:
        with to.open("wb") if isinstance(to, Path) else nullcontext(to) as file:
            file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", half)
    monkeypatch.setattr("normstudy.drawing._OwnFigure.savefig", half)
    with pytest.raises(SystemExit, match="No space left on device"):
        call(monkeypatch, "train", *TINY, *where)
    assert {path: path.read_bytes() for path in (tmp_path / "pictures").iterdir()} == before


@pytest.mark.processes
def test_no_home_and_any_encoding_of_the_output(tmp_path: Path) -> None:
    where = ("--store", str(tmp_path / "Übergröße 日本"), "--figures", str(tmp_path / "é"))
    for encoding in ("ascii", "cp1252"):
        plain: dict[str, str | None] = {"HOME": None, "PYTHONIOENCODING": encoding}
        done = in_a_process("train", *TINY, *where, folder=tmp_path, PYTHONUTF8="0", **plain)
        assert done.returncode == 0, done.stderr
    done = in_a_process("runs", folder=tmp_path, HOME=str(tmp_path / "new"), NORMSTUDY_STORE=None)
    assert done.returncode == 1
    assert done.stderr.startswith("normstudy: there are no runs: ")


@pytest.mark.processes
def test_who_reads_only_the_first_line_breaks_nothing(tmp_path: Path) -> None:
    recipe = Recipe(data="digits", epochs=1, crop=1, precision="float32")
    runs.run(recipe, folder=tmp_path, progress=False)
    line = [sys.executable, "-m", "normstudy", "runs", "--store", str(tmp_path)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_what_cannot_be_written_is_found_before_the_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pretended: list[Recipe]
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    where = ("--store", str(tmp_path / "store"), "--figures", str(tmp_path / "file"))
    with pytest.raises(SystemExit, match=r"file cannot be written \(.*\); name another folder"):
        call(monkeypatch, "train", *TINY, *where)
    assert pretended == []


def test_threads_can_be_chosen_and_are_said_before_the_training(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where, before = ("--store", str(tmp_path), "--device", "cpu"), torch.get_num_threads()
    try:
        call(monkeypatch, "train", *TINY, *where, "--threads", "3")
        (made,) = runs.stored(tmp_path)
        assert made.environment["threads"] == torch.get_num_threads() == 3
        told = f"normstudy: training {made.recipe.name} on {made.environment['device']}, 3 threads"
        assert told in capsys.readouterr().err.splitlines()
        with pytest.raises(SystemExit, match="--threads 0 is out of range; give a whole number"):
            call(monkeypatch, "train", *TINY, *where, "--threads", "0")
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("arguments", "variable", "given"),
    [
        (("runs", "--store=~nosuchuser/runs"), None, "--store"),
        (("train", *TINY, "--store=~nosuchuser/runs"), None, "--store"),
        (("study", "main", "--store=~nosuchuser/runs"), None, "--store"),
        (("train", *TINY, "--figures=~nosuchuser/runs"), None, "--figures"),
        (("worksheet", "~nosuchuser/runs"), None, "the file"),
        (("runs",), "NORMSTUDY_STORE", "NORMSTUDY_STORE"),
        (("train", *TINY), "NORMSTUDY_STORE", "NORMSTUDY_STORE"),
    ],
)
def test_a_home_folder_that_is_not_known_is_told_in_a_line(
    arguments: tuple[str, ...],
    variable: str | None,
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    pretended: list[Recipe],
) -> None:
    if variable:
        monkeypatch.setenv(variable, "~nosuchuser/runs")
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, *arguments)
    (told,) = str(stopped.value).splitlines()
    asked = f"{given} is {Path('~nosuchuser/runs')}"
    assert told == f"normstudy: {asked}, and no such home folder is known; give a path without ~"
    assert pretended == []


def test_a_user_without_a_home_is_told_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "NORMSTUDY_STORE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "runs")
    (told,) = str(stopped.value).splitlines()
    assert told.startswith("normstudy: no home folder of this user is known")
    assert told.endswith("name a folder for the runs in the environment variable NORMSTUDY_STORE")


@pytest.mark.parametrize(
    ("arguments", "goes_on"),
    [
        (("train", *TINY), True),
        (("study", "cifar10", "--data", "digits"), True),
        (("study", "cifar10", "--data", "digits", "--retrain"), False),
        (("reproduce",), False),
    ],
)
def test_a_continuation_is_promised_where_there_is_one(
    arguments: tuple[str, ...],
    goes_on: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("run", "run_all", "stored"):
        monkeypatch.setattr(command, name, interrupted)
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, *arguments)
    assert stopped.value.code == 130
    told = capsys.readouterr().err.splitlines()[-1]
    promise = "; the same command goes on after the last finished epoch"
    assert told == "normstudy: interrupted" + promise * goes_on


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--lrs", "1"), "normstudy: Unrecognized options Unrecognized options: --lrs, 1"),
        (("train", "--norm", "foo"), "normstudy: Invalid choice invalid choice 'foo'"),
        (("train", "--epochs", "ten"), "normstudy: Value error Error parsing --epochs"),
        (("trian",), "normstudy: "),
    ],
)
def test_a_bad_command_line_is_answered_with_one_line(
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, *arguments)
    assert stopped.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(message)
    assert "--help" in told
