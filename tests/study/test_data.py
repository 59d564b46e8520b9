"""Data sets are read whole or not at all, and augmented images are what they claim to be."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import datasets
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms

from normstudy.study import data, files, recipes
from normstudy.study.data import FACTS, ImageSet, Split, draw_batch, to_display
from normstudy.study.files import DataError
from normstudy.study.recipes import DATASETS, Recipe

CLASSES = [f"class {k}" for k in range(10)]
MIRRORED = "cifar10"  # the one set in which a mirror image keeps its class


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
    assert (found.in_channels, found.size, found.facts.mirror) == (3, 32, True)
    assert fresh == []


def test_mnist_has_one_channel_and_no_mirror_images(mnist, fresh):
    found = data.load("mnist")
    assert torch.equal(found.train.images, torch.tensor(mnist.images)[..., None])
    assert found.train.labels.tolist() == mnist.labels.tolist()
    assert found.classes == tuple("0123456789")
    assert (found.in_channels, found.size, found.facts.mirror) == (1, 28, False)
    assert len(found.test) == 5
    assert fresh == []


def test_digits_need_no_disk_and_no_network(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSTUDY_DATA", str(tmp_path / "nothing"))
    found = data.load("digits")
    assert (len(found.train), len(found.test)) == (1437, 360)
    assert (found.in_channels, found.size, found.facts.mirror) == (1, 8, False)
    assert found.train.images.max() == 255
    assert fresh == []


def test_there_is_one_line_of_facts_for_each_data_set():
    assert tuple(FACTS) == DATASETS
    assert [facts.title for facts in FACTS.values()] == ["CIFAR-10", "MNIST", "Digits"]
    with pytest.raises(TypeError, match="does not support item assignment"):
        FACTS["svhn"] = FACTS["mnist"]


def test_a_set_is_held_once():
    assert data.load("digits") is data.load("digits")


def test_the_real_sets_are_whole_where_they_are_at_hand():
    root = files.data_root()
    there = {"cifar10": root / "cifar-10-batches-py", "mnist": root / "MNIST"}
    names = ["digits", *(name for name, folder in there.items() if folder.is_dir())]
    for name in names:
        found = data.load(name)
        held_out = found.validation_split()[1]
        if name != "digits":
            assert len(found.train) == {"cifar10": 50_000, "mnist": 60_000}[name]
            assert len(found.test) == 10_000
            assert len(held_out) == 5_000
        assert held_out.labels.unique().tolist() == list(range(10))
        assert len(found.classes) == len(set(found.classes)) == 10


THREE_WAYS_OUT = (
    r"(?s)connect to the internet.*NORMSTUDY_DATA to a folder that holds.*data=\"digits\""
)


def test_an_unknown_set_is_refused():
    match = "data set 'imagenet' is unknown; accepted: cifar10, mnist, digits"
    with pytest.raises(ValueError, match=match):
        data.load("imagenet")


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


def test_names_of_classes_are_torchvisions():
    names = datasets.MNIST.classes
    assert data.FACTS["mnist"].classes == tuple(name.split(" - ")[0] for name in names)
    assert len(set(data.FACTS["cifar10"].classes)) == 10


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


# -- normalizing and splitting ---------------------------------------------------------------------


def some_set(num=6, size=8, channels=3, *, mirror=True, seed=0):
    """Random images in which no two pixels of one image and channel are equal."""
    rng = np.random.default_rng(seed)
    pixels = rng.permuted(np.tile(np.arange(256, dtype=np.uint8), (num, channels, 1)), axis=2)
    pixels = pixels[:, :, : size * size].reshape(num, channels, size, size)
    images = torch.tensor(pixels.transpose(0, 2, 3, 1).copy())
    split = Split(images, torch.arange(num) % 10)
    mean, std = torch.arange(channels) + 100.0, torch.arange(channels) + 50.0
    return ImageSet(MIRRORED if mirror else "mnist", split, split, tuple(CLASSES), mean, std)


def test_training_images_have_mean_0_and_variance_1_in_each_channel(cifar):
    for name in ("cifar10", "digits"):
        found = data.load(name)
        pixels = found.normalize(found.train.images).double()
        assert pixels.mean((0, 2, 3)).abs().max() < 1e-4
        assert (pixels.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-4


def test_normalized_images_are_channels_last():
    images = some_set().normalize(some_set().train.images)
    assert images.shape == (6, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_copies_of_a_set_keep_everything():
    one = some_set()
    copy = one.to("cpu")
    assert torch.equal(copy.train.images, one.train.images)
    assert torch.equal(copy.test.labels, one.test.labels)
    assert torch.equal(copy.mean, one.mean)
    assert torch.equal(copy.std, one.std)
    assert (copy.name, copy.facts, copy.classes) == (one.name, one.facts, one.classes)


def numbered(num):
    """Return a set of images of one pixel whose labels are their numbers."""
    split = Split(torch.zeros(num, 1, 1, 1, dtype=torch.uint8), torch.arange(num))
    return replace(some_set(), train=split)


@pytest.mark.parametrize(("num", "held_out"), [(50_000, 5_000), (60_000, 5_000), (1_437, 287)])
def test_the_validation_split_is_fixed_and_disjoint(num, held_out):
    train, validation = numbered(num).validation_split()
    assert len(validation) == held_out
    assert torch.equal(torch.cat([train.labels, validation.labels]).sort()[0], torch.arange(num))
    torch.manual_seed(123)
    assert torch.equal(numbered(num).validation_split()[1].labels, validation.labels)


def test_the_validation_split_of_50000_images_is_the_one_of_the_published_search():
    held_out = numbered(50_000).validation_split()[1].labels
    assert held_out[:5].tolist() == [36_044, 49_165, 37_807, 11_341, 6_091]


# -- augmenting ------------------------------------------------------------------------------------

PLAIN = Recipe(crop=0, flip=False)


def draw(image_set, recipe, seed=0, index=None):
    index = torch.arange(len(image_set.train)) if index is None else index
    generator = torch.Generator().manual_seed(seed)
    return draw_batch(image_set, image_set.train, index, recipe, generator)


def all_crops(image_set, number, crop, *, mirror):
    """Every crop of the reflected image and, where allowed, its mirror image; normalized."""
    image = image_set.train.images[number].numpy()
    padded = np.pad(image, ((crop, crop), (crop, crop), (0, 0)), mode="reflect")
    size = len(image)
    for top in range(2 * crop + 1):
        for left in range(2 * crop + 1):
            part = padded[top : top + size, left : left + size]
            for shown in (part, part[:, ::-1])[: 1 + mirror]:
                normal = (shown - image_set.mean.numpy()) / image_set.std.numpy()
                yield normal.transpose(2, 0, 1).astype(np.float32)


@settings(max_examples=40)
@given(
    st.integers(3, 8).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_batches_hold_crops_of_the_reflected_images(size_and_crop, channels, flip, mirror, seed):
    size, crop = size_and_crop
    images = some_set(3, size, channels, mirror=mirror)
    batch = draw(images, Recipe(crop=crop, flip=flip), seed)
    assert batch.dtype == torch.float32
    for number, image in enumerate(batch.numpy()):
        crops = all_crops(images, number, crop, mirror=flip and mirror)
        assert any(np.allclose(image, one, atol=1e-6) for one in crops)


def test_all_crops_and_mirror_images_are_equally_likely():
    images = some_set(1)
    num = 9_000
    batch = draw(images, Recipe(crop=1), index=torch.zeros(num, dtype=torch.int64))
    crops = torch.tensor(np.array(list(all_crops(images, 0, 1, mirror=True))))
    hits = torch.isclose(batch[:, None], crops[None], atol=1e-6).flatten(2).all(2)
    assert hits.sum(1).eq(1).all(), "each image is one of the 18, which all differ"
    expected = num / 18
    assert (hits.sum(0) - expected).abs().max() < 5 * expected**0.5


def test_digits_are_never_mirrored():
    images = some_set(1, mirror=False)
    batch = draw(images, Recipe(crop=0, flip=True), index=torch.zeros(500, dtype=torch.int64))
    assert torch.equal(batch, batch[:1].expand(500, -1, -1, -1))
    assert [name for name, facts in FACTS.items() if facts.mirror] == [MIRRORED]
    assert recipes.MIRRORED == (MIRRORED,)


EVERYTHING = Recipe(crop=2, rotation=7.0, shear=5.0, translation=0.1, scaling=0.1, jitter=0.2)


@pytest.mark.parametrize("recipe", [Recipe(crop=2), EVERYTHING])
def test_augmentation_follows_the_generator_alone(recipe):
    images = some_set()
    one = draw(images, recipe, seed=1)
    torch.manual_seed(99)
    assert torch.equal(draw(images, recipe, seed=1), one)
    assert not torch.equal(draw(images, recipe, seed=2), one)
    assert one.shape == (6, 3, 8, 8)
    assert torch.isfinite(one).all()


def test_without_augmentation_a_batch_is_the_selected_images():
    images = some_set()
    index = torch.tensor([4, 0, 4])
    assert torch.equal(
        draw(images, PLAIN, index=index), images.normalize(images.train.images[index])
    )


def test_padding_that_leaves_nothing_to_reflect_is_refused():
    with pytest.raises(ValueError, match="crop=8 is too large for 8x8 images; accepted: 0 to 7"):
        draw(some_set(), Recipe(crop=8))


def plane(size=32, num=200):
    """Images on which grey rises by 4 a pixel to the right and by 2 a pixel downwards."""
    rise = torch.arange(size) * 4 + torch.arange(size)[:, None] * 2
    pixels = rise.to(torch.uint8)[None, :, :, None].expand(num, -1, -1, 1)
    split = Split(pixels, torch.zeros(num, dtype=torch.int64))
    zero = torch.zeros(1)
    return ImageSet("mnist", split, split, tuple(CLASSES), zero, zero + 1)


def fit(batch):
    """Slopes to the right and downwards, and height in the centre, of the inner half of each image.

    Bilinear interpolation of a plane is a plane, so whatever the warp the fit has to be exact.
    """
    size = batch.shape[-1]
    inner = slice(size // 4, -size // 4)
    position = torch.arange(size, dtype=torch.float64)[inner] - (size - 1) / 2
    down, right = torch.meshgrid(position, position, indexing="ij")
    basis = torch.stack([right.flatten(), down.flatten(), torch.ones(right.numel())], 1)
    values = batch[:, 0, inner, inner].double().flatten(1).T
    found = torch.linalg.lstsq(basis, values).solution
    assert (basis @ found - values).abs().max() < 1e-3
    return found


def close(found, expected):
    torch.testing.assert_close(found, torch.full_like(found, expected), rtol=1e-5, atol=1e-4)


def test_rotation_turns_the_slope_and_nothing_else():
    right, down, centre = fit(draw(plane(), replace(PLAIN, rotation=20.0)))
    turned = torch.rad2deg(torch.atan2(down, right) - torch.atan2(*torch.tensor([2.0, 4.0])))
    assert 15 < turned.max() <= 20.01
    assert -20.01 <= turned.min() < -15
    close(right.hypot(down), 20**0.5)
    close(centre, 6 * 15.5)


def test_shear_moves_rows_sideways_and_nothing_else():
    right, down, centre = fit(draw(plane(), replace(PLAIN, shear=15.0)))
    angle = torch.rad2deg(torch.atan((down - 2) / 4))
    assert 11 < angle.max() <= 15.01
    assert -15.01 <= angle.min() < -11
    close(right, 4.0)
    close(centre, 6 * 15.5)


def test_shear_is_torchvisions():
    recipe, num = replace(PLAIN, shear=15.0), 8
    _, down, _ = fit(draw(plane(num=num), recipe))  # the same generator draws the same angles
    angles = torch.rad2deg(torch.atan((down - 2) / 4)).tolist()
    images = some_set(num, size=16)
    before, after = draw(images, PLAIN), draw(images, recipe)
    for angle, image, found in zip(angles, before, after, strict=True):
        expected = transforms.affine(
            image, 0.0, [0, 0], 1.0, [angle, 0.0], InterpolationMode.BILINEAR
        )
        inner = (slice(None), slice(None), slice(4, -4))  # beyond the edge it is black there
        torch.testing.assert_close(found[inner], expected[inner], rtol=0, atol=1e-3)


def test_without_shear_a_warp_draws_the_numbers_it_always_did():
    generator = torch.Generator().manual_seed(0)
    torch.randint(0, 1, (2, 6, 1), generator=generator)  # the crop
    draws = [torch.rand(6, generator=generator) for _ in range(4)]  # angle, scale, two shifts
    follow = torch.Generator().manual_seed(0)
    images = some_set()
    draw_batch(images, images.train, torch.arange(6), replace(PLAIN, rotation=5.0), follow)
    assert len(draws) == 4
    assert torch.equal(follow.get_state(), generator.get_state())


def test_translation_moves_the_plane_by_at_most_its_fraction_of_the_side():
    right, down, centre = fit(draw(plane(), replace(PLAIN, translation=0.125)))
    close(right, 4.0)
    close(down, 2.0)
    moved = centre - 6 * 15.5
    assert 6 * 3 < moved.abs().max() <= 6 * 4 + 1e-3  # four of 32 pixels, in both directions
    assert moved.min() < 0 < moved.max()


def test_scaling_divides_the_slope():
    right, down, centre = fit(draw(plane(), replace(PLAIN, scaling=0.25)))
    scale = 4 / right
    close(scale * down, 2.0)
    assert 0.75 - 1e-5 <= scale.min() < 0.8
    assert 1.2 < scale.max() <= 1.25 + 1e-5
    close(centre, 6 * 15.5)


def test_a_warp_by_nothing_is_the_identity():
    images = some_set()
    tiny = replace(PLAIN, rotation=1e-9)
    torch.testing.assert_close(draw(images, tiny), draw(images, PLAIN), rtol=0, atol=1e-4)


def test_jitter_is_one_contrast_and_one_brightness_for_each_image():
    images = some_set(100)
    before = draw(images, PLAIN).flatten(1).double()
    after = draw(images, replace(PLAIN, jitter=0.3)).flatten(1).double()
    brightness = after.mean(1) - before.mean(1)
    contrast = after.std(1) / before.std(1)
    centred = before - before.mean(1, keepdim=True)
    rebuilt = centred * contrast[:, None] + (before.mean(1) + brightness)[:, None]
    torch.testing.assert_close(after, rebuilt, rtol=0, atol=1e-5)
    assert 0.25 < brightness.abs().max() <= 0.3 + 1e-6
    assert 0.25 < (contrast - 1).abs().max() <= 0.3 + 1e-6


# -- showing ---------------------------------------------------------------------------------------


@given(st.sampled_from([1, 3]), st.integers(1, 4), st.integers(1, 5))
def test_images_are_displayed_in_their_colours(channels, num, size):
    images = some_set(num, size, channels).train.images
    shown = to_display(images)
    assert shown.shape == (num, size, size, 3)
    assert np.array_equal(np.rint(shown * 255), np.broadcast_to(images.numpy(), shown.shape))
    assert shown.min() >= 0
    assert shown.max() <= 1
