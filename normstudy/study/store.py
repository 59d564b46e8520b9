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
import stat
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import platformdirs
from filelock import FileLock, Timeout

Arrays = dict[str, npt.NDArray[Any]]

_DTYPES = ("uint8", "float32")  # what arrays may be made of
_MOST = 1 << 23  # bytes of a file, and of its arrays unpacked; the largest record has 60,000


class RecordError(RuntimeError):
    """A record is damaged, or cannot be kept."""


class UnreadableError(RecordError):
    """A record is there, and this user cannot read it: it may be whole, and must be kept."""


def expanded(path: str | Path, given_as: str) -> Path:
    """Turn ``~`` into a user's home folder, which shells do not do in ``--store=~/runs``.

    Raises
    ------
    ValueError
        If that user is unknown, or has no home folder; ``given_as`` says what asked for it.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        msg = f"{given_as} is {path}, and no such home folder is known; give a path without ~"
        raise ValueError(msg) from error


def writable(path: Path, given_as: str) -> Path:
    """Make a folder, and try whether files can be written there.

    Raises
    ------
    ValueError
        If they cannot; ``given_as`` says what asked for it.
    """
    folder = expanded(path, given_as)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        msg = f"{folder} cannot be written ({error.strerror}); name another folder"
        raise ValueError(msg) from error
    return folder


def user_folder(variable: str, part: str) -> Path:
    """Folder that an environment variable names, or a part of this user's cache folder.

    Raises
    ------
    ValueError
        If no home folder of the user is known.
    """
    given = os.environ.get(variable)
    if given:
        return expanded(given, variable)
    try:  # without a home folder, not every platformdirs raises an error
        return Path(platformdirs.user_cache_dir("normstudy")).expanduser() / part
    except RuntimeError as error:
        msg = (
            "no home folder of this user is known, so there is no cache folder; name a folder for "
            f"the {part} in the environment variable {variable}"
        )
        raise ValueError(msg) from error


def store_folder() -> Path:
    """Folder of this machine's records: ``NORMSTUDY_STORE``, or a cache folder of this user.

    Raises
    ------
    ValueError
        If that lies in a home folder which is not known.
    """
    return user_folder("NORMSTUDY_STORE", "runs")


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
    write_whole(path, content)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it finds the old content or the new one, in one step.

    Raises
    ------
    OSError
        If it cannot be written; then nothing is left behind.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        with suppress(OSError):  # where the folder is gone, unlinking fails as well
            part.unlink()


def read_whole(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes; nothing else that a path can name is opened.

    Raises
    ------
    ValueError
        If it is no file (reading a pipe would wait for ever), or larger.
    OSError
        If it cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        msg = "it is no file"
        raise ValueError(msg)
    if status.st_size > most:
        msg = f"it has {status.st_size:,} bytes, and at most {most:,} are read"
        raise ValueError(msg)
    return path.read_bytes()


def read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Read the values and the arrays of a record, and check that they are what was written.

    Raises
    ------
    RecordError
        If the file is missing, truncated or edited.
    UnreadableError
        If it is there and cannot be read, as without permission.
    """
    try:
        record = json.loads(read_whole(path, _MOST), parse_constant=_refuse)
        if record.pop("sha256") != _checksum(record):
            msg = f"the record {path} was edited: its checksum differs; delete it and train again"
            raise RecordError(msg)
        arrays = {name: _unpack(packed) for name, packed in record.pop("arrays").items()}
        if sum(array.nbytes for array in arrays.values()) > _MOST:
            _refuse(f"arrays of more than {_MOST:,} bytes")
    except RecordError:
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            msg = f"the record {path} is not there"
            raise RecordError(msg) from error
        msg = (
            f"the record {path} cannot be read ({error.strerror}) and may be whole; make it "
            "readable, or name another store"
        )
        raise UnreadableError(msg) from error
    except Exception as error:  # a damaged file raises almost anything
        msg = f"the record {path} cannot be read ({error!r}); delete it and train again"
        raise RecordError(msg) from error
    return record, arrays


def _refuse(what: str) -> NoReturn:
    """Refuse numbers that JSON does not have, and arrays that are too large."""
    raise ValueError(what)


def _unpack(packed: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Unpack an array, and no more bytes than its shape says."""
    if packed["dtype"] not in _DTYPES:
        _refuse(f"dtype {packed['dtype']!r}")
    dtype, shape = np.dtype(packed["dtype"]), tuple(map(int, packed["shape"]))
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > _MOST:  # zlib takes a limit of 0 for none
        _refuse(f"shape {shape}")
    content = zlib.decompressobj().decompress(base64.b64decode(packed["zlib"]), size + 1)
    if len(content) != size:
        _refuse(f"{len(content)} bytes for the shape {shape}")
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


def forget(folder: Path, name: str) -> None:
    """Drop the unfinished work on a record, if there is any."""
    with suppress(OSError):
        checkpoint(folder, name).unlink()


def tidy(folder: Path) -> None:
    """Remove what killed processes left behind, unless another one is at work on the same record.

    That is: parts of files, checkpoints of records that are finished, and locks that nobody holds.
    """
    left = [*folder.glob("*.part"), *folder.glob("*/*.part")]
    left += [*folder.glob("unfinished/*.pt"), *folder.glob("unfinished/*.lock")]
    for name in {path.name.partition(".")[0] for path in left}:
        finished = locate(folder, name) is not None
        of_it = [p for p in left if p.name.partition(".")[0] == name]
        with suppress(OSError, RecordError, Timeout):
            mine = lock(folder, name)
            with mine.acquire(blocking=False):
                for path in of_it:
                    if path.suffix == ".part" or (path.suffix == ".pt" and finished):
                        path.unlink()
                Path(mine.lock_file).unlink()  # who has opened it since tries again
