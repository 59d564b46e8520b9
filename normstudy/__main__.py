"""Command line: ``normstudy --help``, or ``python -m normstudy --help``.

The options of ``train`` are the fields of :class:`normstudy.study.recipes.Recipe`.
"""

import argparse
import io
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from dataclasses import fields, replace
from functools import partial, wraps
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro

from normstudy.byhand.worksheet import write as write_worksheet
from normstudy.study import environment, workers
from normstudy.study.design import Study
from normstudy.study.files import DataError
from normstudy.study.recipes import DATASETS, NORMS, Dataset, Precision, Recipe
from normstudy.study.runs import PUBLISHED, Run, RunError, run, run_all, stored
from normstudy.study.store import RecordError, expanded, store_folder, writable, write_whole
from normstudy.study.studies import OF_REPORTS, STUDIES, chosen
from normstudy.study.train import DivergedError, in_steps
from normstudy.study.workers import ClusterError

Device = Literal["auto", "cpu", "cuda"]
Store = Annotated[Path | None, tyro.conf.arg(name="store")]


_MOST = 1_000  # seeds of a study, trainings at a time, and threads
_SHOWN = ("lr", "num_groups", "weight_decay", "l1", "batch_size", "crop", "precision")


def train_command(base: Recipe, origin: str) -> Callable[..., None]:
    """Build the command ``train`` whose settings, where none are given, are those of ``base``.

    ``origin`` says in a line whose settings these are.
    """

    def train(
        recipe: Annotated[Recipe, tyro.conf.arg(name="")] = base,
        *,
        device: Device = "auto",
        threads: int | None = None,
        folder: Store = None,
        figures_to: Annotated[Path | None, tyro.conf.arg(name="figures", metavar="DIR")] = None,
    ) -> None:
        """Train one recipe, print its epochs, and keep the run.

        What is not given is what the study chose for this norm on this data set.

        Args:
            recipe: What to train.
            device: Where to train; auto takes a GPU where there is one.
            threads: Threads of the training on the CPU; by default as many as PyTorch takes. The
                last digits of its numbers depend on them.
            folder: Folder that keeps the run; by default NORMSTUDY_STORE or a cache folder.
            figures_to: Also write the loss curve, the accuracy curve and ten mistakes there, as
                PNG, and print their captions.
        """
        pictures_to = figures_to and writable(figures_to, "--figures")  # before hours of training
        _check_numbers({"--threads": threads})
        torch.set_num_threads(threads or torch.get_num_threads())
        given = [f.name for f in fields(Recipe) if getattr(recipe, f.name) != getattr(base, f.name)]
        print(origin)
        print(f"changed: {_words(recipe, given) or 'nothing'}")
        made = run(recipe, folder=_store(folder), device=device)
        print(f"run {recipe.name}")
        print(made.table())
        if pictures_to is not None:
            arm = made.recipe.norm + (" + L1" if made.recipe.l1 else "")
            _write_figures({arm: [made]}, made.recipe.name, pictures_to)

    return train


def _store(folder: Path | None) -> Path | None:
    return folder and expanded(folder, "--store")


def _words(recipe: Recipe, names: Iterable[str]) -> str:
    return ", ".join(
        f"{name} {getattr(recipe, name)}" for name in names if name not in recipe.unread
    )


def _base(arguments: list[str]) -> tuple[Recipe, str]:
    """Choose the settings that an incomplete ``train`` begins from, and say whose they are."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--norm", default="batch")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--l1", default="0")
    try:
        asked, _ = parser.parse_known_args(arguments)
        l1 = float(asked.l1) > 0
    except (argparse.ArgumentError, ValueError):
        return Recipe(), "defaults"  # the real parser will say what is wrong
    if asked.norm not in NORMS or asked.data not in DATASETS:
        return Recipe(), "defaults"
    arm, recipe = chosen(asked.norm, asked.data, l1=l1)
    origin = f"settings of the study's arm {arm!r} on {asked.data}: {_words(recipe, _SHOWN)}"
    return recipe, origin


def _write_figures(
    arms: Mapping[str, Sequence[Run]], name: str, folder: Path, study: Study | None = None
) -> None:
    """Write the figures of some runs and print captions; of a report print its tables too."""
    # drawing is loaded when a drawing is asked for
    from normstudy.drawing import for_files  # noqa: PLC0415
    from normstudy.study import album  # noqa: PLC0415

    for title, table in album.tables_of(arms, study).items() if study else ():
        print(f"\n{name}, {title}:\n{table}")
    with for_files():
        drawn = album.figures_of(arms, study)
    for part, figure in drawn.items():
        path, picture = folder / f"{name}-{part}.png", io.BytesIO()
        caption = figure.normstudy["caption"]  # type: ignore[attr-defined]
        # tight: the name of an arm may be longer than the margin
        figure.savefig(picture, dpi=200, bbox_inches="tight", metadata={"Description": caption})
        write_whole(path, picture.getvalue())
        print(f"{path}: {caption}")
    if not all(made[0].recipe.keeps_answers for made in arms.values()):
        print("no picture of mistakes: --validation, --subset and --probe keep no predictions")


def _check_study(names: Iterable[str], *, figures: bool) -> None:
    """Refuse what cannot be trained or drawn.

    Raises
    ------
    ValueError
        If a study is unknown, or figures of a search are asked for.
    """
    for name in names:
        if name not in STUDIES:
            msg = f"there is no study {name!r}; accepted: {', '.join(STUDIES)}"
            raise ValueError(msg)
        if figures and any(len(tried) > 1 for tried in STUDIES[name].arms.values()):
            msg = f"--figures shows one setting an arm, and {name!r} is a search; leave it out"
            raise ValueError(msg)


def _check_numbers(numbers: Mapping[str, int | None]) -> None:
    """Refuse counts that are out of range.

    Raises
    ------
    ValueError
        If one is.
    """
    for option, value in numbers.items():
        if value is not None and not 1 <= value <= _MOST:
            msg = f"{option} {value} is out of range; give a whole number from 1 to {_MOST:,}"
            raise ValueError(msg)


def study(
    name: tyro.conf.Positional[str] = "main",
    *,
    list_all: Annotated[bool, tyro.conf.arg(name="list")] = False,
    all_reports: bool = False,
    seeds: int | None = None,
    data: Dataset | None = None,
    precision: Precision | None = None,
    jobs: int | None = None,
    device: Device = "auto",
    backend: str = "loky",
    scheduler: str | None = None,
    folder: Store = None,
    figures_to: Annotated[Path | None, tyro.conf.arg(name="figures", metavar="DIR")] = None,
    retrain: bool = False,
) -> None:
    """Train all arms of a study, side by side, and print a line for each run.

    Args:
        name: Which study.
        list_all: List the studies instead.
        all_reports: Train all studies that repeat class reports, instead of one.
        seeds: Seeds of each arm, from 0; by default those of the study.
        data: Data set to move the study to.
        precision: Train everything in this precision; by default as the study says.
        jobs: Trainings at a time; by default one per CPU core, on a GPU eight at most, or what a
            cluster has workers for.
        device: Where to train; auto takes a GPU where there is one.
        backend: Who trains: loky, which is processes of this machine, or dask, a cluster's workers.
        scheduler: Address of the cluster's scheduler, as in tcp://10.0.0.1:8786.
        folder: Folder that keeps the runs; by default NORMSTUDY_STORE or a cache folder.
        figures_to: Also write the curves of all arms and the mistakes of each arm's first seed
            there, as PNG, and print their captions; of a report everything that its page shows.
        retrain: Train even what the store or the published runs hold.
    """
    if list_all:
        for listed in STUDIES.values():
            trainings = sum(map(len, listed.recipes().values()))
            print(f"{listed.name:24} {listed.title} ({trainings} trainings)")
        return
    names = OF_REPORTS if all_reports else (name,)
    _check_study(names, figures=figures_to is not None)
    _check_numbers({"--seeds": seeds, "--jobs": jobs})
    if backend not in workers.BACKENDS:
        msg = f"there is no backend {backend!r}; accepted: {', '.join(workers.BACKENDS)}"
        raise ValueError(msg)
    if (backend == "dask") != bool(scheduler):
        msg = "--backend dask and --scheduler ADDRESS need each other; give both, or neither"
        raise ValueError(msg)
    pictures_to = figures_to and writable(figures_to, "--figures")  # before hours of training
    wanted_seeds = None if seeds is None else range(seeds)
    arms = {one: STUDIES[one].recipes(wanted_seeds, data, precision) for one in names}
    wanted = [recipe for found in arms.values() for some in found.values() for recipe in some]
    with _on_dask(scheduler) if scheduler else nullcontext():
        made = iter(
            run_all(wanted, n_jobs=jobs, folder=_store(folder), device=device, retrain=retrain)
        )
    for one, found in arms.items():
        trained = {arm: [next(made) for _ in recipes] for arm, recipes in found.items()}
        for arm, runs_of_arm in trained.items():
            for each in runs_of_arm:
                print(f"{arm:16} {_line(each)}")
        if pictures_to is not None:
            _write_figures(trained, one, pictures_to, STUDIES[one])


def _on_dask(scheduler: str) -> AbstractContextManager[None]:
    from normstudy.study.cluster import on_dask  # noqa: PLC0415 - an extra, and slow to load

    return on_dask(scheduler)


def runs(
    *,
    folder: Store = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """List the runs of the store.

    Args:
        folder: Folder to list; by default NORMSTUDY_STORE or a cache folder.
        as_json: Print one JSON object a run, one a line.
    """
    place = _store(folder) or store_folder()
    if not place.is_dir():
        msg = f"there are no runs: {place} is no folder; train into it, or name another --store"
        raise RunError(msg)
    for found in stored(place):
        print(_as_json(found) if as_json else _line(found))
    if not as_json:
        print(f"in {place}")


def _line(made: Run) -> str:
    recipe = made.recipe
    norm = recipe.norm + (" + l1" if recipe.l1 else "")
    return (
        f"{recipe.data:8} {recipe.net:10} {norm:10} seed {recipe.seed}  "
        f"{len(made.history['epoch']):3} epochs  {recipe.scored} loss {made.loss:.4f}  "
        f"{recipe.scored} accuracy {made.accuracy:.2%}  {made.seconds:6.0f} s  {recipe.digest}"
    )


def _as_json(made: Run) -> str:
    last = {
        name: made.history[name][-1]
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    }
    where = {"device": made.environment["device"], "seconds": made.seconds}
    return json.dumps(
        {"recipe": made.recipe.to_dict(), "digest": made.recipe.digest, **where, **last}
    )


def reproduce(
    *,
    every: Annotated[bool, tyro.conf.arg(name="all")] = False,
    device: Device = "auto",
) -> None:
    """Train a published run again, in an empty store, and compare it with the published one.

    It is the cheapest of those that were made on this kind of processor, or of all if none was. The
    same processor and PyTorch give the same numbers to the bit. Elsewhere rounding differs,
    and a run counts as reproduced if its accuracy lies within four standard deviations of the
    published runs of its arm, or within two points where fewer than three are published.

    Args:
        every: Train all published runs again, not the cheapest alone.
        device: Where to train; auto takes a GPU where there is one.
    """
    here = environment.describe(environment.pick_device(device))["device"]
    published = sorted(
        stored(PUBLISHED), key=lambda made: (made.environment["device"] != here, made.seconds)
    )
    if not published:
        msg = f"there are no published runs in {PUBLISHED}; call this in a checkout of the project"
        raise RunError(msg)
    reproduced = [_reproduce(old, published, device) for old in published[: None if every else 1]]
    if not all(reproduced):
        sys.exit(1)


def _reproduce(old: Run, published: list[Run], device: Device) -> bool:
    torch.set_num_threads(old.environment["threads"])
    with tempfile.TemporaryDirectory() as empty:
        new = run(old.recipe, folder=Path(empty), device=device, retrain=True)
    same = old.clean_train == new.clean_train
    same = same and np.array_equal(old.weight_quantiles, new.weight_quantiles)
    same = same and np.array_equal(old.predictions, new.predictions)
    # older records have confidences of more digits
    same = same and np.array_equal(in_steps(old.confidences), new.confidences)
    arm = [r.accuracy for r in published if replace(r.recipe, seed=old.recipe.seed) == old.recipe]
    allowed = 4 * float(np.std(arm, ddof=1)) if len(arm) > 2 else 0.02
    difference = new.accuracy - old.accuracy
    reproduced = same or abs(difference) <= allowed
    verdict = "the same to the bit" if same else f"{allowed:.2%} either way is allowed"
    print(
        f"{'reproduced' if reproduced else 'NOT REPRODUCED'}: {old.recipe.name}, published "
        f"{old.accuracy:.2%}, here {new.accuracy:.2%}, difference {difference:+.2%}; {verdict}"
    )
    return reproduced


def worksheet(file: tyro.conf.Positional[Path]) -> None:
    """Write the worked examples as a spreadsheet with live formulas.

    Args:
        file: Where to; its name ends in .xlsx.
    """
    print(write_worksheet(expanded(file, "the file")))


def _later(command: Callable[..., None]) -> "Callable[..., partial[None]]":
    """Give a command's options to the parser, which then returns the call and does not make it."""

    @wraps(command)
    def call(*arguments: Any, **options: Any) -> "partial[None]":
        return partial(command, *arguments, **options)

    return call


def _parse(arguments: list[str]) -> "partial[None]":
    """Read the command line; what is wrong with it is told in one line.

    Raises
    ------
    ValueError
        If a value is out of range.
    """
    base, origin = _base(arguments)
    commands: dict[str, Callable[..., None]] = {
        "train": train_command(base, origin),
        "study": study,
        "runs": runs,
        "reproduce": reproduce,
        "worksheet": worksheet,
    }
    if arguments == ["--version"]:
        print(f"normstudy {version('normstudy')}")
        sys.exit()
    if arguments and arguments[0].startswith("--") and arguments[0] != "--help":
        print(f"normstudy: write: normstudy train {' '.join(arguments)}", file=sys.stderr)
        sys.exit(2)
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            call: partial[None] = tyro.extras.subcommand_cli_from_dict(
                {name: _later(command) for name, command in commands.items()},
                prog="normstudy",
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stopped:
        if stopped.code == 2:
            frame = r"\x1b\[[0-9;]*m|[\u2500-\u257f]|-{5,}"  # colours and lines of the parser's box
            print("normstudy:", *re.sub(frame, " ", told.getvalue()).split(), file=sys.stderr)
        raise
    return call


def _run(arguments: list[str]) -> None:
    """Do what the command line says.

    Raises
    ------
    SystemExit
        With status 1 and a line if that went wrong, 2 if the command line is no good, and 130 if
        it was interrupted.
    """
    goes_on = False
    try:
        call = _parse(arguments)
        goes_on = call.func.__name__ in ("train", "study") and not call.keywords.get("retrain")
        call()
        sys.stdout.flush()
    except BrokenPipeError:  # who read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, ClusterError, DataError, RecordError, DivergedError) as error:
        sys.exit(f"normstudy: {error}")
    except KeyboardInterrupt:
        how = "; the same command goes on after the last finished epoch" if goes_on else ""
        print(f"normstudy: interrupted{how}", file=sys.stderr)
        sys.exit(130)


def main() -> None:
    """Run the command line; what goes wrong is told in a line and ends with exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the encoding, no letter stops a program
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = lambda message, *_, **__: f"normstudy: {message}\n"
    _run(sys.argv[1:])


if __name__ == "__main__":
    main()
