"""A worker that dies takes nobody's work along."""

import os
import signal
import time
from pathlib import Path

import joblib
import pytest

from normstudy.study import store
from normstudy.study.crew import Crew

NAMES = [f"record-{number}" for number in range(6)]


def work(folder: Path, name: str, deaths: dict[str, int]) -> tuple[str, int]:
    """Be killed as often as is wanted, as for lack of memory; then say in which attempt it was."""
    (folder / f"{name}.{time.monotonic_ns()}.begun").touch()
    attempt = len(list(folder.glob(f"{name}.*.begun")))
    if attempt <= deaths.get(name, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return name, attempt


def made(folder, deaths, jobs=2, **options):
    found = {}
    crew = Crew(
        place=folder / "store",
        task=lambda name: joblib.delayed(work)(folder, name, deaths),
        take=found.__setitem__,
        **{"is_made": lambda name: False, "progress": True, **options},
    )
    return crew.make(NAMES, jobs), found


def assert_no_locks(folder):
    for name in NAMES:
        with store.lock(folder / "store", name).acquire(blocking=False):
            pass


@pytest.mark.processes
def test_a_worker_that_is_killed_once_or_twice_loses_nothing(tmp_path, capfd):
    lost, found = made(tmp_path, {NAMES[1]: 2})
    assert lost == []
    assert sorted(found) == NAMES
    assert found[NAMES[1]] == 3
    told = capfd.readouterr().err
    assert told.count("normstudy: a worker was killed") == 2
    assert NAMES[1] in told
    assert "Traceback" not in told
    assert_no_locks(tmp_path)


@pytest.mark.processes
def test_what_kills_its_worker_each_time_is_given_up_and_nothing_else(tmp_path):
    lost, found = made(tmp_path, {NAMES[0]: 99, NAMES[4]: 99})
    assert lost == [NAMES[0], NAMES[4]]
    assert sorted(found) == [NAMES[1], NAMES[2], NAMES[3], NAMES[5]]
    assert_no_locks(tmp_path)


def test_what_others_have_made_since_is_not_made_again(tmp_path, capsys):
    lost, found = made(tmp_path, {}, jobs=1, is_made=NAMES[2:].__contains__)
    assert (lost, sorted(found)) == ([], NAMES[:2])
    assert "6/6" in capsys.readouterr().err
