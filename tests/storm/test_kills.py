"""Trainings and studies that are killed lose nothing, and end with the numbers of others."""

import random
import signal
import time
import warnings

from harness import RECIPES, SECONDS, SEED, Child, note, same, trained

from normstudy.study import runs, store

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
TRAININGS, STUDIES = 80, 20


def assert_whole(folder, whole):
    """Require that every record is whole and that of an uninterrupted training; count them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = runs.stored(folder)
    assert all(same(run, whole[run.recipe.name]) for run in found)
    return len(found)


def left_over(folder):
    """List what is in a store beside its records."""
    return [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".json"]


def test_trainings(whole, tmp_path):
    rng, kills, taken_up, stores = random.Random(SEED), 0, 0, 0
    while kills < TRAININGS:
        folder, kept, stores = tmp_path / f"store{stores}", 0, stores + 1
        while kept < len(RECIPES) and kills < TRAININGS:
            child = Child(trained(*RECIPES, folder=folder), tmp_path)
            time.sleep(rng.uniform(0, 1 + 2 * SECONDS))
            kills += child.runs()
            child.kill(rng.choice(SIGNALS))
            child.wait(60)
            taken_up += len(list(folder.glob("unfinished/*.pt")))
            now = assert_whole(folder, whole)
            assert now >= kept, "no record is lost"
            kept = now
        ended = Child(trained(*RECIPES, folder=folder), tmp_path).wait()
        assert ended.status == 0, ended.err
        assert not [line for line in ended.lines if "not used" in line], "each is taken up"
        assert assert_whole(folder, whole) == len(RECIPES)
        assert left_over(folder) == []
    assert taken_up > 0
    note(
        "trainings killed",
        training_kills=kills,
        training_kills_with_a_checkpoint=taken_up,
        training_records_lost=0,
    )


def test_studies(whole, tmp_path):
    rng, folder, kills, workers_killed, orphans = random.Random(SEED), tmp_path / "store", 0, 0, 0
    while kills < STUDIES:
        child = Child(trained(*RECIPES, folder=folder, jobs=2), tmp_path)
        give_up = time.monotonic() + 60
        while len(child.workers()) < 2 and child.runs() and time.monotonic() < give_up:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 6 + 4 * SECONDS))
        workers = child.workers()
        kills += 1
        if workers and rng.random() < 0.4:
            workers_killed += 1
            rng.choice(workers).kill()
            ended = child.wait()
            assert ended.status == 0, ended.err
            assert "Traceback" not in ended.err
        else:
            child.kill(rng.choice(SIGNALS), group=rng.random() < 0.5)
            child.wait(60)
            give_up = time.monotonic() + 15
            while any(w.is_running() for w in workers) and time.monotonic() < give_up:
                time.sleep(0.1)
            orphans += sum(worker.is_running() for worker in workers)
        assert_whole(folder, whole)
        if not rng.randrange(4):  # begin anew now and then
            for path in store.records(folder):
                path.unlink()
    ended = Child(trained(*RECIPES, folder=folder, jobs=2), tmp_path).wait()
    assert ended.status == 0, ended.err
    assert assert_whole(folder, whole) == len(RECIPES)
    assert left_over(folder) == []
    assert orphans == 0
    note(
        "studies killed",
        study_kills=kills,
        study_workers_killed=workers_killed,
        study_records_lost=0,
    )
