"""A checkpoint is an offer: whole and of this machine, or told and not used; never executed."""

import hashlib
import io
import os
import threading
import warnings
import zipfile

import pytest
import torch

from normstudy.study import checkpoints

ABOUT = {"recipe": {"seed": 0}, "threads": 1, "torch": "2.15"}
STATE = {"net": {"weight": torch.arange(6.0)}, "history": {"lr": [0.1, 1 / 3]}, "nothing": None}
MOST = 100_000
CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path):
    """Write a checkpoint and return its path."""
    checkpoints.write(tmp_path / "a.pt", ABOUT, STATE)
    return tmp_path / "a.pt"


def read(path, about=ABOUT, most=MOST):
    return checkpoints.read(path, about, most=most, device=CPU)


def test_a_state_is_read_as_it_was_written(path):
    found = read(path)
    assert torch.equal(found["net"]["weight"], STATE["net"]["weight"])
    assert {**found, "net": 0} == {**STATE, "net": 0}
    assert [p.name for p in path.parent.iterdir()] == ["a.pt"]
    assert read(path.with_name("b.pt")) is None, "and nothing is told where there is none"
    assert checkpoints.size_of(STATE) < path.stat().st_size < 2 * checkpoints.size_of(STATE)


def test_no_byte_can_change_unseen(path):
    content = path.read_bytes()
    for place in range(0, len(content), 41):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.warns(RuntimeWarning, match="is not used: it is damaged"):
            assert read(path) is None


def signed(content):
    return hashlib.sha256(content).digest() + content


def bomb():
    """Make a small archive that unpacks to 50 MB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    return buffer.getvalue()


class Evil:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_is_executed_and_no_bomb_is_unpacked(path):
    victim, buffer = path.with_name("victim"), io.BytesIO()
    torch.save({"about": ABOUT, "state": Evil(victim)}, buffer)
    path.write_bytes(signed(buffer.getvalue()))
    with pytest.warns(RuntimeWarning, match="not used: it holds more than tensors and numbers"):
        assert read(path) is None
    assert not victim.exists()
    path.write_bytes(signed(bomb()))
    with pytest.warns(RuntimeWarning, match="not used: it would unpack to more than 100,000 bytes"):
        assert read(path) is None
    checkpoints.write(path, ABOUT, {"net": torch.zeros(MOST)})
    with pytest.warns(RuntimeWarning, match=r"not used: it has \d+,\d+ bytes, and at most 100,032"):
        assert read(path) is None


def test_what_is_no_file_is_not_opened(path):
    path.unlink()
    os.mkfifo(path)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(read(path)), daemon=True)

    def wait():
        reader.start()
        reader.join(60)

    with pytest.warns(RuntimeWarning, match="is not used: it is no file"):
        wait()
    assert answers == [None], "whoever opens a pipe waits for ever"
    path.unlink()
    path.mkdir()
    with pytest.warns(RuntimeWarning, match="is not used: it is no file"):
        assert read(path) is None


@pytest.mark.parametrize("saved", [[], {}, {"about": ABOUT}, {"about": 1, "state": {}}, 3])
def test_another_content_is_not_used(saved, path):
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    path.write_bytes(signed(buffer.getvalue()))
    with pytest.warns(RuntimeWarning, match="is not used: "):
        assert read(path) is None


def test_what_differs_is_named(path):
    about = {"recipe": {"seed": 1}, "threads": 2, "torch": "2.15", "data": "x"}
    match = (
        r"not used: another recipe; threads was 1, and is 2; data was None, and is x; the training"
    )
    with pytest.warns(RuntimeWarning, match=match):
        assert read(path, about) is None


def test_what_cannot_be_written_is_told_and_hinders_nothing(path, tmp_path):
    with pytest.warns(RuntimeWarning, match=r"no checkpoint .*b\.pt: .*; training goes on"):
        checkpoints.write(tmp_path / "missing" / "b.pt", ABOUT, STATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoints.write(path, ABOUT, STATE)
