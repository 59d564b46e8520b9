"""Runs are kept whole, read with distrust, made once, and never lost with another."""

import base64
import json
import multiprocessing
import shutil
import threading
import time
import zlib
from collections import Counter
from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch
from filelock import Timeout

from normstudy.study import environment, locks, runs, store, train
from normstudy.study.crew import Crew
from normstudy.study.data import FACTS
from normstudy.study.files import DataError
from normstudy.study.recipes import Recipe
from normstudy.study.runs import NewerRunError, RunError, find, load, run, run_all, save, stored
from normstudy.study.store import RecordError
from normstudy.study.train import numbers_version

TINY = Recipe(data="digits", epochs=2, batch_size=480, lr=0.1, crop=1, precision="float32")
OTHERS = [replace(TINY, seed=seed) for seed in (1, 2, 3)]
DIVERGING = replace(TINY, norm="none", lr=1e6)
MEASURED = [name for name in train.COLUMNS if name not in ("seconds", "images_per_second")]


@pytest.fixture(autouse=True)
def nothing_published(tmp_path, monkeypatch):
    """Replace the published runs by an empty folder."""
    published = tmp_path / "published"
    published.mkdir()
    monkeypatch.setattr(runs, "PUBLISHED", published)
    return published


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def no_folder(tmp_path):
    """Return a store that cannot be written, nor even be made."""
    (tmp_path / "file").write_text("no folder")
    return tmp_path / "file"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run that is trained once for all tests that only need some run."""
    return run(TINY, folder=tmp_path_factory.mktemp("made"), device="cpu", progress=False)


def made_again(recipe, folder, **options):
    return run(recipe, folder=folder, device="cpu", progress=False, **options)


def made_all(recipes, folder, **options):
    return run_all(recipes, folder=folder, device="cpu", progress=False, **options)


def no_training(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a training began")

    monkeypatch.setattr(runs, "train", refuse)


def assert_same_run(one, other):
    assert one.recipe == other.recipe
    for name in MEASURED:
        assert one.history[name] == other.history[name], name
    assert one.clean_train == other.clean_train
    assert one.num_scored == other.num_scored
    for name in ("predictions", "confidences", "weight_quantiles"):
        found = getattr(one, name)
        assert np.array_equal(found, getattr(other, name))
        assert found.dtype == getattr(other, name).dtype


def assert_no_locks(folder, recipes):
    for recipe in recipes:
        with store.lock(folder, recipe.name).acquire(blocking=False):
            pass


# -- keeping and finding ---------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_saved(made, folder):
    path = save(made, folder)
    found = load(path)
    assert_same_run(found, made)
    assert found.history == made.history
    assert found.environment == made.environment
    assert [p.name for p in folder.iterdir()] == [f"{TINY.name}.json"]
    assert path.stat().st_size < 20_000, "a run holds no pixels"


def test_a_run_is_an_outcome_and_two_fields_more(made):
    assert isinstance(made, train.Outcome)
    own = set(runs.Run.__dataclass_fields__) - set(train.Outcome.__dataclass_fields__)
    assert own == {"recipe", "environment"}


def test_a_run_on_held_out_images_keeps_no_arrays_of_them(folder):
    recipe = replace(TINY, epochs=1, validation=True)
    first = made_again(recipe, folder)
    found = find(recipe, folder)
    assert_same_run(found, first)
    assert found.num_scored == 287
    assert (found.predictions.shape, found.confidences.shape) == ((0,), (0,))
    assert "valid acc" in found.table()


def test_a_run_is_trained_once(made, folder, monkeypatch):
    first = made_again(TINY, folder)
    assert_same_run(first, made)
    no_training(monkeypatch)
    second = made_again(TINY, folder)
    assert_same_run(second, first)
    assert second.environment == first.environment
    with pytest.raises(AssertionError, match="a training began"):
        made_again(TINY, folder, retrain=True)
    with pytest.raises(AssertionError, match="a training began"):
        made_again(replace(TINY, seed=1), folder)


def test_published_runs_are_found_and_those_of_the_store_first(
    made, folder, nothing_published, monkeypatch
):
    no_training(monkeypatch)
    save(made, nothing_published / "digits-separable")
    assert_same_run(made_again(TINY, folder), made)
    save(replace(made, environment=made.environment | {"device": "mine"}), folder)
    assert made_again(TINY, folder).environment["device"] == "mine"


def test_finding_takes_no_lock_and_writes_nothing(made, folder, no_folder, nothing_published):
    save(made, nothing_published)
    for place in (folder, no_folder):
        assert_same_run(find(TINY, place), made)
        assert_same_run(made_again(TINY, place), made)
        assert_same_run(made_all([TINY], place)[0], made)
        assert find(OTHERS[0], place) is None
    assert not folder.exists()
    assert no_folder.read_text() == "no folder"


def test_a_run_is_found_while_another_process_holds_its_lock(made, folder):
    save(made, folder)
    with store.lock(folder, TINY.name):
        assert_same_run(made_again(TINY, folder), made)
        assert_same_run(made_all([TINY], folder)[0], made)


def test_a_run_is_replaced_where_it_lies(made, folder, pretended):
    save(made, folder / "digits-separable")
    found = made_again(TINY, folder, retrain=True)
    assert [p.parent.name for p in store.records(folder)] == ["digits-separable"]
    assert find(TINY, folder).history == found.history != made.history


def test_the_record_says_where_the_numbers_come_from(made):
    about = made.environment
    assert about["torch"] == torch.__version__
    assert about["data_md5"] == FACTS["digits"].md5 == "2e5899fa584f77358ac54f54ea3d7e0e"
    assert about["numbers_version"] == numbers_version(TINY)
    assert about["device"]
    assert about["git_revision"]
    assert about["threads"] == torch.get_num_threads()
    assert set(environment.describe(torch.device("cpu"))) < set(about)
    assert made.seconds == sum(made.history["seconds"])


def test_last_epoch_and_table(made):
    assert made.accuracy == made.history["test_accuracy"][-1]
    assert made.loss == made.history["test_loss"][-1]
    head, *lines = made.table().splitlines()
    assert len(lines) == TINY.epochs
    assert f"{made.loss:.4f}" in lines[-1]
    assert f"{made.accuracy:.2%}" in lines[-1]
    assert head.split()[:2] == ["epoch", "lr"]


def test_an_interrupted_run_is_taken_up_again(made, folder, monkeypatch):
    with monkeypatch.context() as patch:
        one_epoch = train._one_epoch

        def stop_after_the_first(state, epoch, bar):
            if epoch > 1:
                raise KeyboardInterrupt
            one_epoch(state, epoch, bar)

        patch.setattr(train, "_one_epoch", stop_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            made_again(TINY, folder)
    assert find(TINY, folder) is None
    assert_no_locks(folder, [TINY])
    assert list((folder / "unfinished").glob("*.pt"))
    assert_same_run(made_again(TINY, folder), made)
    assert not list((folder / "unfinished").glob("*.pt"))


# -- damage ----------------------------------------------------------------------------------------


def rewrite(path, change):
    """Change a record and give it the right checksum again."""
    record = json.loads(path.read_text())
    record.pop("sha256")
    change(record)
    record["sha256"] = store._checksum(record)
    path.write_text(json.dumps(record))


def without(*keys):
    """Make a damage that takes something out of a record and keeps its checksum right."""

    def change(record):
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return lambda path: rewrite(path, change)


def with_predictions(**changes):
    change = lambda record: record["arrays"]["predictions"].update(changes)  # noqa: E731
    return lambda path: rewrite(path, change)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def edit(path):
    record = json.loads(path.read_text())
    record["history"]["test_accuracy"][-1] = 0.99
    path.write_text(json.dumps(record))


BOMB = base64.b64encode(zlib.compress(bytes(10_000_000))).decode()
DAMAGES = [
    (truncate, "cannot be read .*; delete it and train again"),
    (lambda path: path.write_text("[]"), "cannot be read"),
    (lambda path: path.write_text(""), "cannot be read"),
    (edit, "was edited: its checksum differs; delete it and train again"),
    (with_predictions(dtype="object"), "cannot be read .*dtype 'object'"),
    (with_predictions(dtype="float32"), r"cannot be read .*360 bytes for the shape \(360,\)"),
    (with_predictions(shape=[361]), r"cannot be read .*360 bytes for the shape \(361,\)"),
    (with_predictions(zlib=BOMB), r"cannot be read .*361 bytes for the shape \(360,\)"),
    (without("arrays"), "cannot be read .*'arrays'"),
    (without("arrays", "predictions"), "cannot be read .*'predictions'"),
    (without("arrays", "weight_quantiles"), "cannot be read .*'weight_quantiles'"),
    (without("history"), "cannot be read .*it has no 'history'"),
    (without("num_scored"), "cannot be read .*it has no 'num_scored'"),
    (without("environment"), "cannot be read .*it has no 'environment'"),
    (without("recipe"), "cannot be read .*it has no 'recipe'"),
]


@pytest.mark.parametrize(("damage", "match"), DAMAGES)
def test_a_damaged_record_is_reported_and_not_used(damage, match, made, folder):
    path = save(made, folder)
    damage(path)
    with pytest.raises(RecordError, match=match):
        load(path)
    with pytest.warns(RuntimeWarning, match=match):
        assert find(TINY, folder) is None
    with pytest.warns(RuntimeWarning, match=match):
        assert stored(folder) == []


def test_a_damaged_record_of_the_store_hides_no_published_run(made, folder, nothing_published):
    save(made, nothing_published)
    truncate(save(made, folder))
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        assert_same_run(find(TINY, folder), made)


def test_a_damaged_record_is_made_again(made, folder):
    edit(save(made, folder))
    with pytest.warns(RuntimeWarning, match="was edited"):
        assert_same_run(made_again(TINY, folder), made)
    assert_same_run(find(TINY, folder), made)


def test_a_record_under_another_name_is_reported_and_not_used(made, folder):
    other = replace(TINY, norm="group")
    shutil.copy(save(made, folder), folder / f"{other.name}.json")
    with pytest.warns(RuntimeWarning, match="holds another recipe than its name says"):
        assert find(other, folder) is None


def test_a_field_that_is_not_read_makes_no_other_run(made, folder):
    save(made, folder)
    same = replace(TINY, num_groups=3)
    assert TINY.norm == "batch", "which has no groups"
    assert_same_run(find(same, folder), replace(made, recipe=same))


@pytest.mark.parametrize("older", [{"numbers_version": numbers_version(TINY) - 1}, {}])
def test_numbers_of_an_older_version_are_not_used(older, made, folder):
    about = {name: made.environment[name] for name in made.environment if "version" not in name}
    save(replace(made, environment=about | older), folder)
    with pytest.warns(RuntimeWarning, match=r"numbers of version 0 of the trainer.*is not used"):
        assert find(TINY, folder) is None


def newer_field(record):
    record["recipe"]["label_smoothing"] = 0.0  # a default there, so the digest and name are ours


def newer_norm(record):
    record["recipe"]["norm"] = "rms"


def newer_numbers(record):
    record["environment"]["numbers_version"] += 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (newer_field, "label_smoothing, which this version .* newer version; upgrade normstudy"),
        (newer_norm, "cannot be used: norm='rms' is unknown.*; upgrade normstudy"),
        (newer_numbers, r"has numbers of version \d+ .*; upgrade normstudy"),
    ],
)
def test_a_record_of_a_newer_version_is_neither_used_nor_replaced(
    change, match, made, folder, monkeypatch
):
    no_training(monkeypatch)
    path = save(made, folder)
    rewrite(path, change)
    before = path.read_bytes()
    for ask in (
        lambda: find(TINY, folder),
        lambda: made_again(TINY, folder),
        lambda: made_again(TINY, folder, retrain=True),
        lambda: made_all([TINY], folder),
        lambda: made_all([OTHERS[0], TINY], folder, retrain=True),
    ):
        with pytest.raises(NewerRunError, match=match):
            ask()
    assert path.read_bytes() == before
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_the_store_is_listed_without_its_damaged_runs(made, folder):
    save(made, folder)
    truncate(save(replace(made, recipe=OTHERS[0]), folder))
    with pytest.warns(RuntimeWarning, match="seed1.* cannot be read"):
        assert [found.recipe for found in stored(folder)] == [TINY]
    assert stored(folder / "nowhere") == []


# -- stores that cannot be written -----------------------------------------------------------------


def test_a_store_that_cannot_be_written_stops_before_training(no_folder, monkeypatch):
    no_training(monkeypatch)
    match = r"the store .*file cannot be written .*name another folder in .*NORMSTUDY_STORE"
    for ask in (
        lambda: made_again(TINY, no_folder),
        lambda: made_all([TINY], no_folder, n_jobs=1),
        lambda: made_all([TINY, *OTHERS], no_folder, n_jobs=2),
    ):
        with joblib.parallel_config("threading"), pytest.raises(RecordError, match=match):
            ask()


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_in_the_end_does_not_lose_the_numbers(made, folder, monkeypatch):
    monkeypatch.setattr(store, "write", full)
    with pytest.raises(
        RunError, match=r"was trained, but .* cannot be written .*No space"
    ) as error:
        made_again(TINY, folder)
    shown = str(error.value)
    assert made.table().splitlines()[0] in shown
    assert f"{made.loss:.4f}" in shown
    assert f"{made.accuracy:.2%}" in shown
    monkeypatch.undo()
    assert store.records(folder) == []
    assert_no_locks(folder, [TINY])
    assert_same_run(made_again(TINY, folder), made)


def test_one_run_that_cannot_be_kept_does_not_lose_the_others(folder, pretended, monkeypatch):
    def sometimes_full(made, place):
        return full() if made.recipe == OTHERS[1] else save(made, place)

    monkeypatch.setattr(runs, "save", sometimes_full)
    with pytest.raises(RunError, match=r"(?s)1 of 3 trainings failed.*seed2.*No space.*epoch +lr"):
        made_all(OTHERS, folder, n_jobs=1)
    assert [find(recipe, folder) is not None for recipe in OTHERS] == [True, False, True]


def test_a_store_that_vanishes_during_a_run_does_not_lose_the_numbers(made, folder, monkeypatch):
    def vanish(*args, **options):
        outcome = train.train(*args, **options)
        shutil.rmtree(folder)
        folder.write_text("a file where the folder was")
        return outcome

    monkeypatch.setattr(runs, "train", vanish)
    with pytest.raises(RunError, match=r"(?s)cannot be written.*epoch +lr") as error:
        made_again(TINY, folder)
    assert f"{made.accuracy:.2%}" in str(error.value)


# -- many runs -------------------------------------------------------------------------------------


def ask(folder, begin, answers, trained):
    """Ask for a run at the same time as another process, and tell whether it was trained here."""

    def counted(*args, **options):
        trained.put(1)
        time.sleep(1)  # long enough for the other process to want the same
        return train.train(*args, **options)

    runs.train = counted
    begin.wait()
    found = made_again(TINY, folder)
    answers.put((found.history, found.predictions))


@pytest.mark.processes
def test_two_processes_that_ask_at_once_share_one_training(folder, monkeypatch):
    monkeypatch.setattr(runs, "train", runs.train)  # what ask changes here is undone
    context = multiprocessing.get_context("spawn")
    begin, answers, trained = context.Barrier(2), context.Queue(), context.Queue()
    arguments = (folder, begin, answers, trained)
    other = context.Process(target=ask, args=arguments, daemon=True)
    other.start()
    ask(*arguments)
    (history, predictions), (other_history, other_predictions) = (
        answers.get(timeout=900) for _ in range(2)
    )
    other.join()
    assert other.exitcode == 0
    assert history == other_history, "to the seconds: it is one run"
    assert np.array_equal(predictions, other_predictions)
    assert trained.get(timeout=10) == 1
    assert trained.empty()
    assert len(list(folder.glob("*.json"))) == 1
    for queue in (answers, trained):
        queue.close()
        queue.join_thread()


def in_thread(call):
    """Call in a thread, and collect the answer in a list."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()
    return thread, answers


def test_threads_that_ask_at_once_share_one_training(folder, pretended):
    asked = [in_thread(lambda: made_again(TINY, folder)) for _ in range(2)]
    for thread, _ in asked:
        thread.join(60)
    assert pretended == [TINY]
    (one,), (other,) = (answers for _, answers in asked)
    assert one.history == other.history


@pytest.mark.processes
def test_runs_of_any_backend_are_those_one_after_the_other(tmp_path, monkeypatch):
    wanted = [replace(TINY, norm=norm, dropout=0.1, seed=1) for norm in ("batch", "group")]
    alone = made_all(wanted, tmp_path / "alone", n_jobs=1)
    for backend in ("threading", "loky"):
        far_away, here = tmp_path / "far" / backend, tmp_path / backend  # workers see the former
        monkeypatch.setattr(store, "checkpoint", lambda _, name, folder=far_away: folder / name)
        with joblib.parallel_config(backend):
            together = made_all(wanted, here, n_jobs=2)
        assert [found.recipe for found in together] == wanted
        for one, other in zip(together, alone, strict=True):
            assert_same_run(one, other)
            assert one.environment["threads"] == other.environment["threads"] == 1
            assert_same_run(find(one.recipe, here), one)
        assert far_away.is_dir(), "the worker makes the folder of its checkpoints"
        assert_no_locks(here, wanted)


def test_a_worker_without_a_place_for_checkpoints_trains_all_the_same(made, no_folder):
    here = environment.this_process()
    with pytest.warns(RuntimeWarning, match=r"no checkpoint .*a\.pt: .*; training goes on"):
        name, result = runs._worker(TINY, no_folder / "unfinished" / "a.pt", "cpu", here)
    assert name == TINY.name
    assert_same_run(result, made)


def test_one_diverging_run_does_not_lose_the_others(folder):
    wanted = [TINY, DIVERGING, replace(TINY, seed=1)]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        match = (
            r"(?s)1 of 3 trainings failed, 2 are kept in .*; the same command goes on with the "
            r"others:\ndigits-none-seed0-\w+: the loss is not finite in epoch"
        )
        with pytest.raises(RunError, match=match):
            made_all(wanted, folder, n_jobs=1)
        assert torch.get_num_threads() == threads + 1, "the caller's threads are left alone"
    finally:
        torch.set_num_threads(threads)
    found = [find(recipe, folder) for recipe in wanted]
    assert [there is not None for there in found] == [True, False, True]
    assert found[0].environment["threads"] == 1
    assert_no_locks(folder, wanted)


def test_run_all_trains_only_what_is_missing_and_returns_runs_in_order(made, folder, pretended):
    save(made, folder)
    wanted = [OTHERS[1], TINY, OTHERS[0], OTHERS[1]]
    found = made_all(wanted, folder, n_jobs=1)
    assert [there.recipe for there in found] == wanted
    assert pretended == [OTHERS[1], OTHERS[0]]
    assert_same_run(found[1], made)
    assert found[0] is found[3]
    assert made_all([], folder) == []


def test_run_all_trains_again_when_told_so(made, folder, pretended):
    save(made, folder)
    (found,) = made_all([TINY], folder, n_jobs=1, retrain=True)
    assert pretended == [TINY]
    assert find(TINY, folder).history == found.history != made.history


def test_each_record_is_read_once(folder, pretended, nothing_published, monkeypatch):
    made_all(OTHERS[:2], folder, n_jobs=1)
    made_all(OTHERS[2:], nothing_published, n_jobs=1)
    read = Counter()

    def counting(path):
        read[path.stem] += 1
        return load(path)

    monkeypatch.setattr(runs, "load", counting)
    made_all([*OTHERS, TINY, *OTHERS], folder, n_jobs=1)
    assert read == dict.fromkeys((recipe.name for recipe in OTHERS), 1)
    assert len(pretended) == 4


def test_no_more_workers_start_than_there_are_trainings(folder, pretended, monkeypatch):
    asked = []

    class Watched(joblib.Parallel):
        def __init__(self, n_jobs, **options):
            asked.append(n_jobs)
            super().__init__(n_jobs=1, **options)

    monkeypatch.setattr(joblib, "Parallel", Watched)
    made_all([TINY, *OTHERS], folder, n_jobs=64)
    made_all([TINY, *OTHERS, replace(TINY, seed=50)], folder, n_jobs=2)
    assert len(pretended) == len(OTHERS) + 2
    assert asked == [len(OTHERS) + 1, 1]


def test_training_again_forgets_what_was_unfinished(made, folder):
    save(made, folder)
    for again in (made_again, lambda recipe, *rest, **more: made_all([recipe], *rest, **more)[0]):
        checkpoint = store.checkpoint(folder, TINY.name)
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.write_text("of an earlier version of the code")
        assert_same_run(again(TINY, folder, retrain=True), made)  # and nothing is told
        assert not checkpoint.exists()


@pytest.fixture
def found_left(pretended, monkeypatch):
    """Tell of each training whether it began beside a checkpoint."""
    pretend, found = runs.train, []

    def looking(recipe, *, checkpoint, **options):
        found.append(checkpoint.exists())
        return pretend(recipe, **options)

    monkeypatch.setattr(runs, "train", looking)
    return found


@pytest.mark.parametrize("call", [run, lambda recipe, **o: run_all([recipe], n_jobs=1, **o)[0]])
def test_who_trains_again_touches_nothing_while_another_process_trains(
    call, folder, pretended, found_left, monkeypatch
):
    waits, checkpoint = threading.Event(), store.checkpoint(folder, TINY.name)
    monkeypatch.setattr(locks, "say", lambda text: waits.set())  # the last word before waiting
    theirs = store.lock(folder, TINY.name)
    theirs.acquire()
    checkpoint.write_text("of the other process, which is at work")
    thread, answers = in_thread(lambda: call(TINY, folder=folder, device="cpu", retrain=True))
    assert waits.wait(60)
    assert checkpoint.exists()
    assert pretended == []
    theirs.release()
    thread.join(60)
    assert [found.recipe for found in answers] == pretended == [TINY]
    assert found_left == [False], "what the other one left is of no use to a training anew"


def test_what_a_killed_worker_left_is_taken_up_by_a_training_anew(
    folder, pretended, found_left, monkeypatch
):
    class Killed(Crew):
        """Has each training begun by a worker that is killed after an epoch."""

        def make(self, names, jobs):
            for name in names:
                self.task(name)
                store.checkpoint(folder, name).parent.mkdir(parents=True, exist_ok=True)
                store.checkpoint(folder, name).write_text("an epoch")
            return super().make(names, jobs)

    monkeypatch.setattr(runs, "Crew", Killed)
    made_all([TINY], folder, n_jobs=1, retrain=True)
    assert (pretended, found_left) == ([TINY], [True])


def test_what_killed_processes_left_is_gone_after_the_next_start(made, folder):
    save(made, folder / "digits-separable")
    left = folder / "unfinished"
    left.mkdir()
    other = OTHERS[0].name
    leave = [
        folder / f"{TINY.name}.json.77.part",
        folder / "digits-separable" / f"{other}.json.77.part",
        store.checkpoint(folder, TINY.name),
        left / f"{other}.pt.77.part",
        left / f"{other}.lock",
    ]
    for path in [*leave, store.checkpoint(folder, other)]:
        path.write_text("left")
    with store.lock(folder, OTHERS[1].name):
        at_work = left / f"{OTHERS[1].name}.pt.78.part"
        at_work.write_text("at work")
        assert_same_run(made_again(TINY, folder), made)
        assert at_work.exists()
    assert not [path for path in leave if path.exists()]
    assert store.checkpoint(folder, other).exists(), "this one is to be taken up"
    made_all([TINY], folder)
    assert [path.name for path in left.iterdir()] == [f"{other}.pt"]


def test_an_unreadable_record_is_not_replaced(made, folder, monkeypatch):
    no_training(monkeypatch)
    path = save(made, folder)
    before = path.read_bytes()

    def denied(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    match = r"cannot be read \(Permission denied\) and may be whole; make it readable, or name an"
    for ask in (made_again, lambda *a, **o: made_all([a[0]], *a[1:], **o)):
        for retrain in (False, True):
            with pytest.raises(RecordError, match=match):
                ask(TINY, folder, retrain=retrain)
    with pytest.warns(RuntimeWarning, match=match):
        assert stored(folder) == []
    monkeypatch.undo()
    assert path.read_bytes() == before


def test_every_data_set_is_prepared_before_any_worker_starts(folder, pretended, monkeypatch):
    events, prepare = [], runs.data.load
    monkeypatch.setattr(
        runs.data, "load", lambda name: events.append((name, len(pretended))) or prepare("digits")
    )
    wanted = [replace(TINY, data=data) for data in ("digits", "mnist", "digits", "cifar10")]
    made_all(wanted, folder, n_jobs=1)
    assert events[:3] == [("digits", 0), ("mnist", 0), ("cifar10", 0)]
    assert len(pretended) == 3


def test_run_all_refuses_fewer_than_one_training_at_a_time(folder, pretended):
    with pytest.raises(ValueError, match="n_jobs=-1 is out of range; accepted: 1 or more, or None"):
        made_all([TINY], folder, n_jobs=-1)
    assert pretended == []


def test_run_all_without_the_data_fails_once_and_at_once(folder, pretended, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_DATA", str(tmp_path / "nowhere"))
    runs.data.load.cache_clear()
    with pytest.raises(DataError, match=r"mnist was looked for in .*nowhere"):
        made_all([TINY, replace(TINY, data="mnist")], folder, n_jobs=2)
    assert pretended == []
    assert not folder.exists()


@pytest.mark.parametrize("ends", ["made", "given up", "made, but to be trained again"])
def test_what_another_process_is_making_is_waited_for(ends, made, folder, pretended):
    retrain = ends.endswith("again")
    theirs = store.lock(folder, TINY.name)
    theirs.acquire()
    thread, answers = in_thread(
        lambda: made_all([TINY, *OTHERS], folder, n_jobs=1, retrain=retrain)
    )
    give_up = time.monotonic() + 60
    while len(store.records(folder)) < len(OTHERS) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert pretended == OTHERS, "the others are made meanwhile"
    thread.join(0.2)
    assert thread.is_alive(), "and this one is waited for"
    if ends != "given up":
        save(made, folder)
    theirs.release()
    thread.join(60)
    assert [found.recipe for found in answers[0]] == [TINY, *OTHERS]
    if ends == "made":
        assert pretended == OTHERS
        assert_same_run(answers[0][0], made)
    else:
        assert pretended == [*OTHERS, TINY]
        assert answers[0][0].environment["threads"] == 1
    assert_no_locks(folder, [TINY, *OTHERS])


def test_what_another_process_made_since_is_not_made_again(made, folder, pretended, monkeypatch):
    lock = store.lock

    def late(place, name):  # between the first look and the lock
        save(replace(made, recipe=TINY), place)
        return lock(place, name)

    monkeypatch.setattr(store, "lock", late)
    assert_same_run(made_again(TINY, folder), made)
    (folder / f"{TINY.name}.json").unlink()
    assert_same_run(made_all([TINY], folder, n_jobs=1)[0], made)
    assert pretended == []
    monkeypatch.undo()
    assert_no_locks(folder, [TINY])


def test_locks_are_held_while_a_run_is_made_and_released_when_it_is_interrupted(
    folder, pretended, monkeypatch
):
    pretend, held = runs.train, []

    def interrupted(recipe, **options):
        with pytest.raises(Timeout):
            store.lock(folder, recipe.name).acquire(blocking=False)
        held.append(recipe)
        if recipe == OTHERS[1]:
            raise KeyboardInterrupt
        return pretend(recipe, **options)

    monkeypatch.setattr(runs, "train", interrupted)
    with pytest.raises(KeyboardInterrupt) as interruption:
        made_all(OTHERS, folder, n_jobs=1)
    assert held == OTHERS[:2]
    assert_no_locks(folder, OTHERS)
    assert interruption.tb, "released, not only forgotten: the traceback still knows the locks"
    assert find(OTHERS[0], folder) is not None
    assert torch.get_num_threads() == environment.describe(torch.device("cpu"))["threads"]


@pytest.mark.filterwarnings("ignore:.*tasks:UserWarning")  # joblib's, of what it cancels
def test_locks_are_released_when_this_process_is_interrupted(folder, pretended, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "save", interrupted)
    with joblib.parallel_config("threading"), pytest.raises(KeyboardInterrupt) as interruption:
        made_all(OTHERS, folder, n_jobs=2)
    assert_no_locks(folder, OTHERS)
    assert interruption.tb
    assert store.records(folder) == []


def test_the_bar_counts_trainings(folder, pretended, capsys):
    run_all(OTHERS, folder=folder, device="cpu", n_jobs=1)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Trainings: 100%" in shown.err
    assert "3/3" in shown.err


def test_cuda_where_there_is_none(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    match = r'device="cuda" was asked for, but PyTorch sees no GPU here; use "cpu" or "auto"'
    with pytest.raises(ValueError, match=match):
        run(TINY, folder=folder, device="cuda")
    with pytest.raises(ValueError, match=match):
        run_all([TINY], folder=folder, device="cuda")
    assert_no_locks(folder, [TINY])


@pytest.mark.gpu
def test_several_trainings_share_one_gpu(folder):
    recipes = [replace(TINY, epochs=6, batch_size=128, seed=seed) for seed in range(6)]
    found = run_all(recipes, folder=folder, device="cuda", n_jobs=3, progress=False)
    alone = run(recipes[0], folder=folder / "alone", device="cuda", progress=False)
    assert {made.environment["device"] for made in found} == {torch.cuda.get_device_name()}
    assert min(made.accuracy for made in found) > 0.8
    assert found[0].accuracy == pytest.approx(alone.accuracy, abs=0.03)
    assert_no_locks(folder, recipes)
