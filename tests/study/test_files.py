"""The files of data sets are read whole or not at all, and downloaded once."""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import datasets

from normstudy.study import data, files
from normstudy.study.files import DataError

CLASSES = [f"class {k}" for k in range(10)]


# -- small stand-ins for the two downloaded sets ---------------------------------------------------


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def expect(monkeypatch, name, *arrays):
    """Let the loader expect these images and labels, in the layout (N, H, W, C) and int64."""
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    facts = replace(data.FACTS[name], md5=md5(content))
    monkeypatch.setattr(data, "FACTS", {**data.FACTS, name: facts})


@pytest.fixture
def fresh(monkeypatch):
    """Forget loaded sets before and after, and refuse the network."""
    calls = []

    def no_network(request, *_, **__):
        calls.append(request)
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    data.load.cache_clear()
    yield calls
    data.load.cache_clear()


@pytest.fixture
def cifar(tmp_path, monkeypatch, fresh):
    """Write six batches of eight random images as CIFAR-10's files, and have them expected."""
    rng = np.random.default_rng(0)
    root = tmp_path / "sets"
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    images = rng.integers(0, 256, (6, 8, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, (6, 8))
    listed = []
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        batch = {"data": images[number].reshape(8, -1), "labels": labels[number].tolist()}
        content = pickle.dumps(batch)
        (folder / name).write_bytes(content)
        listed.append([name, md5(content)])
    meta = pickle.dumps({"label_names": CLASSES})
    (folder / "batches.meta").write_bytes(meta)
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(meta)}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", listed[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", listed[5:])
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    images = images.transpose(0, 1, 3, 4, 2)
    expect(monkeypatch, "cifar10", images[:5], labels[:5], images[5], labels[5])
    monkeypatch.setenv("NORMSTUDY_DATA", str(root))
    return SimpleNamespace(root=root, folder=folder, images=images, labels=labels)


@pytest.fixture
def mnist(tmp_path, monkeypatch, fresh):
    """Write a few random images as MNIST's four files."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "sets" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    arrays = []
    for name, num in (("train", 20), ("t10k", 5)):
        images = rng.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, num, dtype=np.uint8)
        header = struct.pack(">4i", 0x803, num, 28, 28)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = struct.pack(">2i", 0x801, num)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
        arrays += [images, labels.astype(np.int64)]
    expect(monkeypatch, "mnist", *arrays)
    monkeypatch.setenv("NORMSTUDY_DATA", str(tmp_path / "sets"))
    return SimpleNamespace(folder=folder, images=arrays[0], labels=arrays[1])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Name no folder, so that the user's own is used; here it is an empty one."""
    monkeypatch.delenv("NORMSTUDY_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


# -- reading ---------------------------------------------------------------------------------------


def test_cifar10_is_read_as_it_is_on_disk(cifar, fresh):
    found = data.load("cifar10")
    assert torch.equal(found.train.images, torch.tensor(cifar.images[:5].reshape(40, 32, 32, 3)))
    assert found.train.labels.tolist() == cifar.labels[:5].ravel().tolist()
    assert torch.equal(found.test.images, torch.tensor(cifar.images[5]))
    assert found.test.labels.tolist() == cifar.labels[5].tolist()
    assert found.train.images.dtype == torch.uint8
    assert found.train.labels.dtype == torch.int64
    assert found.classes == data.FACTS["cifar10"].classes
    assert (found.in_channels, found.size, found.mirror) == (3, 32, True)
    assert fresh == []


def test_mnist_has_one_channel_and_no_mirror_images(mnist, fresh):
    found = data.load("mnist")
    assert torch.equal(found.train.images, torch.tensor(mnist.images)[..., None])
    assert found.train.labels.tolist() == mnist.labels.tolist()
    assert found.classes == tuple("0123456789")
    assert (found.in_channels, found.size, found.mirror) == (1, 28, False)
    assert len(found.test) == 5
    assert fresh == []


THREE_WAYS_OUT = (
    r"(?s)connect to the internet.*NORMSTUDY_DATA to a folder that holds.*data=\"digits\""
)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_folder_that_is_not_there_is_named(name, fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=rf"{name} was looked for in .*nowhere and is missing"):
        data.load(name)
    with pytest.raises(DataError, match=THREE_WAYS_OUT):
        data.load(name)
    assert fresh == [], "a folder that the user named is not filled by downloading"
    assert not (tmp_path / "nowhere").exists()


def test_a_home_folder_that_is_not_known_is_told(fresh, monkeypatch):
    monkeypatch.setenv("NORMSTUDY_DATA", "~nosuchuser/sets")
    with pytest.raises(ValueError, match=r"NORMSTUDY_DATA is ~nosuchuser.sets, and no such home"):
        data.load("mnist")


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def empty(path):
    path.write_bytes(b"")


DAMAGES = [halve, flip_a_bit, empty, os.remove]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_damaged_cifar10_is_not_used(cifar, fresh, damage, name):
    damage(cifar.folder / name)
    with pytest.raises(DataError, match=r"is missing or damaged there \(.*" + THREE_WAYS_OUT[4:]):
        data.load("cifar10")
    assert fresh == []


def test_reading_needs_no_torchvision(cifar, mnist, monkeypatch):
    monkeypatch.setattr(files, "read_or_download", None)
    monkeypatch.setenv("NORMSTUDY_DATA", str(cifar.root))
    assert len(data.load("cifar10").train) == 40
    monkeypatch.setenv("NORMSTUDY_DATA", str(mnist.folder.parents[1]))
    assert len(data.load("mnist").train) == 20


def test_a_batch_that_would_run_something_is_not_unpickled(cifar, tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    (cifar.folder / "data_batch_1").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="is missing or damaged there"):
        data.load("cifar10")
    assert not (tmp_path / "exploded").exists()


def test_not_even_one_with_the_right_checksum(cifar, tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    content = pickle.dumps(Bomb())
    (cifar.folder / "data_batch_1").write_bytes(content)
    listed = [["data_batch_1", md5(content)], *datasets.CIFAR10.train_list[1:]]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", listed)
    with pytest.raises(DataError, match="is missing or damaged there"):
        data.load("cifar10")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_damaged_mnist_is_not_used(mnist, fresh, damage, name):
    damage(mnist.folder / name)
    with pytest.raises(DataError, match=r"damaged there.*connect to the internet"):
        data.load("mnist")
    assert fresh == []


def test_mnist_with_a_wrong_head_is_not_used(mnist):
    path = mnist.folder / "train-images-idx3-ubyte"
    path.write_bytes(b"\xff" * 4 + path.read_bytes()[4:])
    with pytest.raises(DataError, match="is missing or damaged there"):
        data.load("mnist")


# -- downloading -----------------------------------------------------------------------------------


def serve(monkeypatch, content, cut_at=None):
    """Answer every request with these bytes; break off in the middle if asked to."""
    asked = []

    class Answer(io.BytesIO):
        length = len(content)
        url = None

        def read(self, size=-1):
            if cut_at is not None and self.tell() >= cut_at:
                raise IncompleteRead(b"", len(content) - cut_at)
            return super().read(size)

    def urlopen(request, *_, **__):
        asked.append(request.full_url)
        return Answer(content)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return asked


@pytest.fixture
def packed(cifar, cache, monkeypatch):
    """Pack the small CIFAR-10 as it lies on the server, and take it off the disk."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(cifar.folder, cifar.folder.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(buffer.getvalue()))
    shutil.rmtree(cifar.root)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
@pytest.mark.parametrize("variable", [None, ""])
def test_without_network_the_three_ways_out_are_named(name, variable, fresh, cache, monkeypatch):
    if variable is not None:
        monkeypatch.setenv("NORMSTUDY_DATA", variable)
    with pytest.raises(DataError, match=r"download failed \((?s:.*)no route to host"):
        data.load(name)
    with pytest.raises(DataError, match=THREE_WAYS_OUT):
        data.load(name)
    assert fresh, "a download was tried"


# Python 3.12 and 3.13 warn of a default of Python 3.14 while torchvision unpacks the archive.
@pytest.mark.filterwarnings("ignore:Python 3.14 will")
def test_a_set_is_downloaded_once(packed, cache, monkeypatch):
    asked = serve(monkeypatch, packed)
    data.load("cifar10")
    assert asked
    asked.clear()
    data.load.cache_clear()
    data.load("cifar10")
    assert asked == []
    assert (cache / "cifar-10-batches-py").is_dir()


@pytest.mark.filterwarnings("ignore:Python 3.14 will")
def test_a_broken_download_is_reported_and_the_next_one_mends_it(packed, cache, monkeypatch):
    serve(monkeypatch, packed, cut_at=len(packed) // 2)
    with pytest.raises(DataError, match="and the download failed"):
        data.load("cifar10")
    serve(monkeypatch, packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"and the download failed.*corrupted"):
        data.load("cifar10")
    serve(monkeypatch, packed)
    assert len(data.load("cifar10").train) == 40


DOWNLOAD = """
import json, sys
from dataclasses import replace
from torchvision import datasets
from normstudy.study import data
known = json.loads(sys.argv[1])
for name in ("url", "tgz_md5", "train_list", "test_list", "meta"):
    setattr(datasets.CIFAR10, name, known[name])
facts = {**data.FACTS, "cifar10": replace(data.FACTS["cifar10"], md5=known["md5"])}
data.FACTS = facts
print(len(data.load("cifar10").train))
"""


@pytest.mark.filterwarnings("ignore:Python 3.14 will")
@pytest.mark.processes
def test_two_processes_that_download_at_once_both_get_the_set(packed, tmp_path):
    asked = []

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed[: len(packed) // 2])
            time.sleep(4)
            self.wfile.write(packed[len(packed) // 2 :])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        known = {name: getattr(datasets.CIFAR10, name) for name in ("tgz_md5", "meta")}
        known |= {name: getattr(datasets.CIFAR10, name) for name in ("train_list", "test_list")}
        known |= {"md5": data.FACTS["cifar10"].md5}
        known |= {"url": f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"}
        line = [sys.executable, "-W", "ignore", "-c", DOWNLOAD, json.dumps(known)]
        inherited = {k: v for k, v in os.environ.items() if k != "NORMSTUDY_DATA"}
        environ = inherited | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        both = [subprocess.Popen(line, env=environ, **pipes) for _ in range(2)]
        told = [process.communicate(timeout=300) for process in both]
        server.shutdown()
    assert [out.splitlines()[-1:] for out, _ in told] == [["40"], ["40"]], told
    assert len(asked) <= 2, "torchvision asks twice for each download"
    assert "".join(err for _, err in told).count("is downloading cifar10; waiting for it") == 1


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch"])
def test_what_is_no_file_or_too_large_is_refused_at_once(name, cifar, fresh):
    path = cifar.folder / name
    content = path.read_bytes()
    path.write_bytes(b"")
    os.truncate(path, 1_500_000_000)  # of zeros, which take no room
    with pytest.raises(ValueError, match="1,500,000,000 bytes, and at most 67,108,864 are read"):
        files._read_cifar_batches(cifar.root)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="it is no file"):
        files._read_cifar_batches(cifar.root)
    path.unlink()
    path.write_bytes(content)
    assert len(data.load("cifar10").train) == 40


def test_a_full_disk_while_downloading_is_reported(packed, cache, monkeypatch):
    serve(monkeypatch, packed)
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"and the download failed.*File exists"):
        data.load("cifar10")
