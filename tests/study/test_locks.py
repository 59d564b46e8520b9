"""One process at a time, and a word from whoever has to wait."""

import threading
import time

import pytest
from filelock import FileLock, Timeout

from normstudy.study import store
from normstudy.study.locks import held


@pytest.mark.parametrize("progress", [True, False])
def test_who_waits_for_another_process_says_so(progress, tmp_path, capsys):
    lock, theirs = (FileLock(tmp_path / "a.lock", thread_local=False) for _ in range(2))
    held_there = threading.Event()

    def hold_for_a_while():
        with theirs:
            held_there.set()
            time.sleep(0.3)

    other = threading.Thread(target=hold_for_a_while)
    other.start()
    held_there.wait()
    with held(lock, "training a", progress=progress):
        assert not theirs.is_locked
    other.join()
    told = "normstudy: another process is training a; waiting for it\n"
    assert capsys.readouterr().err == told * progress
    with theirs.acquire(blocking=False):
        pass


def test_a_lock_file_that_is_removed_while_it_is_opened_is_not_held_twice(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="Windows removes no file that is open")
    mine, theirs = (store.lock(tmp_path, "a") for _ in range(2))
    flock = fcntl.flock

    def too_late(*args):  # mine is open; another process tidies up, and a third one is faster
        monkeypatch.setattr(fcntl, "flock", flock)
        (tmp_path / "unfinished" / "a.lock").unlink()
        theirs.acquire(blocking=False)
        flock(*args)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with pytest.raises(Timeout):
        mine.acquire(blocking=False)
    assert theirs.is_locked
    theirs.release()
