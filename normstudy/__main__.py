"""Command line: ``python -m normstudy --help``.

The options of ``train`` are the fields of :class:`normstudy.study.recipes.Recipe`.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro

from normstudy.byhand.worksheet import write as write_worksheet
from normstudy.study import data, figures, recipes
from normstudy.study.data import DataError
from normstudy.study.recipes import Dataset, Recipe
from normstudy.study.runs import PUBLISHED, Run, RunError, run, run_all, store_folder, stored
from normstudy.study.train import DivergedError

Device = Literal["auto", "cpu", "cuda"]

app = tyro.extras.SubcommandApp()


@app.command
def train(
    recipe: Annotated[Recipe, tyro.conf.arg(name="")],
    *,
    device: Device = "auto",
    store: Path | None = None,
    figures_to: Annotated[Path | None, tyro.conf.arg(name="figures", metavar="DIR")] = None,
) -> None:
    """Train one recipe, print its epochs, and keep the run.

    Settings that are not given are those that suit batch norm; ``study`` trains each version with
    its own.

    Args:
        recipe: What to train.
        device: Where to train; auto takes a GPU where there is one.
        store: Folder that keeps the run; by default NORMSTUDY_STORE or a cache folder.
        figures_to: Also write the loss curve, the accuracy curve and ten mistakes there, as PNG.
    """
    made = run(recipe, store=store, device=device)
    print(f"{recipe.label}, seed {recipe.seed}, run {recipe.name}")
    print(made.table())
    if figures_to is not None:
        _write_figures(made, figures_to)


def _write_figures(made: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arms = {made.recipe.label: [made]}
    drawn = {
        "loss": figures.test_loss(arms),
        "accuracy": figures.test_accuracy(arms),
        "mistakes": figures.mistake_grid(made, data.load(made.recipe.data)),
    }
    for name, figure in drawn.items():
        path = folder / f"{made.recipe.name}-{name}.png"
        figure.savefig(path, dpi=200)
        print(path)


@app.command
def study(
    *,
    data: Dataset = "cifar10",
    seeds: int = len(recipes.SEEDS),
    jobs: int | None = None,
    device: Device = "auto",
    store: Path | None = None,
    retrain: bool = False,
) -> None:
    """Train all versions of the study, side by side, and print a line for each run.

    Args:
        data: Data set to train on.
        seeds: Runs of each version.
        jobs: Trainings at a time; by default one per CPU core, or one on a GPU.
        device: Where to train; auto takes a GPU where there is one.
        store: Folder that keeps the runs; by default NORMSTUDY_STORE or a cache folder.
        retrain: Train even what the store or the published runs hold.
    """
    wanted = [r for arm in recipes.study(data, range(seeds)).values() for r in arm]
    made = run_all(wanted, n_jobs=jobs, store=store, device=device, retrain=retrain)
    print("\n".join(map(_line, made)))


@app.command
def runs(
    *,
    store: Path | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """List the runs of the store.

    Args:
        store: Folder to list; by default NORMSTUDY_STORE or a cache folder.
        as_json: Print one JSON object a run, one a line.
    """
    folder = store or store_folder()
    for found in stored(folder):
        print(_as_json(found) if as_json else _line(found))
    if not as_json:
        print(f"in {folder}")


def _line(made: Run) -> str:
    scored = "validation" if made.recipe.validation else "test"
    return (
        f"{made.recipe.data:8} {made.recipe.label:16} seed {made.recipe.seed}  "
        f"{len(made.history['epoch']):3} epochs  {scored} loss {made.loss:.4f}  "
        f"{scored} accuracy {made.accuracy:.2%}  {made.seconds:6.0f} s  "
        f"{made.recipe.digest}"
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


@app.command
def reproduce(
    *,
    every: Annotated[bool, tyro.conf.arg(name="all")] = False,
    device: Device = "auto",
) -> None:
    """Train a published run again, in an empty store, and compare it with the published one.

    The same processor and PyTorch give the same numbers to the bit. Elsewhere rounding differs,
    and a run counts as reproduced if its accuracy lies within four standard deviations of the
    published runs of its arm, or within two points where fewer than three are published.

    Args:
        every: Train all published runs again, not the cheapest alone.
        device: Where to train; auto takes a GPU where there is one.
    """
    published = sorted(stored(PUBLISHED), key=lambda made: made.seconds)
    if not published:
        msg = f"there are no published runs in {PUBLISHED}; call this in a checkout of the project"
        raise RunError(msg)
    reproduced = [_reproduce(old, published, device) for old in published[: None if every else 1]]
    if not all(reproduced):
        sys.exit(1)


def _reproduce(old: Run, published: list[Run], device: Device) -> bool:
    torch.set_num_threads(old.environment["threads"])
    with tempfile.TemporaryDirectory() as empty:
        new = run(old.recipe, store=Path(empty), device=device, retrain=True)
    same = bool(np.array_equal(old.confidences, new.confidences))
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


@app.command
def worksheet(file: tyro.conf.Positional[Path]) -> None:
    """Write the worked examples as a spreadsheet with live formulas.

    Args:
        file: Where to; its name ends in .xlsx.
    """
    print(write_worksheet(file))


def main() -> None:
    """Run the command line; what goes wrong is told in a line and ends with exit status 1."""
    try:
        app.cli(prog="python -m normstudy", config=(tyro.conf.FlagCreatePairsOff,))
    except (OSError, ValueError, DataError, RunError, DivergedError) as error:
        sys.exit(f"normstudy: {error}")
    except KeyboardInterrupt:
        sys.exit("normstudy: interrupted; the same command goes on after the last finished epoch")


if __name__ == "__main__":
    main()
