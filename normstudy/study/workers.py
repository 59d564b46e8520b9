"""Who trains: processes of this machine, or a cluster's; and what must be there before they begin.

The workers are those of joblib's active backend. One that is none of joblib's own is taken for a
cluster: its workers may be on other machines and share no folder with this one.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import joblib
import torch
from joblib.parallel import get_active_backend

from normstudy.study import data, environment
from normstudy.study.recipes import Recipe
from normstudy.study.train import CHANGES

BACKENDS = ("loky", "dask")
"""What the command line accepts: processes of this machine, or workers of a Dask cluster."""

_BYTES = 1_500_000_000  # what a training takes: PyTorch, CIFAR-10, the maps of a batch
_BYTES_BESIDE_GPU = 3_000_000_000  # of the machine's memory: PyTorch with its libraries for a GPU
_BYTES_ON_GPU = 2_000_000_000  # of the card's: a context (0.5 GB), CIFAR-10, maps, the graph's own
_MOST_ON_GPU = 8  # an estimate: more take turns on a card that is busy already


class ClusterError(RuntimeError):
    """A cluster cannot be reached, cannot train, or is gone."""


def are_far() -> bool:
    """Whether the active backend is none of joblib's own: its workers may be on any machine."""
    backend, _ = get_active_backend()
    return type(backend).__module__ != "joblib._parallel_backends"


def ready(
    recipes: Sequence[Recipe], n_jobs: int | None, device: str, *, progress: bool = False
) -> tuple[int, str]:
    """Fail, or download, once and before any training begins.

    Parameters
    ----------
    recipes
        What will be trained, at least one.
    n_jobs
        Trainings at a time, or None for as many as there is room for.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    progress
        Say on this machine's standard error how many there are, and where they are trained.

    Returns
    -------
    tuple
        Trainings at a time, not more than there are, since an idle worker would hold PyTorch and
        images; and where: on a cluster, ``"auto"`` is left to each worker.

    Raises
    ------
    ClusterError
        If a worker of a cluster cannot train.
    DataError
        If data are missing here, and cannot be downloaded.
    ValueError
        If ``n_jobs`` is below 1; if the device is not there, or cannot train in a precision; or if
        joblib's backend hands over all results at the end, where the last worker to die would take
        them all along.
    """
    if n_jobs is not None and n_jobs < 1:
        msg = f"n_jobs={n_jobs} is out of range; accepted: 1 or more, or None for one per core"
        raise ValueError(msg)
    datasets = tuple(dict.fromkeys(recipe.data for recipe in recipes))
    precisions = tuple(dict.fromkeys(recipe.precision for recipe in recipes))
    backend, _ = get_active_backend()
    name = type(backend).__name__
    if not backend.supports_return_generator and name != "SequentialBackend":
        msg = f"{name} hands over all runs at the end; accepted: loky, threading, cluster.on_dask"
        raise ValueError(msg)
    if prepare := getattr(backend, "prepare", None):  # normstudy.study.cluster.Dask
        prepare(datasets, precisions, device)
    elif not are_far():
        where = environment.pick_device(device)
        environment.check_precision(precisions, where)
        for dataset in datasets:
            data.load(dataset)
        n_jobs, device = min(n_jobs or _at_a_time(where), len(recipes)), where.type
        if progress:
            doing = f"{len(recipes)} trainings, {n_jobs} at a time,"
            environment.say_where(where, doing, threads=1)
    return min(n_jobs or len(recipes), len(recipes)), device


def _at_a_time(device: torch.device) -> int:
    """One training per CPU core, as far as memory reaches: the machine's, and that of a GPU in use.

    On a GPU one process computes while another prepares, scores or saves. Kernels of several run at
    the same time only under NVIDIA's Multi-Process Service, which belongs to the machine.
    """
    places = [int(joblib.cpu_count())]
    if device.type == "cuda":
        free_on_card, _ = torch.cuda.mem_get_info(device)
        places += [_MOST_ON_GPU, free_on_card // _BYTES_ON_GPU]
    each = _BYTES_BESIDE_GPU if device.type == "cuda" else _BYTES
    return max(1, min(*places, environment.free_memory() // each))


def look(datasets: Iterable[str], precisions: Iterable[str], device: str) -> dict[str, Any]:
    """On a worker: load data sets, and tell which versions and what processor are there."""
    where = environment.pick_device(device)
    environment.check_precision(precisions, where)
    for name in datasets:
        data.load(name)
    about = environment.rounding(where) | {"processor": environment.processor()}
    del about["threads"]  # of the thread that asks, not of a training
    return code() | about


def code() -> dict[str, Any]:
    """Tell which code trains, as far as numbers go."""
    return {"normstudy": version("normstudy"), "changes of numbers": len(CHANGES)}
