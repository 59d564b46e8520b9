"""Runs are kept whole, read with distrust, made once, and never lost with another."""

import hashlib
import io
import json
import multiprocessing
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from normstudy.study import runs, train
from normstudy.study.data import DataError
from normstudy.study.recipes import Recipe
from normstudy.study.runs import (
    NewerRunError,
    RunError,
    find,
    load,
    run,
    run_all,
    save,
    store_folder,
    stored,
)

TINY = Recipe(data="digits", epochs=2, batch_size=480, lr=0.1, crop=1, precision="float32")
DIVERGING = replace(TINY, norm="none", lr=1e6)
MEASURED = [name for name in train.COLUMNS if name not in ("seconds", "images_per_second")]


@pytest.fixture(autouse=True)
def nothing_published(tmp_path, monkeypatch):
    """Replace the published runs by an empty folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    monkeypatch.setattr(runs, "PUBLISHED", folder)
    return folder


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run that is trained once for all tests that only need some run."""
    return run(TINY, store=tmp_path_factory.mktemp("made"), device="cpu", progress=False)


def made_again(recipe, store, **options):
    return run(recipe, store=store, device="cpu", progress=False, **options)


def no_training(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a training began")

    monkeypatch.setattr(runs, "train", refuse)


def assert_same_run(one, other):
    assert one.recipe == other.recipe
    for name in MEASURED:
        assert one.history[name] == other.history[name], name
    assert one.clean_train == other.clean_train
    for name in ("predictions", "confidences", "weight_quantiles"):
        found = getattr(one, name)
        assert np.array_equal(found, getattr(other, name))
        assert found.dtype == getattr(other, name).dtype


# -- keeping and finding ---------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_saved(made, store):
    path = save(made, store)
    found = load(path)
    assert_same_run(found, made)
    assert found.history == made.history
    assert found.environment == made.environment
    assert sorted(p.name for p in store.iterdir()) == [f"{TINY.name}.json", f"{TINY.name}.npz"]
    assert sum(p.stat().st_size for p in store.iterdir()) < 20_000, "a run holds no pixels"


def test_a_run_is_trained_once(made, store, monkeypatch):
    first = made_again(TINY, store)
    assert_same_run(first, made)
    no_training(monkeypatch)
    second = made_again(TINY, store)
    assert_same_run(second, first)
    assert second.environment == first.environment
    with pytest.raises(AssertionError, match="a training began"):
        made_again(TINY, store, retrain=True)
    with pytest.raises(AssertionError, match="a training began"):
        made_again(replace(TINY, seed=1), store)


def test_published_runs_are_found_and_those_of_the_store_first(
    made, store, nothing_published, monkeypatch
):
    no_training(monkeypatch)
    save(made, nothing_published)
    assert_same_run(made_again(TINY, store), made)
    save(replace(made, environment=made.environment | {"device": "mine"}), store)
    assert made_again(TINY, store).environment["device"] == "mine"


def test_the_record_says_where_the_numbers_come_from(made):
    environment = made.environment
    assert environment["torch"] == torch.__version__
    assert environment["data_md5"] == "2e5899fa584f77358ac54f54ea3d7e0e"
    assert environment["numbers_version"] == train.NUMBERS_VERSIONS[TINY.norm]
    assert environment["device"]
    assert environment["git_revision"]
    assert environment["threads"] == torch.get_num_threads()
    assert environment["seconds"] == made.seconds == sum(made.history["seconds"])


def test_last_epoch_and_table(made):
    assert made.accuracy == made.history["test_accuracy"][-1]
    assert made.loss == made.history["test_loss"][-1]
    head, *lines = made.table().splitlines()
    assert len(lines) == TINY.epochs
    assert f"{made.loss:.4f}" in lines[-1]
    assert f"{made.accuracy:.2%}" in lines[-1]
    assert head.split()[:2] == ["epoch", "lr"]


def test_the_store_is_the_users_unless_the_environment_names_one(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_STORE", str(tmp_path))
    assert store_folder() == tmp_path
    monkeypatch.delenv("NORMSTUDY_STORE")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"/caches/{name}")
    assert store_folder().as_posix() == "/caches/normstudy/runs"


def test_an_interrupted_run_is_taken_up_again(made, store, monkeypatch):
    with monkeypatch.context() as patch:
        one_epoch = train._one_epoch

        def stop_after_the_first(*args):
            if args[-2] > 1:
                raise KeyboardInterrupt
            one_epoch(*args)

        patch.setattr(train, "_one_epoch", stop_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            made_again(TINY, store)
    assert find(TINY, store) is None
    assert list((store / "unfinished").glob("*.pt"))
    assert_same_run(made_again(TINY, store), made)
    assert not list((store / "unfinished").glob("*.pt"))


# -- damage ----------------------------------------------------------------------------------------


def rewrite(path, change):
    """Change a record and give it the right checksum again."""
    record = json.loads(path.read_text())
    change(record)
    record["sha256"] = runs._checksum(record)
    path.write_text(json.dumps(record))


def repack(path, content):
    """Replace the arrays and their checksum."""
    path.with_suffix(".npz").write_bytes(content)
    rewrite(path, lambda record: record.update(arrays_sha256=hashlib.sha256(content).hexdigest()))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def edit(path):
    record = json.loads(path.read_text())
    record["history"]["test_accuracy"][-1] = 0.99
    path.write_text(json.dumps(record))


def swap_arrays(path):
    values = dict(np.load(path.with_suffix(".npz")))
    values["predictions"] = 9 - values["predictions"]
    np.savez_compressed(path.with_suffix(".npz"), **values)


def pickle_arrays(path):
    buffer = io.BytesIO()
    objects = np.array([{"not": "numbers"}], dtype=object)
    np.savez(buffer, predictions=objects, confidences=objects, weight_quantiles=objects)
    repack(path, buffer.getvalue())


def halve_arrays(path):
    content = path.with_suffix(".npz").read_bytes()
    repack(path, content[: len(content) // 2])


DAMAGES = [
    (truncate, "cannot be read .*; delete it and train it again"),
    (lambda path: path.write_text("[]"), "cannot be read"),
    (lambda path: path.write_text(""), "cannot be read"),
    (edit, "was edited: its checksum differs; delete it and train it again"),
    (swap_arrays, "the arrays of the run .* are not those it was saved with"),
    (lambda path: truncate(path.with_suffix(".npz")), "are not those it was saved with"),
    (lambda path: path.with_suffix(".npz").unlink(), "cannot be read .*No such file"),
    (pickle_arrays, "cannot be read .*Object arrays cannot be loaded"),
    (halve_arrays, "cannot be read"),
    (lambda path: repack(path, b""), "cannot be read"),
    (lambda path: rewrite(path, lambda record: record.pop("history")), "cannot be read .*history"),
    (lambda path: rewrite(path, lambda record: record.pop("recipe")), "cannot be read .*recipe"),
]


@pytest.mark.parametrize(("damage", "match"), DAMAGES)
def test_a_damaged_record_is_reported_and_not_used(damage, match, made, store):
    path = save(made, store)
    damage(path)
    with pytest.raises(RunError, match=match):
        load(path)
    with pytest.warns(RuntimeWarning, match=match):
        assert find(TINY, store) is None
    with pytest.warns(RuntimeWarning, match=match):
        assert stored(store) == []


def test_a_damaged_record_is_made_again(made, store):
    edit(save(made, store))
    with pytest.warns(RuntimeWarning, match="was edited"):
        assert_same_run(made_again(TINY, store), made)
    assert_same_run(find(TINY, store), made)


def test_a_record_under_another_name_is_reported_and_not_used(made, store):
    path = save(made, store)
    other = replace(TINY, norm="group")
    for suffix in (".json", ".npz"):
        shutil.copy(path.with_suffix(suffix), store / f"{other.name}{suffix}")
    with pytest.warns(RuntimeWarning, match="holds another recipe than its name says"):
        assert find(other, store) is None


def test_numbers_of_an_older_version_are_not_used(made, store):
    environment = made.environment | {"numbers_version": train.NUMBERS_VERSIONS[TINY.norm] - 1}
    save(replace(made, environment=environment), store)
    with pytest.warns(RuntimeWarning, match=r"numbers of version \d+ of the trainer.*is not used"):
        assert find(TINY, store) is None


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
    change, match, made, store, monkeypatch
):
    no_training(monkeypatch)
    path = save(made, store)
    rewrite(path, change)
    before = path.read_bytes()
    for ask in (
        lambda: find(TINY, store),
        lambda: made_again(TINY, store),
        lambda: made_again(TINY, store, retrain=True),
        lambda: run_all([TINY], store=store, device="cpu", progress=False),
        lambda: run_all([TINY], store=store, device="cpu", progress=False, retrain=True),
    ):
        with pytest.raises(NewerRunError, match=match):
            ask()
    assert path.read_bytes() == before


def test_the_store_is_listed_without_its_damaged_runs(made, store):
    other = replace(made, recipe=replace(TINY, seed=1))
    save(made, store)
    truncate(save(other, store))
    with pytest.warns(RuntimeWarning, match="seed1.* cannot be read"):
        assert [found.recipe for found in stored(store)] == [TINY]
    assert stored(store / "nowhere") == []


# -- stores that cannot be written -----------------------------------------------------------------


def test_a_store_that_cannot_be_written_stops_before_training(tmp_path, monkeypatch):
    no_training(monkeypatch)
    (tmp_path / "file").write_text("no folder")
    match = r"the store .*file cannot be written .*name another folder in .*NORMSTUDY_STORE"
    with pytest.raises(RunError, match=match):
        made_again(TINY, tmp_path / "file")


def test_published_runs_need_no_store(made, tmp_path, nothing_published, monkeypatch):
    no_training(monkeypatch)
    save(made, nothing_published)
    (tmp_path / "file").write_text("no folder")
    assert_same_run(made_again(TINY, tmp_path / "file"), made)


def test_a_disk_that_is_full_in_the_end_does_not_lose_the_numbers(made, store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "_write", full)
    with pytest.raises(
        RunError, match=r"was trained, but .* cannot be written .*No space"
    ) as error:
        made_again(TINY, store)
    shown = str(error.value)
    assert made.table().splitlines()[0] in shown
    assert f"{made.loss:.4f}" in shown
    assert f"{made.accuracy:.2%}" in shown
    monkeypatch.undo()
    assert not list(store.glob("*.json"))
    assert_same_run(made_again(TINY, store), made)


def test_a_store_that_vanishes_during_a_run_does_not_lose_the_numbers(made, store, monkeypatch):
    def vanish(*args, **options):
        outcome = train.train(*args, **options)
        shutil.rmtree(store)
        store.write_text("a file where the folder was")
        return outcome

    monkeypatch.setattr(runs, "train", vanish)
    with pytest.raises(RunError, match=r"(?s)cannot be written.*epoch +lr") as error:
        made_again(TINY, store)
    assert f"{made.accuracy:.2%}" in str(error.value)


def test_a_file_is_whole_or_not_there(store, monkeypatch):
    def break_off(path, content):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    store.mkdir()
    (store / "run.json").write_text("old")
    monkeypatch.setattr("pathlib.Path.write_bytes", break_off)
    with pytest.raises(OSError, match="No space"):
        runs._write(store / "run.json", b"new")
    assert [p.name for p in store.iterdir()] == ["run.json"]
    assert (store / "run.json").read_text() == "old"


# -- many runs -------------------------------------------------------------------------------------


def ask(store, begin, answers, trained):
    """Ask for a run in a process of its own, and tell whether it was trained here."""
    torch.set_num_threads(1)

    def counted(*args, **options):
        trained.put(1)
        time.sleep(1)  # long enough for the other process to want the same
        return train.train(*args, **options)

    runs.train = counted
    begin.wait()
    found = run(TINY, store=store, device="cpu", progress=False)
    answers.put((found.history, found.predictions))


def test_two_processes_that_ask_at_once_share_one_training(made, store):
    context = multiprocessing.get_context("spawn")
    begin, answers, trained = context.Barrier(2), context.Queue(), context.Queue()
    arguments = (store, begin, answers, trained)
    processes = [context.Process(target=ask, args=arguments, daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    (history, predictions), (other_history, other_predictions) = (
        answers.get(timeout=900) for _ in processes
    )
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert history == other_history, "to the seconds: it is one run"
    assert np.array_equal(predictions, other_predictions)
    assert trained.get(timeout=10) == 1
    assert trained.empty()
    assert len(list(store.glob("*.json"))) == 1
    for queue in (answers, trained):
        queue.close()
        queue.join_thread()


def test_threads_that_ask_at_once_share_one_training(store, monkeypatch):
    trainings, found = [], []

    def counted(*args, **options):
        trainings.append(1)
        return train.train(*args, **options)

    monkeypatch.setattr(runs, "train", counted)
    threads = [threading.Thread(target=lambda: found.append(made_again(TINY, store))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trainings) == 1
    assert found[0].history == found[1].history


def test_runs_side_by_side_are_those_one_after_the_other(tmp_path):
    wanted = [replace(TINY, norm=norm, dropout=0.1, seed=1) for norm in ("batch", "group")]
    together, alone = (
        run_all(wanted, n_jobs=jobs, store=tmp_path / str(jobs), device="cpu", progress=False)
        for jobs in (2, 1)
    )
    assert [found.recipe for found in together] == wanted
    for one, other in zip(together, alone, strict=True):
        assert_same_run(one, other)
        assert one.environment["threads"] == other.environment["threads"] == 1


def test_one_diverging_run_does_not_lose_the_others(store):
    wanted = [TINY, DIVERGING, replace(TINY, seed=1)]
    threads = torch.get_num_threads()
    match = r"(?s)1 of 3 trainings failed.*digits-none-seed0-\w+: the loss is not finite in epoch 1"
    with pytest.raises(RunError, match=match):
        run_all(wanted, n_jobs=1, store=store, device="cpu", progress=False)
    assert [find(recipe, store) is not None for recipe in wanted] == [True, False, True]
    assert torch.get_num_threads() == threads, "the caller's threads are left alone"


def test_run_all_trains_only_what_is_missing(made, store, monkeypatch):
    no_training(monkeypatch)
    save(made, store)
    (found,) = run_all([TINY], store=store, progress=False)
    assert_same_run(found, made)
    assert run_all([], store=store) == []


def test_run_all_without_the_data_fails_once_and_at_once(store, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_DATA", str(tmp_path / "nowhere"))
    runs.data.load.cache_clear()
    with pytest.raises(DataError, match=r"mnist was looked for in .*nowhere"):
        run_all([replace(TINY, data="mnist")], n_jobs=2, store=store, progress=False)


def test_cuda_where_there_is_none(store, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    match = r'device="cuda" was asked for, but PyTorch sees no GPU here; use "cpu" or "auto"'
    with pytest.raises(ValueError, match=match):
        run(TINY, store=store, device="cuda")
    with pytest.raises(ValueError, match=match):
        run_all([TINY], store=store, device="cuda")
