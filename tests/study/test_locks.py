"""One process at a time, and a word from whoever has to wait."""

import threading
import time

import pytest
from filelock import FileLock

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
