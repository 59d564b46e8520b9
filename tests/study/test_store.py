"""Records are written whole, found by name, and read with distrust."""

import ast
import base64
import json
import os
import sys
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from filelock import Timeout
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from normstudy.study import store
from normstudy.study.store import (
    RecordError,
    UnreadableError,
    checkpoint,
    locate,
    lock,
    read,
    records,
    write,
)

VALUES = {"history": {"loss": [0.1, 1 / 3]}, "name": "a", "nothing": None}
ARRAYS = {"hits": np.arange(250, dtype=np.uint8), "sure": np.linspace(0, 1, 6, dtype=np.float32)}


@pytest.fixture
def path(tmp_path):
    """Write a record and return its path."""
    write(tmp_path / "a.json", VALUES, ARRAYS)
    return tmp_path / "a.json"


# -- writing and reading ---------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(max_size=8).filter(lambda name: name not in ("arrays", "sha256"))
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
ANY_ARRAY = st.sampled_from([np.uint8, np.float32]).flatmap(
    lambda dtype: arrays_of.arrays(dtype, SHAPES)
)


@settings(max_examples=30)
@given(st.dictionaries(NAMES, JSON, max_size=3), st.dictionaries(st.text(), ANY_ARRAY, max_size=3))
def test_a_record_is_read_as_it_was_written(values, arrays):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new" / "record.json"
        write(path, values, arrays)
        found_values, found_arrays = read(path)
    assert found_values == values
    assert list(found_arrays) == list(arrays)
    for name, array in arrays.items():
        assert found_arrays[name].dtype == array.dtype
        assert found_arrays[name].shape == array.shape
        assert found_arrays[name].tobytes() == array.tobytes()


def test_a_record_is_one_file_that_people_can_read(path):
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]
    lines = path.read_text().splitlines()
    assert ' "name": "a",' in lines
    assert "   0.1," in lines, "a number is a line, which git can compare"


def test_a_record_is_replaced(path):
    write(path, VALUES | {"name": "b"}, {})
    assert read(path) == (VALUES | {"name": "b"}, {})


def test_a_file_is_whole_or_not_there(path, monkeypatch):
    before = path.read_bytes()

    def break_off(part, content):
        part.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", break_off)
    with pytest.raises(OSError, match="No space"):
        write(path, VALUES | {"name": "b"}, ARRAYS)
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_nothing_is_written(number, path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Out of range float values"):
        write(path, VALUES | {"loss": number}, ARRAYS)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


# -- damage ----------------------------------------------------------------------------------------


def rewrite(path, change):
    """Change a record and give it the right checksum again."""
    record = json.loads(path.read_text())
    record.pop("sha256")
    change(record)
    record["sha256"] = store._checksum(record)
    path.write_text(json.dumps(record))


def change_array(**changes):
    """Make a damage of the first array that keeps the checksum right."""

    def change(record):
        record["arrays"]["hits"] |= changes

    return lambda path: rewrite(path, change)


def packed(content):
    return base64.b64encode(zlib.compress(content)).decode()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def edit(path):
    path.write_text(path.read_text().replace("0.1,", "0.2,"))


def edit_array(path):
    record = json.loads(path.read_text())
    record["arrays"]["hits"]["zlib"] = packed(bytes(250))
    path.write_text(json.dumps(record))


BOMB = packed(bytes(50_000_000))
DAMAGES = {
    "truncated": (truncate, r"cannot be read \(JSONDecodeError.*; delete it and train again"),
    "empty": (lambda path: path.write_text(""), "cannot be read"),
    "no JSON": (lambda path: path.write_bytes(b"\xff\x00"), "cannot be read"),
    "a list": (lambda path: path.write_text("[]"), "cannot be read"),
    "gone": (lambda path: path.unlink(), "is not there"),
    "edited": (edit, "was edited: its checksum differs; delete it and train again"),
    "edited array": (edit_array, "was edited: its checksum differs"),
    "no checksum": (lambda path: path.write_text("{}"), r"cannot be read \(KeyError\('sha256'"),
    "no arrays": (
        lambda path: rewrite(path, lambda record: record.pop("arrays")),
        r"cannot be read \(KeyError\('arrays'",
    ),
    "objects": (change_array(dtype="object"), r"cannot be read \(ValueError\(\"dtype 'object'"),
    "other dtype": (change_array(dtype="int64"), r"dtype 'int64'"),
    "wrong dtype": (change_array(dtype="float32"), r"250 bytes for the shape \(250,\)"),
    "too few values": (change_array(shape=[251]), r"250 bytes for the shape \(251,\)"),
    "too many values": (change_array(shape=[25, 9]), r"226 bytes for the shape \(25, 9\)"),
    "negative": (change_array(shape=[-1]), r"shape \(-1,\)"),
    "no shape": (change_array(shape=None), "cannot be read"),
    "too many bytes": (change_array(zlib=BOMB), r"251 bytes for the shape \(250,\)"),
    "a bomb": (change_array(zlib=BOMB, shape=[-1]), r"shape \(-1,\)"),
    "no zlib": (change_array(zlib=base64.b64encode(bytes(250)).decode()), "cannot be read"),
    "no base64": (change_array(zlib="a"), "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_refused(damage, path):
    change, match = DAMAGES[damage]
    change(path)
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match=match) as error:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000, "no more is unpacked than was said"
    finally:
        tracemalloc.stop()
    assert str(path) in str(error.value)


def test_what_is_no_file_or_too_large_is_not_opened(path, monkeypatch):
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RecordError, match=r"cannot be read \(ValueError\('it is no file'\)"):
        read(path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1_500_000_000)  # of zeros, which take no room
    with pytest.raises(RecordError, match=r"it has 1,500,000,000 bytes, and at most 8,388,608 "):
        read(path)


def test_what_would_unpack_to_too_much_is_refused(path):
    zeros = zlib.compressobj(9)
    first, again = (
        zeros.compress(bytes(10_000_000)) + zeros.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    bomb = first + 149 * again + zeros.flush()  # what was flushed may be repeated
    bomb = base64.b64encode(bomb).decode()
    assert len(bomb) < 2_100_000
    for shape in ([1_500_000_000], [8_000_000]):
        change_array(zlib=bomb, shape=shape)(path)
        tracemalloc.start()
        with pytest.raises(RecordError, match="cannot be read"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
        tracemalloc.stop()


def test_a_record_without_permission_is_not_damaged(path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    with pytest.raises(UnreadableError, match=r"\(Permission denied\) and may be whole; make it"):
        read(path)


@given(st.data())
@settings(max_examples=40)
def test_no_byte_of_a_record_can_change_unseen(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        write(path, VALUES, ARRAYS)
        content = bytearray(path.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            values, arrays = read(path)
        except RecordError:
            return
    assert values == VALUES, "only white space may change"
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)


# -- finding ---------------------------------------------------------------------------------------


def test_a_record_is_found_in_a_folder_or_one_below(tmp_path):
    for name in ("b", "study/a", "other/c", "too/deep/d"):
        write(tmp_path / f"{name}.json", {}, {})
    (tmp_path / "a.txt").write_text("no record")
    assert [p.relative_to(tmp_path).as_posix() for p in records(tmp_path)] == [
        *("study/a.json", "b.json", "other/c.json")
    ]
    assert locate(tmp_path, "a") == tmp_path / "study" / "a.json"
    assert locate(tmp_path, "b") == tmp_path / "b.json"
    assert locate(tmp_path, "d") is None
    write(tmp_path / "a.json", {}, {})
    assert locate(tmp_path, "a") == tmp_path / "a.json", "the folder itself comes first"


def test_a_folder_that_is_none_holds_no_records(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for place in (tmp_path / "nowhere", tmp_path / "file"):
        assert records(place) == []
        assert locate(place, "a") is None


def test_the_store_is_the_users_unless_the_environment_names_one(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_STORE", str(tmp_path))
    assert store.store_folder() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NORMSTUDY_STORE", "~/runs")
    assert store.store_folder() == tmp_path / "runs"
    monkeypatch.delenv("NORMSTUDY_STORE")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"/caches/{name}")
    assert store.store_folder().as_posix() == "/caches/normstudy/runs"


# -- working on a record ---------------------------------------------------------------------------


def test_one_at_a_time_works_on_a_record(tmp_path):
    mine, yours, other = lock(tmp_path, "a"), lock(tmp_path, "a"), lock(tmp_path, "b")
    with mine:
        with pytest.raises(Timeout):
            yours.acquire(blocking=False)
        with other:
            pass
    with yours:
        assert yours.is_locked
    assert records(tmp_path) == []
    assert checkpoint(tmp_path, "a").parent == Path(mine.lock_file).parent


def test_a_store_that_cannot_be_written_is_told_before_any_work(tmp_path):
    (tmp_path / "file").write_text("no folder")
    match = r"the store .*file cannot be written .*name another folder in .*NORMSTUDY_STORE"
    with pytest.raises(RecordError, match=match):
        lock(tmp_path / "file", "a")


def test_the_store_knows_no_recipes():
    tree = ast.parse(Path(store.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    others = {name.split(".")[0] for name in names} - sys.stdlib_module_names
    assert others == {"numpy", "platformdirs", "filelock"}
