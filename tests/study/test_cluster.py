"""A cluster of real processes that share no folder: nothing is lost, nothing is made twice."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from normstudy.study import cluster, runs, store
from normstudy.study.cluster import on_dask
from normstudy.study.recipes import Recipe
from normstudy.study.runs import RunError, run_all
from normstudy.study.train import COLUMNS
from normstudy.study.workers import ClusterError

pytestmark = pytest.mark.processes

TINY = Recipe(data="digits", epochs=2, batch_size=480, lr=0.1, crop=1, precision="float32")
SHORT = [replace(TINY, seed=seed, norm=norm) for seed in range(2) for norm in ("batch", "group")]
LONG = replace(TINY, epochs=12)  # long enough to be killed in between
MEASURED = [name for name in COLUMNS if name not in ("seconds", "images_per_second")]


@dataclass(slots=True)
class Processes:
    """A scheduler and its workers, each with a folder and a store of its own."""

    folder: Path
    scheduler: subprocess.Popen | None = None
    address: str = ""
    workers: dict[Path, subprocess.Popen] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> subprocess.Popen:
        """Start a command of Dask in a folder of its own."""
        own = self.folder / name
        own.mkdir()
        environ = os.environ | {
            "NORMSTUDY_STORE": str(own / "store"),
            "OMP_NUM_THREADS": "2",  # a training has one thread all the same
            "NORMSTUDY_DATA": str(own / "data"),
        }
        with (own / "log").open("w") as log:
            line = [sys.executable, "-m", "dask", *arguments]
            return subprocess.Popen(line, cwd=own, env=environ, stdout=log, stderr=log)

    def begin(self) -> None:
        """Start the scheduler, and wait for its address."""
        about = self.folder / "scheduler.json"
        where = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.scheduler = self.start(
            "scheduler", "scheduler", *where, "--scheduler-file", str(about)
        )
        until(about.exists)
        self.address = json.loads(about.read_text())["address"]

    def need(self, number: int) -> None:
        """Start workers, or kill some, until so many live."""
        for folder in self.alive()[number:]:
            self.kill(folder)
        while len(self.alive()) < number:
            name = f"worker-{len(self.workers)}"
            options = ("--no-nanny", "--nthreads", "1", "--no-dashboard")
            self.workers[self.folder / name] = self.start(name, "worker", self.address, *options)
        with Client(self.address, set_as_default=False) as client:
            until(lambda: len(client.nthreads()) == number)

    def allow_no_death(self) -> None:
        """Let the scheduler give up what has killed a single worker."""

        def set_limit(dask_scheduler):
            dask_scheduler.allowed_failures = 0

        with Client(self.address, set_as_default=False) as client:
            client.run_on_scheduler(set_limit)

    def alive(self) -> list[Path]:
        """List the folders of the workers that live."""
        return [folder for folder, worker in self.workers.items() if worker.poll() is None]

    def at_work(self, recipe: Recipe) -> list[Path]:
        """List the folders of the workers that have a checkpoint of a training."""
        return [
            folder
            for folder in self.alive()
            if store.checkpoint(folder / "store", recipe.name).exists()
        ]

    def kill_the_worker_on(self, recipe: Recipe) -> Path:
        """Wait until a worker is in the middle of a training, and kill it."""
        until(lambda: self.at_work(recipe))
        (folder,) = self.at_work(recipe)
        self.kill(folder)
        return folder

    def kill(self, folder: Path) -> None:
        """Send SIGKILL to a worker."""
        self.workers[folder].kill()
        self.workers[folder].wait(20)

    def end(self) -> None:
        """Kill what lives."""
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait(20)


def until(true, seconds=300):
    """Wait until something is true."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, "it does not come true"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Start a cluster for all tests; each says how many workers it needs."""
    there = Processes(tmp_path_factory.mktemp("cluster"))
    there.begin()
    yield there
    there.end()


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """Train in this process, one after the other, what the cluster will train."""
    folder = tmp_path_factory.mktemp("serial")
    made = run_all([*SHORT, LONG], folder=folder, device="cpu", n_jobs=1, progress=False)
    return {run.recipe: run for run in made}


@pytest.fixture
def saved(monkeypatch):
    """Let no training begin in this process, and count what is stored."""
    counted = Counter()

    def save(run, folder, save=runs.save):
        counted[run.recipe] += 1
        return save(run, folder)

    def refuse(*_, **__):
        raise AssertionError("a training began here")

    monkeypatch.setattr(cluster, "PATIENCE", 100)  # a machine may be busy
    monkeypatch.setattr(runs, "save", save)
    monkeypatch.setattr(runs, "train", refuse)
    return counted


def assert_as_serial(made, serial):
    for run in made:
        other = serial[run.recipe]
        for name in MEASURED:
            assert run.history[name] == other.history[name], name
        assert run.clean_train == other.clean_train
        for name in ("predictions", "confidences", "weight_quantiles"):
            assert np.array_equal(getattr(run, name), getattr(other, name)), name
        assert run.environment == other.environment, "threads and all"


def together(recipes, folder, **options):
    return run_all(recipes, folder=folder, device="cpu", progress=False, **options)


def in_thread(call):
    """Call in a thread, and collect the answer or the error in a list."""
    answers = []

    def answer():
        try:
            answers.append(call())
        except Exception as error:  # noqa: BLE001 - it is looked at in the test
            answers.append(error)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread, answers


def test_runs_of_a_cluster_are_those_of_this_machine(processes, serial, saved, tmp_path):
    processes.need(2)
    with on_dask(processes.address):
        made = together(SHORT, tmp_path)
    assert [run.recipe for run in made] == SHORT
    assert_as_serial(made, serial)
    assert saved == dict.fromkeys(SHORT, 1)
    assert len(store.records(tmp_path)) == len(SHORT)
    for folder in processes.alive():
        assert not list(folder.glob("store/**/*.json")), "a worker keeps no runs"
        assert not list(folder.glob("store/**/*.pt")), "nor checkpoints of what is finished"
    assert not list(tmp_path.glob("unfinished/*.pt")), "and none in the caller's store"


def test_a_worker_that_is_killed_loses_only_what_it_had_begun(processes, serial, saved, tmp_path):
    processes.need(2)

    def study():
        with on_dask(processes.address):
            return together([LONG, *SHORT], tmp_path)

    thread, answers = in_thread(study)
    dead = processes.kill_the_worker_on(LONG)
    thread.join(300)
    assert [run.recipe for run in answers[0]] == [LONG, *SHORT]
    assert_as_serial(answers[0], serial)
    assert saved == dict.fromkeys([LONG, *SHORT], 1)
    assert store.checkpoint(dead / "store", LONG.name).exists(), "it was made anew, elsewhere"
    assert len(processes.alive()) == 1


def test_a_single_worker_trains_and_not_the_caller(processes, serial, saved, tmp_path):
    processes.need(1)
    with on_dask(processes.address):
        made = together(SHORT[:2], tmp_path)
    assert_as_serial(made, serial)


def test_a_worker_without_the_data_is_named_before_any_training(processes, saved, tmp_path):
    processes.need(1)
    match = r"the worker tcp://.* cannot train \(DataError: mnist was looked for in .*/worker-\d/"
    with on_dask(processes.address), pytest.raises(ClusterError, match=match):
        together([*SHORT, replace(TINY, data="mnist")], tmp_path)
    assert not saved


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    match = r"no scheduler answers at tcp://127.0.0.1:1, which was tried for 0.5 s; one begins with"
    with pytest.raises(ClusterError, match=match), on_dask("tcp://127.0.0.1:1"):
        pass


def test_without_dask_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    match = r"Dask is not installed; install it with: pip install 'normstudy\[cluster\]'"
    with pytest.raises(ClusterError, match=match), on_dask("tcp://127.0.0.1:1"):
        pass


@pytest.mark.storm
def test_what_kills_its_workers_is_given_up_and_nothing_else(processes, serial, saved, tmp_path):
    processes.need(2)
    processes.allow_no_death()

    def study():
        with on_dask(processes.address):
            return together([LONG, *SHORT], tmp_path, n_jobs=2)

    thread, answers = in_thread(study)
    processes.kill_the_worker_on(LONG)
    thread.join(300)
    (error,) = answers
    assert isinstance(error, RunError)
    assert f"1 of 5 trainings failed, 4 are kept in {tmp_path}" in str(error)
    assert f"{LONG.name}: Attempted to run task" in str(error)
    assert saved == dict.fromkeys(SHORT, 1)
    assert_as_serial(runs.stored(tmp_path), serial)


@pytest.mark.storm
def test_a_scheduler_that_goes_away_is_told(processes, saved, tmp_path):
    processes.need(1)

    def study():
        with on_dask(processes.address):
            return together([LONG, *SHORT], tmp_path)

    thread, answers = in_thread(study)
    until(lambda: processes.at_work(LONG))
    processes.scheduler.kill()
    thread.join(300)
    assert isinstance(answers[0], ClusterError)
    assert str(answers[0]).startswith(f"the scheduler {processes.address} is gone; what was fini")
    for recipe in [LONG, *SHORT]:
        with store.lock(tmp_path, recipe.name).acquire(blocking=False):
            pass
