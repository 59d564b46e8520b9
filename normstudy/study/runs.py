"""Runs: what a recipe yielded, and where runs are kept.

A run is two small files named by its recipe: ``<name>.json`` (recipe, environment, history) and
``<name>.npz`` (last-epoch predictions). Reading trusts nothing: checksums are compared and nothing
is unpickled. Writing is atomic. No pixels are kept; images come from the data set by index.
"""

import hashlib
import io
import json
import os
import platform
import subprocess
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import platformdirs
import torch
from filelock import FileLock
from tqdm import tqdm

from normstudy.study import data
from normstudy.study.recipes import Recipe
from normstudy.study.train import COLUMNS, NUMBERS_VERSIONS, Outcome, pick_device, train

PUBLISHED = Path(__file__).parents[2] / "docs" / "runs"
"""Published runs, in a checkout of the project; an installed package has none."""

_ARRAYS = {"predictions": np.int64, "confidences": np.float32, "weight_quantiles": np.float32}


class RunError(RuntimeError):
    """A run is damaged, cannot be kept, or could not be made."""


class NewerRunError(RunError):
    """A run was saved by a newer version of normstudy; it must neither be used nor replaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One recipe and what it yielded: :class:`normstudy.study.train.Outcome` and two fields more.

    Attributes
    ----------
    recipe
        What was trained.
    history, predictions, confidences, clean_train, weight_quantiles
        As in :class:`normstudy.study.train.Outcome`.
    environment
        Versions, device, threads, git revision, seconds, and the MD5 of the data.
    """

    recipe: Recipe
    history: dict[str, list[float]]
    predictions: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float32]
    clean_train: dict[str, float]
    weight_quantiles: npt.NDArray[np.float32]
    environment: dict[str, Any]

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


def store_folder() -> Path:
    """Folder of this machine's runs: ``NORMSTUDY_STORE``, or a cache folder of this user."""
    given = os.environ.get("NORMSTUDY_STORE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("normstudy")) / "runs"


def save(run: Run, folder: Path) -> Path:
    """Write a run to a folder, whole or not at all, and return the path of its JSON file.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.savez_compressed(packed, **{name: getattr(run, name) for name in _ARRAYS})
    record = {
        "recipe": run.recipe.to_dict(),
        "history": run.history,
        "clean_train": run.clean_train,
        "environment": run.environment,
        "arrays_sha256": hashlib.sha256(packed.getvalue()).hexdigest(),
    }
    record["sha256"] = _checksum(record)
    path = folder / f"{run.recipe.name}.json"
    _write(path.with_suffix(".npz"), packed.getvalue())
    _write(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    return path


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _checksum(record: dict[str, Any]) -> str:
    rest = {key: value for key, value in record.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def load(path: Path) -> Run:
    """Read a run and check that it is what was written.

    Parameters
    ----------
    path
        The JSON file; its ``.npz`` lies beside it.

    Raises
    ------
    RunError
        If a file is missing, truncated or edited.
    NewerRunError
        If it was saved by a newer version.
    """
    try:
        record = json.loads(path.read_bytes())
        packed = path.with_suffix(".npz").read_bytes()
        if record["sha256"] != _checksum(record):
            msg = f"the run {path} was edited: its checksum differs; delete it and train it again"
            raise RunError(msg)
        if record["arrays_sha256"] != hashlib.sha256(packed).hexdigest():
            msg = f"the arrays of the run {path} are not those it was saved with; delete it"
            raise RunError(msg)
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in _ARRAYS}
        rest = {name: record[name] for name in ("history", "clean_train", "environment")}
        recipe = record["recipe"]
    except RunError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        msg = f"the run {path} cannot be read ({error}); delete it and train it again"
        raise RunError(msg) from error
    try:
        return Run(recipe=Recipe.from_dict(recipe), **rest, **values)
    except (ValueError, TypeError) as error:  # it is whole, so another version accepted its recipe
        msg = (
            f"the run {path} was saved by another version of normstudy and cannot be used: "
            f"{error}; upgrade normstudy, or name another store"
        )
        raise NewerRunError(msg) from error


def find(recipe: Recipe, store: Path | None = None) -> Run | None:
    """Look for the run of a recipe in this machine's store, then among the published runs.

    A damaged record is reported as a warning and not used, and so is one whose numbers are of an
    older version of the trainer.

    Raises
    ------
    NewerRunError
        If a newer version of normstudy saved the run: it must not be trained again and replaced.
    """
    for folder in (store or store_folder(), PUBLISHED):
        path = folder / f"{recipe.name}.json"
        if not path.exists():
            continue
        try:
            found = load(path)
        except NewerRunError:
            raise
        except RunError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
            continue
        made_by = found.environment.get("numbers_version", 0)
        current = NUMBERS_VERSIONS[recipe.norm]
        if found.recipe != recipe:
            msg = f"the run {path} holds another recipe than its name says; delete it"
            warnings.warn(msg, RuntimeWarning, stacklevel=2)
        elif made_by != current:
            msg = (
                f"the run {path} has numbers of version {made_by} of the trainer, and this is "
                f"version {current}; "
            )
            if made_by > current:
                raise NewerRunError(msg + "upgrade normstudy to read it, or name another store")
            warnings.warn(msg + "it is not used", RuntimeWarning, stacklevel=2)
        else:
            return found
    return None


def stored(folder: Path) -> list[Run]:
    """All runs of a folder that can be used, by name; any other is reported as a warning."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(load(path))
        except RunError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    return found


def run(
    recipe: Recipe,
    *,
    store: Path | None = None,
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
    store
        Folder that keeps the run; default :func:`store_folder`.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    progress
        Show a progress bar while training.
    retrain
        Train even if a run is there, and replace the store's.

    Raises
    ------
    RunError
        If the store cannot be written. A run that was trained and cannot be kept is in the message,
        as a table.
    NewerRunError
        If a newer version of normstudy saved the run.
    """
    folder = store or store_folder()
    lock = FileLock(folder / "unfinished" / f"{recipe.name}.lock")
    try:
        (folder / "unfinished").mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        if not retrain and (found := find(recipe, folder)):
            return found  # published, and the store is not needed
        msg = (
            f"the store {folder} cannot be written ({error}); make it writable or name another "
            "folder in the environment variable NORMSTUDY_STORE"
        )
        raise RunError(msg) from error
    try:
        found = find(recipe, folder)  # even to retrain: a newer record must not be replaced
        if found is None or retrain:
            found = _train_and_keep(recipe, folder, device, progress)
        return found
    finally:
        lock.release()


def _train_and_keep(recipe: Recipe, folder: Path, device: str, progress: bool) -> Run:
    checkpoint = folder / "unfinished" / f"{recipe.name}.pt"
    outcome = train(recipe, device=device, checkpoint=checkpoint, progress=progress)
    made = _as_run(recipe, outcome, device)
    try:
        save(made, folder)
    except (OSError, ValueError) as error:  # the latter: JSON has no infinity
        msg = f"the run was trained, but {folder} cannot be written ({error}):\n{made.table()}"
        raise RunError(msg) from error
    checkpoint.unlink(missing_ok=True)
    return made


def _as_run(recipe: Recipe, outcome: Outcome, device: str) -> Run:
    return Run(
        recipe=recipe,
        history=outcome.history,
        predictions=outcome.predictions,
        confidences=outcome.confidences,
        clean_train=outcome.clean_train,
        weight_quantiles=outcome.weight_quantiles,
        environment={
            "numbers_version": NUMBERS_VERSIONS[recipe.norm],
            "normstudy": version("normstudy"),
            "git_revision": _git_revision(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": _device_name(pick_device(device)),
            "threads": torch.get_num_threads(),
            "seconds": sum(outcome.history["seconds"]),
            "data_md5": data.load(recipe.data).md5,
        },
    )


def run_all(
    recipes: Iterable[Recipe],
    *,
    n_jobs: int | None = None,
    store: Path | None = None,
    device: str = "auto",
    progress: bool = True,
    retrain: bool = False,
) -> list[Run]:
    """Return the runs of many recipes, in their order, training what is missing side by side.

    On the CPU each training gets one thread, so its numbers do not depend on ``n_jobs``.

    Parameters
    ----------
    recipes
        What to train.
    n_jobs
        Trainings at a time; default one per CPU core, or one on a GPU.
    store, device, progress, retrain
        As in :func:`run`.

    Raises
    ------
    RunError
        If some trainings failed, after all others have been trained and kept.
    NewerRunError
        If a newer version of normstudy saved one of the runs; nothing is trained then.
    """
    wanted: Sequence[Recipe] = list(recipes)
    missing = [r for r in wanted if find(r, store) is None or retrain]
    if missing:
        where = pick_device(device)
        jobs = n_jobs or (1 if where.type == "cuda" else joblib.cpu_count())
        data.load(missing[0].data)  # fail, or download, once and before any worker starts
        work = (joblib.delayed(_worker)(r, store, where.type, retrain) for r in missing)
        results = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(work)
        with tqdm(results, total=len(missing), desc="Trainings", disable=not progress) as bar:
            failed = [error for error in bar if error]
        if failed:
            msg = f"{len(failed)} of {len(missing)} trainings failed:\n" + "\n".join(failed)
            raise RunError(msg)
    return [run(r, store=store, device=device, progress=progress) for r in wanted]


def _worker(recipe: Recipe, store: Path | None, device: str, retrain: bool) -> str:
    """Make one run in a process of its own; an error comes back as text and stops no other run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run(recipe, store=store, device=device, progress=False, retrain=retrain)
    except Exception as error:  # noqa: BLE001 - whatever stops one training is told with the others
        return f"{recipe.name}: {error}"
    finally:
        torch.set_num_threads(threads)  # a single job works in the caller's own process
    return ""


def _git_revision() -> str:
    """Commit of the checkout that holds the package, or ``"unknown"``."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        here = Path(__file__).parent
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() + " CPU, " + platform.machine()
