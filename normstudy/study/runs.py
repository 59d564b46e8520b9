"""Runs: what a recipe yielded, how it is found, and how one or many are made.

A run is a record named by its recipe (:mod:`normstudy.study.store`): recipe, environment, history,
last-epoch predictions. It is looked for in this machine's store, then among the published runs, and
trained only where neither holds it. No pixels are kept; images come from the data set by index.
"""

import platform
import threading
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch

from normstudy.study import data, environment, store, validity, workers
from normstudy.study.crew import Crew
from normstudy.study.design import Study
from normstudy.study.locks import held
from normstudy.study.recipes import Recipe
from normstudy.study.store import RecordError, UnreadableError
from normstudy.study.train import COLUMNS, Outcome, numbers_version, train

PUBLISHED = (environment.checkout() or Path(__file__).parent) / "docs" / "runs"
"""Published runs, in a checkout of the project; an installed package has none."""

_VALUES = ("environment", "clean_train", "num_scored", "history")  # of a run, as JSON
_TURN = threading.RLock()  # trainings take turns in a process: they share PyTorch's random numbers


class RunError(RecordError):
    """A run cannot be used, cannot be kept, or could not be made."""


class NewerRunError(RunError):
    """A run was saved by a newer version of normstudy; it must neither be used nor replaced."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Run(Outcome):
    """An outcome, what was trained for it, and where."""

    recipe: Recipe
    environment: dict[str, Any]
    """Versions, device, threads, git revision, version of the numbers, and the data's MD5."""

    @property
    def accuracy(self) -> float:
        """Last-epoch accuracy on the scored images, a fraction."""
        return self.history["test_accuracy"][-1]

    @property
    def loss(self) -> float:
        """Last-epoch mean cross-entropy on the scored images, in nats."""
        return self.history["test_loss"][-1]

    @property
    def seconds(self) -> float:
        """Time of all epochs, those before an interruption too, scoring included, in seconds."""
        return sum(self.history["seconds"])

    def table(self) -> str:
        """Show the history as text, one line an epoch."""
        scored = "valid" if self.recipe.validation else " test"
        head = f"epoch      lr  train loss  train acc {scored} loss {scored} acc  penalty"
        lines = [f"{head}  seconds  images/s"]
        for row in zip(*(self.history[name] for name in COLUMNS), strict=True):
            epoch, lr, loss, hits, test_loss, test_hits, penalty, seconds, speed = row
            lines.append(
                f"{epoch:5.0f}  {lr:6.4f}  {loss:10.4f}  {hits:9.2%}  {test_loss:9.4f}  "
                f"{test_hits:8.2%}  {penalty:7.4f}  {seconds:7.1f}  {speed:8.0f}"
            )
        return "\n".join(lines)


def save(run: Run, folder: Path) -> Path:
    """Write a run to a folder, whole or not at all, and return the path of its record.

    Raises
    ------
    OSError
        If the folder cannot be written.
    ValueError
        If a number is not finite.
    """
    values = {"recipe": run.recipe.to_dict()} | {name: getattr(run, name) for name in _VALUES}
    values |= {"probed": run.probed} if run.probed else {}
    arrays: store.Arrays = {
        "predictions": run.predictions.astype(np.uint8),  # fewer than 256 classes
        "confidences": run.confidences,
        "weight_quantiles": run.weight_quantiles,
    }
    path = store.locate(folder, run.recipe.name) or folder / f"{run.recipe.name}.json"
    store.write(path, values, arrays)
    return path


def load(path: Path) -> Run:
    """Read a run and check that it is what was written.

    Raises
    ------
    RecordError
        If the file is missing, truncated or edited.
    NewerRunError
        If it was saved by a newer version.
    """
    record, arrays = store.read(path)
    try:
        recipe = Recipe.from_dict(record["recipe"])
    except KeyError as error:
        raise _nonsense(path, f"it has no {error}") from error
    except (ValueError, TypeError) as error:  # it is whole, so another version accepted its recipe
        msg = (
            f"the run {path} was saved by another version of normstudy and cannot be used: "
            f"{error}; upgrade normstudy, or name another store"
        )
        raise NewerRunError(msg) from error
    try:
        if (made_by := record["environment"].get("numbers_version", 0)) > numbers_version(recipe):
            msg = (
                f"the run {path} has numbers of version {made_by} of the trainer, and this is "
                f"version {numbers_version(recipe)}; upgrade normstudy to read it, or name another "
                "store"
            )
            raise NewerRunError(msg)
        validity.check(recipe, record, arrays)
        values = {name: record[name] for name in _VALUES} | arrays
        values["predictions"] = arrays["predictions"].astype(np.int64)
        return Run(recipe=recipe, probed=record.get("probed", {}), **values)
    except KeyError as error:
        raise _nonsense(path, f"it has no {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise _nonsense(path, str(error)) from error


def _nonsense(path: Path, why: object) -> RecordError:
    return RecordError(f"the record {path} cannot be read ({why}); delete it and train again")


def find(recipe: Recipe, folder: Path | None = None) -> Run | None:
    """Look for the run of a recipe in this machine's store, then among the published runs.

    A damaged record is reported as a warning and not used, and so is one whose numbers are of an
    older version of the trainer.

    Parameters
    ----------
    recipe
        Whose run.
    folder
        The store; default :func:`normstudy.study.store.store_folder`.

    Raises
    ------
    NewerRunError
        If a newer version of normstudy saved the run: it must not be trained again and replaced.
    """
    for place in (folder or store.store_folder(), PUBLISHED):
        if (path := store.locate(place, recipe.name)) is None:
            continue
        try:
            found = load(path)
        except (NewerRunError, UnreadableError):
            raise
        except RecordError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
            continue
        made_by, current = found.environment.get("numbers_version", 0), numbers_version(recipe)
        if found.recipe.name != recipe.name:  # fields that are not read may differ
            msg = f"the run {path} holds another recipe than its name says; delete it"
            warnings.warn(msg, RuntimeWarning, stacklevel=2)
        elif made_by != current:
            msg = (
                f"the run {path} has numbers of version {made_by} of the trainer, and this is "
                f"version {current}; it is not used"
            )
            warnings.warn(msg, RuntimeWarning, stacklevel=2)
        else:
            return replace(found, recipe=recipe)
    return None


def stored(folder: Path) -> list[Run]:
    """All runs of a folder that can be used, by name; any other is reported as a warning."""
    found = []
    for path in store.records(folder):
        try:
            found.append(load(path))
        except RecordError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    return found


def run(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    device: str = "auto",
    progress: bool = True,
    retrain: bool = False,
) -> Run:
    """Return the run of a recipe, trained only if neither the store nor the published runs hold it.

    Two processes that ask for the same run at once both get it: the second waits for the first.

    Parameters
    ----------
    recipe
        What to train.
    folder
        The store that keeps the run; default :func:`normstudy.study.store.store_folder`.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    progress
        Show a progress bar while training.
    retrain
        Train even if a run is there, and replace the store's.

    Raises
    ------
    RunError
        If a run that was trained cannot be kept; it is in the message, as a table.
    RecordError
        If the store cannot be written.
    NewerRunError
        If a newer version of normstudy saved the run.
    """
    place = folder or store.store_folder()
    store.tidy(place)
    found = find(recipe, place)  # even to retrain: a newer record must not be replaced
    if found is not None and not retrain:
        return found
    environment.check_precision([recipe.precision], environment.pick_device(device))
    with held(store.lock(place, recipe.name), f"training {recipe.name}", progress=progress):
        found = None if retrain else find(recipe, place)  # made while this process waited
        if retrain:
            store.forget(place, recipe.name)
        if found is None:
            checkpoint = store.checkpoint(place, recipe.name)
            found = _keep(_train(recipe, checkpoint, device, progress), place)
    store.tidy(place)
    return found


def _train(recipe: Recipe, checkpoint: Path, device: str, progress: bool) -> Run:
    with _TURN:
        outcome = train(recipe, device=device, checkpoint=checkpoint, progress=progress)
    return Run(
        recipe=recipe,
        environment={
            "numbers_version": numbers_version(recipe),
            "data_md5": data.FACTS[recipe.data].md5,
            **environment.describe(environment.pick_device(device)),
        },
        **{f.name: getattr(outcome, f.name) for f in fields(Outcome)},
    )


def _keep(made: Run | str, place: Path) -> Run:
    """Save a run, and drop the checkpoint that it began from; a text is what stopped it."""
    if isinstance(made, str):
        raise RunError(made)
    try:
        save(made, place)
    except (OSError, ValueError) as error:  # the latter: JSON has no infinity
        msg = (
            f"the run was trained, but {place} cannot be written ({error}); make room there, or "
            f"name another store, and train again. It was:\n{made.table()}"
        )
        raise RunError(msg) from error
    store.forget(place, made.recipe.name)
    return made


def run_study(study: Study, **options: Any) -> dict[str, list[Run]]:
    """Return the runs of a study by arm, trained where they are missing.

    Parameters
    ----------
    study
        One of :data:`normstudy.study.studies.STUDIES`.
    options
        As in :func:`run_all`.
    """
    arms = study.recipes()
    made = iter(run_all([recipe for recipes in arms.values() for recipe in recipes], **options))
    return {arm: [next(made) for _ in recipes] for arm, recipes in arms.items()}


def run_all(
    recipes: Iterable[Recipe],
    *,
    n_jobs: int | None = None,
    folder: Path | None = None,
    device: str = "auto",
    progress: bool = True,
    retrain: bool = False,
) -> list[Run]:
    """Return the runs of many recipes, in their order, training what is missing side by side.

    On the CPU each training gets one thread, so its numbers do not depend on ``n_jobs``. The
    workers are joblib's, of whatever backend is active, and return their runs: only this process
    writes to the store. Those of a cluster (:mod:`normstudy.study.cluster`) need no folder of it.

    Parameters
    ----------
    recipes
        What to train.
    n_jobs
        Trainings at a time; default one per CPU core, as far as memory reaches, on a GPU eight at
        most; on a cluster as many as it has workers for.
    folder, device, progress, retrain
        As in :func:`run`.

    Raises
    ------
    RunError
        If some trainings failed, after all others have been trained and kept.
    RecordError
        If the store cannot be written.
    NewerRunError
        If a newer version of normstudy saved one of the runs; nothing is trained then.
    UnreadableError
        If a record is there and cannot be read: it may be whole, and is not replaced.
    """
    wanted, place = list(recipes), folder or store.store_folder()
    store.tidy(place)
    by_name = {recipe.name: recipe for recipe in wanted}
    found = {name: find(recipe, place) for name, recipe in by_name.items()}
    made = {name: there for name, there in found.items() if there is not None and not retrain}
    missing = [name for name in found if name not in made]
    if not missing:
        return [made[recipe.name] for recipe in wanted]
    far, caller = workers.are_far(), environment.this_process()
    jobs, device = workers.ready([by_name[n] for n in missing], n_jobs, device, progress=progress)
    failed, anew = dict[str, str](), set(missing if retrain else ())

    def is_made(name: str) -> bool:
        if not retrain and (there := find(by_name[name], place)) is not None:
            made[name] = there
        return name in made

    def take(name: str, result: Run | str) -> None:
        try:
            made[name] = _keep(result, place)
        except RunError as error:
            failed[name] = str(error)

    def task(name: str) -> Any:
        if name in anew:  # once: what a killed worker leaves belongs to this training
            anew.remove(name)
            store.forget(place, name)
        checkpoint = None if far else store.checkpoint(place, name)
        return joblib.delayed(_worker)(by_name[name], checkpoint, device, caller)

    crew = Crew(place=place, task=task, is_made=is_made, take=take, progress=progress)
    killed = crew.make(missing, jobs)
    failed |= dict.fromkeys(killed, "its process was killed each time, as for lack of memory")
    store.tidy(place)
    if failed:
        kept = sum(name in made for name in missing)
        told = "\n".join(f"{name}: {why}" for name, why in failed.items())
        msg = (
            f"{len(failed)} of {len(missing)} trainings failed, {kept} are kept in {place}; the "
            f"same command goes on with the others:\n{told}"
        )
        raise RunError(msg)
    return [made[recipe.name] for recipe in wanted]


def _worker(
    recipe: Recipe, checkpoint: Path | None, device: str, caller: environment.Process
) -> tuple[str, Run | str]:
    """Make one run; an error comes back as text and stops no other run.

    A far worker gets no place for a checkpoint: it has one in its own store, and outlives callers.
    """
    unfinished = checkpoint or store.checkpoint(store.store_folder(), recipe.name)
    if checkpoint is not None:
        environment.end_with(caller)  # nobody would take the run
    with suppress(OSError):  # without the folder, train warns
        unfinished.parent.mkdir(parents=True, exist_ok=True)
    with _TURN:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            made = _train(recipe, unfinished, device, progress=False)
        except Exception as error:  # noqa: BLE001 - whatever stops one is told with the others
            return recipe.name, str(error) if checkpoint else f"on {platform.node()}: {error}"
        finally:
            torch.set_num_threads(threads)  # a single job works in the caller's own process
    if checkpoint is None:
        store.forget(store.store_folder(), recipe.name)
    return recipe.name, made
