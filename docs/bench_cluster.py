"""Small runs in this process and through a Dask cluster, for ``nox -s bench -- --only cluster``.

The smaller the run, the clearer what is added to it.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from distributed import LocalCluster

from normstudy.study.cluster import on_dask
from normstudy.study.recipes import Recipe
from normstudy.study.runs import run_all
from normstudy.study.timings import Case

SMALL = Recipe(data="digits", epochs=2, batch_size=480, lr=0.1, crop=1, precision="float32")
HERE, DASK = "in one process", "through Dask"
STUDIES = {"a study of 1 run": 1, "a study of 20 runs": 20}


def study(number: int, place: Callable[[], AbstractContextManager[None]]) -> float:
    """Train so many runs, one after the other, and return the seconds for each."""
    recipes = [replace(SMALL, seed=seed) for seed in range(number)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with place():
            run_all(recipes, n_jobs=1, folder=Path(folder), device="cpu", progress=False)
        return (time.perf_counter() - began) / number


def cases() -> dict[Case, Callable[[], float]]:
    """Start a cluster of one worker, which ends with this process; each case is seconds a run."""
    one = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    places: dict[str, Callable[[], AbstractContextManager[None]]]
    places = {HERE: nullcontext, DASK: partial(on_dask, one)}
    return {
        (what, arm): partial(study, number, place)
        for what, number in STUDIES.items()
        for arm, place in places.items()
    }
