"""The files of data sets: read where they are, downloaded once by torchvision where they are not.

CIFAR-10 is published as pickles. Our own reader takes nothing but arrays from them and executes
nothing, after a download as well: torchvision downloads and compares checksums.
"""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from normstudy.study import store
from normstudy.study.locks import held

Pair = tuple[Tensor, Tensor]  # images uint8 (N, H, W, C) and labels int64 (N,)
Both = tuple[Pair, Pair]  # of the training and of the test images

_MOST = 1 << 26  # bytes of a file; the largest has 47 million


class DataError(RuntimeError):
    """A data set is neither on disk nor to be downloaded, or its files are damaged."""


def data_root() -> Path:
    """Folder of the data sets: ``NORMSTUDY_DATA``, or a cache folder of this user.

    Raises
    ------
    ValueError
        If that lies in a home folder which is not known.
    """
    return store.user_folder("NORMSTUDY_DATA", "data")


def _read_digits() -> Both:
    """Read 1,797 digits of 8x8 pixels; every fifth is a test image."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow to import

    bunch = load_digits()
    images = torch.from_numpy(np.rint(bunch.images * (255 / 16)).astype(np.uint8)).unsqueeze(-1)
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    is_test = torch.arange(len(labels)) % 5 == 0
    return (images[~is_test], labels[~is_test]), (images[is_test], labels[is_test])


def read(name: str) -> Both | None:
    """Read the splits of a data set where its files can be read; else torchvision says why not.

    Importing torchvision takes longer than reading the files, and only a download needs it.
    """
    if name == "digits":
        return _read_digits()
    reader = {"cifar10": _read_cifar_batches, "mnist": _read_idx_files}[name]
    try:
        return reader(data_root())
    except Exception:  # noqa: BLE001 - a damaged file raises almost anything
        return None


class _OnlyArrays(pickle.Unpickler):
    """Unpickles arrays and what Python is made of, and runs nothing that a file may name."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up what the pickle of an array needs, and refuse anything else."""
        reconstruct = np.empty(0).__reduce__()[0]  # has lived in two modules
        allowed = {"ndarray": np.ndarray, "dtype": np.dtype, "_reconstruct": reconstruct}
        if module.partition(".")[0] == "numpy" and name in allowed:
            return allowed[name]
        msg = f"{module}.{name}"
        raise pickle.UnpicklingError(msg)


def _read_cifar_batches(root: Path) -> Both:
    """Read the six files of CIFAR-10, as https://www.cs.toronto.edu/~kriz/cifar.html has them."""
    images, labels = [], []
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        content = store.read_whole(root / "cifar-10-batches-py" / name, _MOST)
        batch = _OnlyArrays(io.BytesIO(content), encoding="latin1").load()
        images.append(batch["data"].reshape(-1, 3, 32, 32))
        labels.append(np.asarray(batch["labels"], dtype=np.int64))
    splits = []
    for part in (slice(0, 5), slice(5, 6)):
        # channels first in memory, as torchvision leaves them: the layout decides the last digits
        rows = torch.from_numpy(np.concatenate(images[part])).permute(0, 2, 3, 1)
        splits.append((rows, torch.from_numpy(np.concatenate(labels[part]))))
    return splits[0], splits[1]


def _read_idx_files(root: Path) -> Both:
    """Read the four files of MNIST, as http://yann.lecun.com/exdb/mnist/ has them."""
    splits = []
    for part in ("train", "t10k"):
        files = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
        images, labels = (store.read_whole(root / "MNIST" / "raw" / name, _MOST) for name in files)
        kind, *shape = np.frombuffer(images, ">i4", 4).tolist()
        kind_of_labels, num = np.frombuffer(labels, ">i4", 2).tolist()
        if (kind, kind_of_labels, num) != (0x803, 0x801, shape[0]):
            msg = f"the heads of {files} are {kind}, {shape} and {kind_of_labels}, {num}"
            raise ValueError(msg)
        pixels = np.frombuffer(images, np.uint8, offset=16).reshape(*shape, 1)
        digits = np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
        splits.append((torch.from_numpy(pixels.copy()), torch.from_numpy(digits)))
    return splits[0], splits[1]


def read_or_download(name: str) -> Both:
    """Read CIFAR-10 or MNIST, downloading it unless the user named a folder of their own.

    Torchvision compares MD5 checksums before it unpacks an archive.

    Raises
    ------
    DataError
        If the files are missing or damaged and no download mends that.
    """
    fetch = {"cifar10": _fetch_cifar, "mnist": _fetch_mnist}[name]
    root = data_root()
    try:
        return fetch(root, download=False)
    except Exception as on_disk:  # a damaged file raises almost anything
        reason = f"is missing or damaged there ({on_disk})"
        if os.environ.get("NORMSTUDY_DATA"):
            raise error(name, reason) from on_disk
        try:
            root.mkdir(parents=True, exist_ok=True)
            with held(FileLock(root / "download.lock"), f"downloading {name}"):
                return fetch(root, download=True)
        except Exception as download:  # and so does a broken connection
            reason += f", and the download failed ({download})"
            raise error(name, reason) from download


def _fetch_cifar(root: Path, *, download: bool) -> Both:
    """Let torchvision download and check the files, but not read them: it would unpickle freely."""
    from torchvision.datasets import CIFAR10  # noqa: PLC0415 - slow to import
    from torchvision.datasets.utils import (  # noqa: PLC0415
        check_integrity,
        download_and_extract_archive,
    )

    def damaged() -> list[str]:
        every = [*CIFAR10.train_list, *CIFAR10.test_list]
        return [n for n, md5 in every if not check_integrity(root / CIFAR10.base_folder / n, md5)]

    if download and damaged():
        about = {"filename": CIFAR10.filename, "md5": CIFAR10.tgz_md5}
        download_and_extract_archive(CIFAR10.url, str(root), **about)
    if found := damaged():
        msg = f"not there, or not as they are published: {', '.join(found)}"
        raise ValueError(msg)
    return _read_cifar_batches(root)


def _fetch_mnist(root: Path, *, download: bool) -> Both:
    from torchvision.datasets import MNIST  # noqa: PLC0415 - slow to import

    train, test = (MNIST(str(root), train=part, download=download) for part in (True, False))
    return (train.data.unsqueeze(-1), train.targets), (test.data.unsqueeze(-1), test.targets)


def error(name: str, reason: str) -> DataError:
    """Say what is wrong with the files of a data set, and name the ways out."""
    return DataError(
        f"{name} was looked for in {data_root()} and {reason}. Three ways out: connect to the "
        "internet and try again without NORMSTUDY_DATA, so that torchvision downloads it; set the "
        "environment variable NORMSTUDY_DATA to a folder that holds the files as torchvision "
        'unpacks them; or use the embedded set that needs no download, data="digits" (on the '
        "command line: --data digits)"
    )
