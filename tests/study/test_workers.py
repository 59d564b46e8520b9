"""Who trains is found out, and has what it needs, before the first training."""

import joblib
import pytest
import torch

from normstudy.study import environment, workers
from normstudy.study.files import DataError
from normstudy.study.recipes import Recipe

TINY = Recipe(data="digits", epochs=2, batch_size=480, lr=0.1, crop=1, precision="float32")


def test_no_more_workers_start_than_memory_holds(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(joblib, "cpu_count", lambda: 64)
    for gigabytes, jobs in ((100, 64), (16, 10), (1, 1), (0, 1)):
        monkeypatch.setattr(environment, "free_memory", lambda free=gigabytes: free * 10**9)
        assert workers._at_a_time(cpu) == jobs
        assert workers.ready([TINY] * 30, None, "cpu") == (min(jobs, 30), "cpu")
    assert workers.ready([TINY] * 30, 40, "cpu") == (30, "cpu")


@pytest.mark.parametrize("jobs", [0, -1])
def test_fewer_than_one_training_at_a_time_are_refused(jobs):
    match = rf"^n_jobs={jobs} is out of range; accepted: 1 or more, or None for one per core$"
    with pytest.raises(ValueError, match=match):
        workers.ready([TINY], jobs, "cpu")


@pytest.mark.parametrize(
    ("cores", "of_machine", "of_card", "jobs"),
    [
        (64, 500, 140, 8),  # more take turns
        (4, 500, 140, 4),
        (64, 16, 140, 5),
        (64, 500, 8, 4),
        (64, 500, 1, 1),  # which may fail, and says so
    ],
)
def test_trainings_on_one_card_fit_its_memory_and_that_of_the_machine(
    cores, of_machine, of_card, jobs, monkeypatch
):
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(environment, "free_memory", lambda: of_machine * 10**9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (of_card * 10**9, 150 * 10**9))
    assert workers._at_a_time(torch.device("cuda")) == jobs


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_workers_of_joblib_itself_are_here(backend):
    with joblib.parallel_config(backend):
        assert not workers.are_far()
        assert workers.ready([TINY], None, "cpu") == (1, "cpu")
    assert not workers.are_far()


def test_a_backend_that_hands_over_all_runs_at_the_end_is_refused():
    match = r"MultiprocessingBackend hands over all runs at the end; accepted: loky, threading, cl"
    with joblib.parallel_config("multiprocessing"), pytest.raises(ValueError, match=match):
        workers.ready([TINY], 2, "cpu")


def test_a_worker_tells_what_decides_the_last_bits():
    about = workers.look(["digits"], ["float32"], "cpu")
    assert about["torch"] == torch.__version__
    assert about["processor"] == environment.processor()
    assert workers.code().items() <= about.items()
    assert "threads" not in about, "a training has one, whatever the thread that asks has"


def test_a_worker_without_the_data_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_DATA", str(tmp_path / "nowhere"))
    workers.data.load.cache_clear()
    with pytest.raises(DataError, match=r"mnist was looked for in .*nowhere"):
        workers.look(["digits", "mnist"], ["float32"], "cpu")
