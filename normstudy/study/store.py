"""Where records are kept: named JSON files, written whole, read with distrust.

A record is one file, ``<name>.json``, in a folder or one folder below it: values as JSON, so that
people and ``git diff`` can read them, arrays as compressed bytes, and a checksum over all. Nothing
is unpickled. The module knows nothing of what is recorded.
"""

import base64
import hashlib
import json
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
from filelock import FileLock

Arrays = dict[str, npt.NDArray[Any]]

_DTYPES = ("uint8", "float32")  # what arrays may be made of


class RecordError(RuntimeError):
    """A record is damaged, or cannot be kept."""


def store_folder() -> Path:
    """Folder of this machine's records: ``NORMSTUDY_STORE``, or a cache folder of this user."""
    given = os.environ.get("NORMSTUDY_STORE")
    if given:
        return Path(given).expanduser()
    return Path(platformdirs.user_cache_dir("normstudy")) / "runs"


def records(folder: Path) -> list[Path]:
    """List the records of a folder, and of the folders in it, by name."""
    found = [*folder.glob("*.json"), *folder.glob("*/*.json")]
    return sorted(found, key=lambda path: path.name)


def locate(folder: Path, name: str) -> Path | None:
    """Find a record by its name, in a folder or one folder below it."""
    path = folder / f"{name}.json"
    return path if path.exists() else next(folder.glob(f"*/{path.name}"), None)


def write(path: Path, values: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a record, whole or not at all.

    Parameters
    ----------
    path
        Where to; its folder is made.
    values
        What JSON can hold.
    arrays
        Arrays of dtype uint8 or float32.

    Raises
    ------
    OSError
        If the folder cannot be written.
    ValueError
        If a number is not finite.
    """
    packed = {
        name: {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "zlib": base64.b64encode(zlib.compress(array.tobytes(), 9)).decode(),
        }
        for name, array in arrays.items()
    }
    record = {**values, "arrays": packed}
    record["sha256"] = _checksum(record)
    content = (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Read the values and the arrays of a record, and check that they are what was written.

    Raises
    ------
    RecordError
        If the file is missing, truncated or edited.
    """
    try:
        record = json.loads(path.read_bytes())
        if "arrays_sha256" in record:
            msg = f"the record {path} was saved by an earlier version; it has to be trained again"
            raise RecordError(msg)
        if record.pop("sha256") != _checksum(record):
            msg = f"the record {path} was edited: its checksum differs; delete it and train again"
            raise RecordError(msg)
        arrays = {name: _unpack(packed) for name, packed in record.pop("arrays").items()}
    except RecordError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        msg = f"the record {path} cannot be read ({error!r}); delete it and train again"
        raise RecordError(msg) from error
    return record, arrays


def _unpack(packed: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Unpack an array, and no more bytes than its shape says."""
    if packed["dtype"] not in _DTYPES:
        msg = f"dtype {packed['dtype']!r}"
        raise ValueError(msg)
    dtype, shape = np.dtype(packed["dtype"]), tuple(map(int, packed["shape"]))
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0:  # zlib takes a limit of 0 for none
        msg = f"shape {shape}"
        raise ValueError(msg)
    content = zlib.decompressobj().decompress(base64.b64decode(packed["zlib"]), size + 1)
    if len(content) != size:
        msg = f"{len(content)} bytes for the shape {shape}"
        raise ValueError(msg)
    return np.frombuffer(content, dtype).reshape(shape)


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def lock(folder: Path, name: str) -> FileLock:
    """Return the lock of whoever makes the record ``name``, not yet acquired.

    Raises
    ------
    RecordError
        If the folder cannot be written.
    """
    path = folder / "unfinished" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        msg = (
            f"the store {folder} cannot be written ({error}); make it writable or name another "
            "folder in the environment variable NORMSTUDY_STORE"
        )
        raise RecordError(msg) from error
    return FileLock(path, thread_local=False)  # joblib may take it in one thread of several


def checkpoint(folder: Path, name: str) -> Path:
    """Return where the unfinished work on a record is kept."""
    return folder / "unfinished" / f"{name}.pt"
