"""Eight processes share trainings, and stores that cannot be written lose no number."""

import contextlib
import itertools
import os
import random
import resource
import signal
import subprocess

import pytest
from harness import RECIPES, SEED, TINY, Child, commanded, note, same, trained

from normstudy.study import runs

CROWD = 8
NAMES = ("with spaces", "Übergrößen ñ 日本", "a'b\"c", "-dash", "%s {x}")
NAMED = ("--data", "digits", "--epochs", "2", "--batch-size", "480", "--device", "cpu")


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    """List what was trained, in whichever process."""
    listed, train = tmp_path / "trained", runs.train

    def counted(recipe, **options):
        with listed.open("a") as file:
            file.write(recipe.name + "\n")
        return train(recipe, **options)

    monkeypatch.setattr(runs, "train", counted)
    return listed


def test_one_recipe(trainings, whole, tmp_path):
    crowd = [Child(trained(TINY, folder=tmp_path / "store"), tmp_path) for _ in range(CROWD)]
    ended = [child.wait() for child in crowd]
    assert {one.status for one in ended} == {0}, ended
    assert trainings.read_text().split() == [TINY.name]
    (found,) = runs.stored(tmp_path / "store")
    assert same(found, whole[TINY.name])
    told = f"normstudy: another process is training {TINY.name}; waiting for it"
    assert any(told in one.lines for one in ended), "and who waits says so"
    note("one recipe", crowd=CROWD, crowd_trainings_of_one_recipe=1)


def test_many_recipes(trainings, whole, tmp_path):
    rng, crowd = random.Random(SEED), []
    for jobs in itertools.islice(itertools.cycle([None, 1]), CROWD):
        mixed = rng.sample(RECIPES, len(RECIPES))
        crowd.append(Child(trained(*mixed, folder=tmp_path / "store", jobs=jobs), tmp_path))
    ended = [child.wait() for child in crowd]
    assert {one.status for one in ended} == {0}, ended
    assert sorted(trainings.read_text().split()) == sorted(recipe.name for recipe in RECIPES)
    found = runs.stored(tmp_path / "store")
    assert len(found) == len(RECIPES)
    assert all(same(run, whole[run.recipe.name]) for run in found)
    note("many recipes", crowd_recipes=len(RECIPES), crowd_trainings_of_many=len(RECIPES))


# -- stores ----------------------------------------------------------------------------------------


def train(store, tmp_path, user=None):
    """Train into a store, and return how that ended."""
    return Child(commanded("train", *NAMED, "--store", str(store)), tmp_path, user=user).wait()


@contextlib.contextmanager
def full_disk(folder):
    """Mount a disk of four kilobytes where this user may; say whether that went."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(folder)]
    mounted = not subprocess.run(mount, capture_output=True, check=False).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def with_small_files(call):
    """Call where no file can have more than ten kilobytes: what comes closest to a full disk."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        call()

    return limited


def test_a_full_store(tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    with full_disk(folder) as mounted:
        call = commanded("train", *NAMED, "--store", str(folder))
        ended = Child(call if mounted else with_small_files(call), tmp_path).wait()
        assert ended.status == 1
        assert "test acc" in ended.err, "the numbers are printed"
        (told,) = [line for line in ended.lines if line.startswith("normstudy: the run was")]
        assert ("No space left on device" if mounted else "File too large") in told
        assert "make room there, or name another store, and train again" in told
        assert not list(folder.rglob("*.json"))
        assert not list(folder.rglob("*.part"))
        assert "Traceback" not in ended.err
    note("a full store", full_store="a disk of 4 KB" if mounted else "a limit of 10 KB for a file")


def test_stores_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    ended = train(file, tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o011)
    nobody = 65534 if os.getuid() == 0 else None
    for one, place in ((ended, file), (train(closed, tmp_path, nobody), closed)):
        assert one.status == 1, one
        (told,) = [line for line in one.lines if line.startswith("normstudy: ")]
        assert f"the store {place} cannot be written" in told
        assert "make it writable or name another folder in the environment" in told
        assert "Traceback" not in one.err
    note("closed stores", closed_stores=2)


def test_a_record_that_cannot_be_read_is_kept(tmp_path):
    folder = tmp_path / "store"
    assert train(folder, tmp_path).status == 0
    (record,) = folder.glob("*.json")
    before = record.read_bytes()
    record.chmod(0)
    folder.chmod(0o777)
    (folder / "unfinished").chmod(0o777)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o011)
    nobody = 65534 if os.getuid() == 0 else None
    ended = train(folder, tmp_path, nobody)
    record.chmod(0o644)
    assert ended.status == 1
    assert ended.lines[-1].endswith("make it readable, or name another store")
    assert "Permission denied" in ended.lines[-1]
    assert record.read_bytes() == before


def test_stores_of_any_name(tmp_path):
    for name in NAMES:
        folder = tmp_path / name
        assert train(folder, tmp_path).status == 0
        (found,) = runs.stored(folder)
        again = train(folder, tmp_path)
        assert again.status == 0
        assert f"{found.accuracy:.2%}" in again.out
        assert again.lines == [], "it was found, not trained"
    note("names of stores", named_stores=len(NAMES))
