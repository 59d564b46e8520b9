"""Unfinished trainings: kept after each epoch, taken up only where they continue to the bit.

A checkpoint is an offer, never an obstacle: one that is damaged, of another recipe, or from a
machine that rounds otherwise is told and not used. The file is a checksum and what ``torch.save``
writes, and is read with ``weights_only``: nothing in it is executed.
"""

import hashlib
import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from normstudy.study import store

_DIGEST = hashlib.sha256().digest_size


def size_of(state: object) -> int:
    """Count the bytes that a state takes in a file."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return len(buffer.getvalue())


def write(path: Path, about: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a state, whole or not at all; what cannot be written is told and hinders nothing.

    Parameters
    ----------
    path
        Where to; its folder is there.
    about
        What must be equal where the state is taken up, as JSON values.
    state
        Tensors, numbers, text, and lists and dicts of these.
    """
    buffer = io.BytesIO()
    torch.save({"about": dict(about), "state": dict(state)}, buffer)
    content = buffer.getvalue()
    try:
        store.write_whole(path, hashlib.sha256(content).digest() + content)
    except OSError as error:
        msg = f"no checkpoint {path}: {error}; training goes on"
        warnings.warn(msg, RuntimeWarning, stacklevel=2)


def read(
    path: Path, about: Mapping[str, Any], *, most: int, device: torch.device
) -> dict[str, Any] | None:
    """Read a state, if it is whole and everything about it is equal; else say why it is not used.

    Parameters
    ----------
    path
        Where from.
    about
        What must be equal.
    most
        Bytes that the file may have, and hold once unpacked.
    device
        Where its tensors go.
    """
    if not path.exists():
        return None
    try:
        saved = _whole(path, most, device)
        then, state = saved["about"], dict(saved["state"])
        if why := "; ".join(filter(None, (_differs(n, then.get(n), about[n]) for n in about))):
            raise ValueError(why)
    except Exception as error:  # noqa: BLE001 - a damaged file raises almost anything
        refuse(path, error)
        return None
    return state


def _whole(path: Path, most: int, device: torch.device) -> Any:
    """Read what was written, and not one byte that was not."""
    content = store.read_whole(path, most + _DIGEST)
    digest, content = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        msg = "it is damaged"
        raise ValueError(msg)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > most:
            msg = f"it would unpack to more than {most:,} bytes"
            raise ValueError(msg)
    try:
        return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:  # whose text tells how to read it all the same
        msg = "it holds more than tensors and numbers"
        raise ValueError(msg) from error


def refuse(path: Path, why: Exception) -> None:
    """Say why a checkpoint is not used."""
    first = (str(why) or repr(why)).splitlines()[0]
    msg = f"the checkpoint {path} is not used: {first}; the training begins anew"
    warnings.warn(msg, RuntimeWarning, stacklevel=3)


def _differs(name: str, then: object, now: object) -> str:
    """Say in a few words what differs, if anything does."""
    if then == now:
        return ""
    return f"another {name}" if isinstance(now, dict) else f"{name} was {then}, and is {now}"
