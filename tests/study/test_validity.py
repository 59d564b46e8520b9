"""A record with the right checksum can still be nonsense: it is checked against its recipe."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from normstudy.study import runs, store
from normstudy.study.data import FACTS
from normstudy.study.recipes import Recipe
from normstudy.study.runs import PUBLISHED, find, load, run, stored
from normstudy.study.store import RecordError

TINY = Recipe(data="digits", epochs=2, batch_size=480, lr=0.1, crop=1, precision="float32")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the values and the arrays of a record that a training left."""
    folder = tmp_path_factory.mktemp("made")
    run(TINY, folder=folder, device="cpu", progress=False)
    return store.read(folder / f"{TINY.name}.json")


def put(*keys, value):
    def change(values, arrays):
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = value

    return change


def drop(*keys):
    def change(values, arrays):
        for key in keys[:-1]:
            values = values[key]
        del values[keys[-1]]

    return change


def arrays_with(**changes):
    return lambda values, arrays: arrays.update(changes)


def longer(values, arrays):
    for column in values["history"].values():
        column.append(column[-1])


N = FACTS["digits"].num_test
NONSENSE = {
    "no environment": (put("environment", value={}), "environment says nothing of torch"),
    "environment of text": (put("environment", value="here"), "no attribute 'get'"),
    "no device": (drop("environment", "device"), "environment says nothing of device"),
    "threads of text": (put("environment", "threads", value="1"), "says nothing of threads"),
    "version of text": (put("environment", "numbers_version", value="1"), "not supported between"),
    "other data": (put("environment", "data_md5", value="0"), r"trained on other data \(MD5 0\)"),
    "history of a list": (put("history", value=[]), "the history has other columns"),
    "no column": (drop("history", "lr"), "the history has other columns"),
    "another column": (put("history", "x", value=[1, 2]), "the history has other columns"),
    "longer": (longer, "the history of epoch is not that of 2 epochs"),
    "short column": (put("history", "lr", value=[0.1]), "history of lr is not that of 2 epochs"),
    "text in a column": (put("history", "lr", value="ab"), "the history of lr is not that"),
    "list in a column": (put("history", "lr", 0, value=[1]), r"history has lr = \[1\]"),
    "flag in a column": (put("history", "lr", 0, value=True), "history has lr = True"),
    "negative loss": (put("history", "test_loss", 1, value=-0.1), "history has test_loss = -0.1"),
    "accuracy 2": (put("history", "test_accuracy", 1, value=2), "history has test_accuracy = 2"),
    "negative time": (put("history", "seconds", 0, value=-1), "history has seconds = -1"),
    "epochs": (put("history", "epoch", value=[1, 3]), "the epochs are not counted from 1"),
    "clean_train": (put("clean_train", value={}), "clean_train has other names"),
    "clean accuracy": (put("clean_train", "accuracy", value=1.1), "clean_train has accuracy = 1.1"),
    "probed": (put("probed", value={"loss": [1.0, 1.0]}), "what was probed is not what the recipe"),
    "probed text": (put("probed", value="loss"), "what was probed is not what the recipe"),
    "num_scored": (put("num_scored", value=3), "num_scored is 3, not 360"),
    "three predictions": (arrays_with(predictions=np.zeros(3, np.uint8)), r"shape \(3,\), not \(3"),
    "class 99": (arrays_with(predictions=np.full(N, 99, np.uint8)), "a prediction is 99, of 10"),
    "predictions (N, 1)": (arrays_with(predictions=np.zeros((N, 1), np.uint8)), r"\(360, 1\)"),
    "sure of 2": (arrays_with(confidences=np.full(N, 2, np.float32)), "a confidence is outside"),
    "NaN": (arrays_with(confidences=np.full(N, np.nan, np.float32)), "a confidence is outside"),
    "quantiles": (
        arrays_with(weight_quantiles=np.ones(9, np.float32)),
        r"shape \(9,\), not \(1001",
    ),
    "falling": (
        arrays_with(weight_quantiles=np.linspace(1, 0, 1001, dtype=np.float32)),
        "weight_quantiles do not grow",
    ),
    "one array more": (
        arrays_with(more=np.ones(1, np.float32)),
        "unexpected keyword argument 'more'",
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_in_spite_of_its_checksum(name, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "PUBLISHED", tmp_path / "nowhere")
    values, arrays = copy.deepcopy(whole)
    change, match = NONSENSE[name]
    change(values, arrays)
    path = tmp_path / f"{TINY.name}.json"
    store.write(path, values, arrays)
    with pytest.raises(RecordError, match=match):
        load(path)
    with pytest.warns(RuntimeWarning, match=rf"cannot be read .*{match}"):
        assert find(TINY, tmp_path) is None
    with pytest.warns(RuntimeWarning, match="delete it and train again"):
        assert stored(tmp_path) == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number, whole, tmp_path):
    values, arrays = copy.deepcopy(whole)
    values["history"]["test_loss"][1] = 7.5
    path = tmp_path / f"{TINY.name}.json"
    store.write(path, values, arrays)
    record = json.loads(path.read_text().replace("7.5", number))
    del record["sha256"]
    record["sha256"] = store._checksum(record)
    path.write_text(json.dumps(record))
    with pytest.raises(RecordError, match="delete it and train again"):
        load(path)


def test_what_a_training_leaves_is_valid(whole, tmp_path):
    path = tmp_path / f"{TINY.name}.json"
    store.write(path, *whole)
    assert load(path).recipe == TINY
    other = replace(TINY, validation=True, epochs=1)
    assert run(other, folder=tmp_path, device="cpu", progress=False).num_scored == 287


def test_every_published_run_is_valid():
    paths = store.records(PUBLISHED)
    assert len(paths) > 50
    for path in paths:
        assert load(path).recipe.name == path.stem
