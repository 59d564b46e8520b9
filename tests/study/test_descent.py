"""An epoch is the same on every device: the same images in the same order, and the same steps."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from fakes import Card
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from tqdm import tqdm

from normstudy.study import data, descent, train
from normstudy.study.descent import Descent, show
from normstudy.study.recipes import Recipe

TINY = Recipe(data="digits", epochs=2, batch_size=128, lr=0.1, crop=1, precision="float32")
RICH = replace(TINY, rotation=5.0, shear=5.0, translation=0.05, scaling=0.05, jitter=0.1, l1=1e-4)
MEASURED = ("lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "penalty")
FULL, SMALL = divmod(1437, 128)  # steps of a full batch, images of the last one


def trained(recipe, device="cpu"):
    return train.train(recipe, device=device, progress=False)


def start(recipe, device="cpu"):
    where = torch.device(device)
    return train._start(recipe, data.load(recipe.data).to(where), where)


@pytest.fixture
def ahead(monkeypatch):
    """Have the CPU work as a GPU does: an epoch is drawn at its start and read at its end."""
    monkeypatch.setattr(Descent, "on_gpu", property(lambda self: True))


@pytest.mark.parametrize("changes", [{}, {"dropout": 0.2}, {"l1_step": "proximal"}])
def test_an_epoch_drawn_at_its_start_has_the_numbers_of_one_drawn_step_by_step(
    changes, request, monkeypatch
):
    recipe = replace(RICH, **changes)
    expected = trained(recipe)
    request.getfixturevalue("ahead")
    monkeypatch.setattr(descent, "can_record", lambda recipe: False)
    found = trained(recipe)
    for name in MEASURED:
        assert found.history[name] == expected.history[name], name
    assert (found.weight_quantiles == expected.weight_quantiles).all()


@pytest.mark.usefixtures("ahead")
def test_what_is_recorded_on_a_gpu_takes_its_rate_as_a_tensor_and_the_schedule_goes_on(
    monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        patch.setattr(Descent, "on_gpu", property(lambda self: False))
        expected = trained(TINY)
    Card(monkeypatch, RuntimeError("not here"))
    state = start(TINY)
    found = trained(TINY)
    for name in MEASURED:
        assert found.history[name] == pytest.approx(expected.history[name], rel=1e-3), name
    assert capsys.readouterr().err.count("cannot be recorded as a CUDA graph (not here)") == 1
    state.one_epoch(1, tqdm(disable=True))
    assert all(isinstance(group["lr"], float) for group in state.optimizer.param_groups)
    assert (state.recorder.steps, state.recorder.failed) == (4, True)


def test_the_bar_is_written_on_the_cpu_while_it_trains_and_for_a_gpu_once_an_epoch(monkeypatch):
    shown = []
    monkeypatch.setattr(descent, "show", lambda bar, epoch, sums, seen: shown.append(seen))
    monkeypatch.setattr(train, "show", lambda bar, epoch, sums, seen: shown.append("end"))
    trained(replace(TINY, batch_size=32))
    assert shown == [32, 21 * 32, 41 * 32, "end"] * 2
    shown.clear()
    monkeypatch.setattr(Descent, "on_gpu", property(lambda self: True))
    monkeypatch.setattr(descent, "can_record", lambda recipe: False)
    trained(replace(TINY, batch_size=32))
    assert shown == ["end"] * 2


def test_the_bar_shows_means_over_the_images_so_far():
    with tqdm(total=1, ascii=True) as bar:
        show(bar, 3, torch.tensor([50.0, 30.0, 0.0]), 40)
        assert bar.postfix == "accuracy=75.0%, epoch=3, loss=1.250"


def test_a_last_batch_may_be_smaller_and_every_image_is_seen_once():
    state = start(replace(TINY, crop=0))
    seen, augment = [], data.augment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "augment", lambda *args: seen.append(args[2]) or augment(*args))
        sums, finite = state.one_epoch(1, tqdm(disable=True))
    assert list(map(len, seen)) == [128] * FULL + [SMALL]
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(1437))
    assert (sums.shape, sums.dtype) == ((3,), torch.float64)
    assert finite.tolist() == [True] * state.steps


CAPTURED = [
    *({"norm": norm} for norm in ("batch", "group", "layer", "instance", "layer_chw", "none")),
    {"norm": "batch", "ghost_batch": 32},
    {"norm": "group", "precision": "bfloat16"},
    {"norm": "batch", "precision": "bfloat16", "l1": 1e-4, "rotation": 5.0, "jitter": 0.1},
]
PLAIN = [{"dropout": 0.2}, {"l1": 1e-4, "l1_step": "proximal"}, {"rebuilt": True}]


class Watched(TorchDispatchMode):
    """Refuses what makes a GPU wait: tensors of the processor, numbers that are read or sent."""

    waits = ("_local_scalar_dense", "nonzero", "lift_fresh")  # the last one is torch.tensor's

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_flatten((args, kwargs, out))[0] if isinstance(t, torch.Tensor)]
        assert {t.device.type for t in tensors} <= {"meta"}, func
        assert func.overloadpacket.__name__ not in self.waits
        return out


@pytest.mark.parametrize("changes", [*CAPTURED, *PLAIN])
def test_a_step_has_no_tensor_on_the_processor_and_reads_no_number(changes, monkeypatch):
    monkeypatch.setattr(descent, "in_precision", lambda *_: nullcontext())  # meta has no autocast
    digits = data.load("digits").to("meta")
    recipe, generator = replace(RICH, num_groups=4, **changes), torch.Generator()
    net = train.build(recipe, digits).to("meta", memory_format=torch.channels_last)
    subject = {"image_set": digits, "train_split": digits.train, "net": net}
    state = Descent(recipe=recipe, generator=generator, **subject)
    draws = [data.draw(digits, 64, recipe, generator)]
    (drawn,) = data.moved_at_once(draws, torch.device("meta"))
    index = torch.arange(64, device="meta")
    for _ in range(2):  # the first one also makes what the optimizer keeps
        with Watched():
            told = state._step(index=index, lr=0.1, **drawn)
    assert (told.shape, told.device.type, told.requires_grad) == ((4,), "meta", False)


# -- on a GPU --------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("changes", CAPTURED)
def test_the_recorded_step_is_the_plain_one(changes, monkeypatch):
    recipe = replace(TINY, num_groups=4, **changes)
    recorded, plain = start(recipe, "cuda"), start(recipe, "cuda")
    found = recorded.one_epoch(1, tqdm(disable=True))[0]
    assert recorded.recorder.graph is not None, "a step was recorded"
    assert recorded.recorder.steps == FULL, "the small last batch took the plain step"
    monkeypatch.setattr(descent, "can_record", lambda recipe: False)
    expected = plain.one_epoch(1, tqdm(disable=True))[0]
    close = {"rtol": 2e-2, "atol": 2e-3} if recipe.precision == "bfloat16" else {}
    close = close or {"rtol": 1e-3, "atol": 1e-4}
    torch.testing.assert_close(found, expected, **close | {"atol": 1.0})  # one hit
    for name, value in plain.net.state_dict().items():
        torch.testing.assert_close(recorded.net.state_dict()[name], value, **close, msg=name)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("changes", [*CAPTURED, *PLAIN])
def test_nothing_is_read_back_from_a_gpu_within_an_epoch(changes, monkeypatch):
    state = start(replace(TINY, num_groups=4, **changes), "cuda")
    state.one_epoch(1, tqdm(disable=True))  # records, for which the GPU has to be idle
    moved_at_once = data.moved_at_once

    def then_forbid(*args):
        moved = moved_at_once(*args)
        torch.cuda.set_sync_debug_mode("error")
        return moved

    monkeypatch.setattr(data, "moved_at_once", then_forbid)
    try:
        state.one_epoch(2, tqdm(disable=True))
        with pytest.raises(RuntimeError, match="synchronizing"):
            torch.ones(1, device="cuda").item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("changes", [*CAPTURED[:3], *PLAIN[:1], {"norm": "group", "rotation": 5.0}])
def test_a_gpu_learns_as_much_as_the_cpu(changes):
    recipe = replace(TINY, epochs=12, lr=0.03, num_groups=4, **changes)
    recipes = [replace(recipe, seed=seed) for seed in range(3)]
    accuracies = {
        device: sum(trained(r, device).history["test_accuracy"][-1] for r in recipes) / len(recipes)
        for device in ("cpu", "cuda")
    }
    assert accuracies["cuda"] == pytest.approx(accuracies["cpu"], abs=0.04)
    assert accuracies["cuda"] > 0.8


@pytest.mark.gpu
def test_on_a_gpu_images_are_those_of_the_cpu():
    images = [data.load("digits").to(device) for device in ("cpu", "cuda")]
    index, recipe = torch.arange(64), RICH
    here, there = (
        data.draw_batch(i, i.train, index.to(i.mean.device), recipe, torch.Generator())
        for i in images
    )
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-4)
