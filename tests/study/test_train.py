"""A training is what its recipe says, to the bit, however often it is interrupted."""

import io
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from golden import record
from torch import nn
from torch.nn import functional as F

from normstudy.study import checkpoints, data, model, optimize, recipes, train
from normstudy.study.networks import Act, AveragePool, Conv, Dropout, Flatten, Linear, Norm
from normstudy.study.optimize import weights
from normstudy.study.recipes import NORMS, Recipe
from normstudy.study.scoring import loss_and_accuracy
from normstudy.study.train import (
    CHANGES,
    COLUMNS,
    CONFIDENCE_STEP,
    DivergedError,
    build,
    numbers_version,
)

TINY = Recipe(data="digits", epochs=3, batch_size=256, lr=0.1, crop=1, precision="float32")
RICH = replace(TINY, l1=1e-4, dropout=0.2, rotation=5.0, shear=5.0, jitter=0.1, num_groups=8)
TOLERANCES = {  # other processors round otherwise, by less; a changed formula differs by more
    "lr": {"rel": 1e-9},
    "train_loss": {"rel": 1e-3},
    "train_accuracy": {"abs": 0.01},
    "test_loss": {"rel": 1e-3},
    "test_accuracy": {"abs": 0.01},
    "penalty": {"rel": 1e-4},
}
MEASURED = [name for name in COLUMNS if name not in ("seconds", "images_per_second")]


def trained(recipe, **options):
    return train.train(recipe, device="cpu", **{"progress": False, **options})


def assert_equal_to_the_bit(one, other):
    for name in MEASURED:
        assert one.history[name] == other.history[name], name
    assert np.array_equal(one.predictions, other.predictions)
    assert np.array_equal(one.confidences, other.confidences)
    assert np.array_equal(one.weight_quantiles, other.weight_quantiles)
    assert one.clean_train == other.clean_train


@pytest.fixture(scope="module")
def rich():
    """Return the outcome of a recipe with everything random in it, never interrupted."""
    return trained(RICH)


# -- the numbers -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers_whatever_was_drawn_before(rich):
    torch.manual_seed(77)
    before = torch.get_rng_state()
    assert_equal_to_the_bit(trained(RICH), rich)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers are left alone"


def test_another_seed_gives_other_numbers(rich):
    other = trained(replace(RICH, seed=1))
    for name in ("train_loss", "test_loss", "penalty"):
        assert not set(other.history[name]) & set(rich.history[name])
    assert other.history["lr"] == rich.history["lr"]


def test_arms_with_one_seed_begin_with_the_same_weights():
    digits = data.load("digits")
    first, *others = (weights(build(replace(TINY, norm=norm), digits)) for norm in NORMS)
    for arm in others:
        assert all(torch.equal(one, other) for one, other in zip(first, arm, strict=True))


def test_curves_of_two_arms_are_not_one_object(rich):
    other = trained(replace(RICH, norm="group"))
    columns = [*rich.history.values(), *other.history.values()]
    assert len({id(column) for column in columns}) == 2 * len(COLUMNS)
    assert rich.history["test_loss"] != other.history["test_loss"]
    assert all(len(column) == RICH.epochs for column in columns)


def test_the_history_has_one_row_an_epoch_of_plausible_values(rich):
    assert list(rich.history) == list(COLUMNS)
    assert rich.history["epoch"] == [1, 2, 3]
    for part in ("train", "test"):
        assert all(0 <= accuracy <= 1 for accuracy in rich.history[f"{part}_accuracy"])
        assert all(loss > 0 for loss in rich.history[f"{part}_loss"])
    assert all(value > 0 for name in COLUMNS[-2:] for value in rich.history[name])


def test_predictions_belong_to_the_last_epoch(rich):
    labels = data.load("digits").test.labels.numpy()
    assert (rich.predictions == labels).mean() == rich.history["test_accuracy"][-1]
    assert rich.predictions.dtype == np.int64
    assert rich.confidences.dtype == np.float32
    assert ((rich.confidences >= 0.1) & (rich.confidences <= 1)).all()
    steps = rich.confidences / CONFIDENCE_STEP
    assert np.array_equal(steps, steps.round())
    assert len(set(steps)) > 100
    assert set(rich.clean_train) == {"loss", "accuracy"}


def test_validation_holds_images_out_and_leaves_the_test_images_alone(monkeypatch):
    kept, held_out = data.load("digits").validation_split()
    scored, evaluate = [], train.evaluate

    def listening(net, image_set, split, precision):
        scores = evaluate(net, image_set, split, precision)
        scored.append((split.labels, loss_and_accuracy(scores, split.labels)))
        return scores

    monkeypatch.setattr(train, "evaluate", listening)
    found = trained(replace(TINY, epochs=1, validation=True))
    assert [len(labels) for labels, _ in scored] == [287, 287, 1150]
    assert torch.equal(scored[0][0], held_out.labels)
    assert torch.equal(scored[-1][0], kept.labels)
    assert (found.history["test_loss"][-1], found.history["test_accuracy"][-1]) == scored[0][1]
    assert tuple(found.clean_train.values()) == scored[-1][1]


def test_scores_on_held_out_images_keep_no_arrays_and_say_how_many_there_were(rich):
    found = trained(replace(TINY, epochs=1, validation=True))
    assert found.num_scored == 287
    assert (found.predictions.shape, found.confidences.shape) == ((0,), (0,))
    assert (found.predictions.dtype, found.confidences.dtype) == (np.int64, np.float32)
    assert len(found.weight_quantiles) == 1001
    assert rich.num_scored == len(rich.predictions) == len(rich.confidences) == 360


def half_cosines(step, peak, last):
    """Rise from 1 / 25 to 1 at the peak, fall to 1 / 250,000 at the end, both along a cosine."""
    ends, low, way = (0, peak), 1 / 25, 1
    if step > peak:
        ends, low, way = (peak, last), 1 / 250_000, -1
    turned = math.pi * (step - ends[0]) / (ends[1] - ends[0])
    return low + (1 - low) * (1 - way * math.cos(turned)) / 2


def textbook(recipe):
    """Train as a textbook does: sums, steps and schedule written out; no dropout, float32."""
    digits = data.load("digits")
    net = build(recipe, digits)
    matrices = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    everything = list(net.parameters())
    shrunk = everything if recipe.l1_on == "all" else matrices
    decayed = {id(p) for p in (everything if recipe.weight_decay_on == "all" else matrices)}
    velocity = {p: torch.zeros_like(p) for p in net.parameters()}
    generator = torch.Generator().manual_seed(recipe.seed)
    num = len(digits.train)
    steps = -(-num // recipe.batch_size)
    last = recipe.epochs * steps - 1
    peak = recipe.warmup * (last + 1) - 1
    rates, losses, penalties, step = [], [], [], 0
    for _ in range(recipe.epochs):
        if recipe.rebuilt:
            velocity = {p: torch.zeros_like(p) for p in net.parameters()}
        loss_sum = penalty_sum = 0.0
        order = torch.randperm(num, generator=generator)
        for start in range(0, num, recipe.batch_size):
            index = order[start : start + recipe.batch_size]
            images = data.draw_batch(digits, digits.train, index, recipe, generator)
            loss = F.cross_entropy(net(images), digits.train.labels[index])
            of = torch.mean if recipe.l1_of == "mean" else torch.sum
            penalty = recipe.l1 * sum(of(p.abs()) for p in shrunk)
            gradients = torch.autograd.grad(loss + penalty, list(velocity))
            rate = np.interp(step, [0, peak, last], np.array([0.1, 1, 1e-4]) * recipe.lr)
            if recipe.schedule == "constant":
                rate = recipe.lr
            if recipe.schedule == "one-cycle-cosine":
                since = step % steps if recipe.rebuilt else step
                rate = half_cosines(since, peak, last) * recipe.lr
            with torch.no_grad():
                for (p, v), gradient in zip(velocity.items(), gradients, strict=True):
                    g = gradient + recipe.weight_decay * p if id(p) in decayed else gradient
                    v.mul_(recipe.momentum).add_(g)
                    p.sub_(rate * (g + recipe.momentum * v if recipe.nesterov else v))
            loss_sum += loss.item() * len(index)
            penalty_sum += penalty.item() * len(index)
            rates.append(float(rate))
            step += 1
        losses.append(loss_sum / num)
        penalties.append(penalty_sum / num)
    return net, rates, losses, penalties


REPORTS = {  # as studies B to E train
    "schedule": "constant",
    "nesterov": False,
    "weight_decay_on": "all",
    "l1_on": "all",
    "shear": 10.0,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "batch"},
        {"norm": "none"},
        {"norm": "batch", **REPORTS},
        {"norm": "layer_chw", **REPORTS},
        {"norm": "layer", "momentum": 0.0},
        {"schedule": "one-cycle-cosine", "init": "kaiming-uniform", "rebuilt": True},
        {"schedule": "one-cycle-cosine", "l1_of": "mean", "l1_on": "all"},
        {"norm": "group", "channels_per_group": 2},
    ],
)
def test_a_training_is_the_textbooks(changes):
    recipe = replace(TINY, epochs=2, lr=0.05, l1=1e-3, weight_decay=1e-2, **changes)
    found = trained(recipe)
    net, rates, losses, penalties = textbook(recipe)
    steps = len(rates) // 2
    assert found.history["lr"] == pytest.approx(rates[::steps])
    assert found.history["train_loss"] == pytest.approx(losses, rel=1e-3)
    assert found.history["penalty"] == pytest.approx(penalties, rel=1e-4)
    matrices = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    magnitudes = torch.cat([w.detach().flatten() for w in matrices]).abs()
    expected = np.quantile(magnitudes.numpy(), np.linspace(0, 1, 1001))
    np.testing.assert_allclose(found.weight_quantiles, expected, rtol=0, atol=1e-3)


def test_a_constant_rate_is_constant():
    found = trained(replace(TINY, epochs=7, batch_size=720, schedule="constant"))
    assert found.history["lr"] == [TINY.lr] * 7


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "constant"},
        {"schedule": "one-cycle-cosine"},
        {"nesterov": False},
        {"weight_decay_on": "all"},
        {"init": "kaiming-uniform"},
    ],
)
def test_each_new_setting_alone_changes_the_numbers(changes, plain):
    recipe = replace(TINY, epochs=1, weight_decay=0.1, **changes)
    assert trained(recipe).history["test_loss"] != plain.history["test_loss"]


def test_a_constant_rate_knows_nothing_of_the_epochs_to_come():
    recipe = replace(TINY, schedule="constant", dropout=0.2, rotation=5.0)
    first, whole = trained(replace(recipe, epochs=1)), trained(recipe)
    for name in MEASURED:
        assert first.history[name] == whole.history[name][:1]


def test_what_is_rebuilt_every_epoch_forgets_schedule_and_momentum():
    kept, rebuilt = (trained(replace(TINY, rebuilt=flag)) for flag in (False, True))
    assert rebuilt.history["lr"] == kept.history["lr"][:1] * 3
    assert rebuilt.history["train_loss"][0] == kept.history["train_loss"][0]
    steady = replace(TINY, schedule="constant", epochs=2)
    momentum = [trained(replace(steady, rebuilt=flag)) for flag in (False, True)]
    assert momentum[0].history["train_loss"][0] == momentum[1].history["train_loss"][0]
    assert momentum[0].history["train_loss"][1] != momentum[1].history["train_loss"][1]


def test_an_interrupted_training_that_is_rebuilt_ends_with_the_same_numbers(tmp_path, monkeypatch):
    recipe, checkpoint = replace(RICH, rebuilt=True), tmp_path / "checkpoint.pt"
    with monkeypatch.context() as patch:
        interrupt(patch, 8)  # six batches an epoch
        with pytest.raises(KeyboardInterrupt):
            trained(recipe, checkpoint=checkpoint)
    assert_equal_to_the_bit(trained(recipe, checkpoint=checkpoint), trained(recipe))


def test_an_interrupted_training_goes_on_to_drop_the_same_values_of_maps(tmp_path, monkeypatch):
    rows = (*(Conv(8), Act(), Norm(), Dropout()), *(AveragePool(), Flatten(), Linear()))
    for module in (model, recipes):
        monkeypatch.setattr(module, "NETWORKS", {"maps": {1: rows}})
    recipe, checkpoint = replace(RICH, net="maps"), tmp_path / "checkpoint.pt"
    with monkeypatch.context() as patch:
        interrupt(patch, 8)
        with pytest.raises(KeyboardInterrupt):
            trained(recipe, checkpoint=checkpoint)
    assert_equal_to_the_bit(trained(recipe, checkpoint=checkpoint), trained(recipe))


@pytest.fixture(scope="module")
def plain():
    """Return the outcome of one epoch with the settings of our study."""
    return trained(replace(TINY, epochs=1, weight_decay=0.1))


def test_a_rise_of_one_step_is_none():
    rates = trained(replace(TINY, epochs=5, batch_size=1437)).history["lr"]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert max(rates) <= TINY.lr


def test_the_learning_rate_moves_with_every_batch(monkeypatch):
    rates = []

    class Recorded(optimize.OneCycleLR):
        def step(self, *args):
            super().step(*args)
            rates.append(self.get_last_lr()[0])

    monkeypatch.setattr(optimize, "OneCycleLR", Recorded)
    recipe = replace(TINY, epochs=4, warmup=0.25)
    history = trained(recipe).history
    assert len(rates) == 1 + 4 * 6, "one value before the first step, then one after each"
    top = rates.index(max(rates))
    assert rates[top] == pytest.approx(recipe.lr)
    assert top == 0.25 * 24 - 1
    assert rates[: top + 1] == sorted(set(rates[: top + 1]))
    assert rates[top:] == sorted(set(rates[top:]), reverse=True)
    assert rates[0] == pytest.approx(recipe.lr / 10)
    assert rates[-1] < recipe.lr / 1000
    assert history["lr"] == rates[::6][:4]


def test_the_version_of_the_numbers_counts_the_changes_of_a_recipe():
    names = {f.name for f in fields(Recipe)}
    assert all(set(which) <= names and why for which, why in CHANGES)
    assert CHANGES[0][0] == {}
    versions = {norm: numbers_version(Recipe(norm=norm)) for norm in NORMS}
    assert [numbers_version(Recipe(jitter=j)) for j in (0.0, 0.1, 0.2)] == [1, 2, 2]
    probed = ("", "statistics", "statistics+weights")
    assert [numbers_version(Recipe(probe=p)) for p in probed] == [1, 1, 2]
    assert (versions["batch"], versions["group"], versions["instance"]) == (1, 2, 2)


def test_a_change_of_some_recipes_leaves_the_others_alone(monkeypatch):
    change = ({"norm": ("layer",), "data": ("mnist", "digits")}, "a reason")
    monkeypatch.setattr(train, "CHANGES", (*CHANGES, change))
    layer = Recipe(norm="layer")
    assert [numbers_version(replace(layer, data=name)) for name in ("cifar10", "mnist")] == [1, 2]
    assert numbers_version(replace(layer, data="mnist", norm="batch")) == 1


@pytest.mark.parametrize("norm", record.RECIPES)
def test_the_golden_runs(norm):
    expected = json.loads((record.FOLDER / f"{norm}.json").read_text())
    assert expected["numbers_version"] == numbers_version(record.RECIPES[norm]), record.__doc__
    assert Recipe.from_dict(expected["recipe"]) == record.RECIPES[norm]
    found = record.measure(record.RECIPES[norm])
    for name, tolerance in TOLERANCES.items():
        values = expected["history"][name]
        assert found["history"][name] == pytest.approx(values, **tolerance), record.__doc__
    assert found["weights"] == pytest.approx(expected["weights"], rel=2e-3, abs=1e-4)


# -- penalties -------------------------------------------------------------------------------------


def test_l1_makes_weights_smaller_and_is_written_down():
    without, with_l1 = (trained(replace(TINY, l1=l1)) for l1 in (0.0, 2e-3))
    assert without.history["penalty"] == [0.0] * 3
    assert with_l1.history["penalty"] == sorted(with_l1.history["penalty"], reverse=True)
    assert with_l1.weight_quantiles[500] < 0.9 * without.weight_quantiles[500]


# -- interruptions ---------------------------------------------------------------------------------


def interrupt(monkeypatch, after):
    """Press Ctrl-C at the given batch."""
    drawn = []
    augment = data.augment

    def interrupted(*args):
        drawn.append(1)
        if len(drawn) > after:
            raise KeyboardInterrupt
        return augment(*args)

    monkeypatch.setattr(data, "augment", interrupted)
    return drawn


@pytest.mark.parametrize("after", [6, 8, 12, 17])  # six batches an epoch
def test_an_interrupted_training_ends_with_the_same_numbers(after, rich, tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint.pt"
    with monkeypatch.context() as patch:
        interrupt(patch, after)
        with pytest.raises(KeyboardInterrupt):
            trained(RICH, checkpoint=checkpoint)
    torch.manual_seed(after)
    drawn = interrupt(monkeypatch, 1_000)
    assert_equal_to_the_bit(trained(RICH, checkpoint=checkpoint), rich)
    assert len(drawn) == 18 - after // 6 * 6, "finished epochs are not trained again"


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    """Return the checkpoint that the rich recipe leaves after its second epoch."""
    path = tmp_path_factory.mktemp("interrupted") / "checkpoint.pt"
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 12)
        with pytest.raises(KeyboardInterrupt):
            trained(RICH, checkpoint=path)
    return path.read_bytes()


@pytest.fixture
def checkpoint(two_epochs, tmp_path):
    """Leave a checkpoint after the second epoch of the rich recipe."""
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(two_epochs)
    return path


def halve(content):
    return content[: len(content) // 2]


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [halve, flip_a_bit, lambda content: b"", lambda content: b"no"])
def test_a_damaged_checkpoint_is_reported_and_not_used(damage, checkpoint, rich):
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.warns(RuntimeWarning, match=r"checkpoint\.pt is not used: it is damaged; the tr"):
        found = trained(RICH, checkpoint=checkpoint)
    assert_equal_to_the_bit(found, rich)


def changed(checkpoint, change):
    """Change a checkpoint as somebody would who knows how its checksum is made."""
    content = checkpoint.read_bytes()[32:]
    saved = torch.load(io.BytesIO(content), weights_only=True)
    change(saved)
    checkpoints.write(checkpoint, saved["about"], saved["state"])


@pytest.mark.parametrize(
    ("name", "was", "match"),
    [
        ("recipe", RICH.to_dict() | {"seed": 1}, "another recipe"),
        ("numbers_version", -1, "numbers_version was -1, and is 2"),
        ("threads", 3, "threads was 3, and is 1"),
        ("device", "NVIDIA H100", "device was NVIDIA H100, and is .* CPU"),
        ("processor", "abacus", "processor was abacus, and is "),
        ("torch", "2.11.0", r"torch was 2\.11\.0, and is "),
        ("data", "0", "data was 0, and is "),
    ],
)
def test_a_checkpoint_that_would_not_continue_to_the_bit_is_not_used(
    name, was, match, checkpoint, rich
):
    changed(checkpoint, lambda saved: saved["about"].update({name: was}))
    with pytest.warns(RuntimeWarning, match=rf"is not used: {match}.*; the training begins anew"):
        found = trained(RICH, checkpoint=checkpoint)
    assert_equal_to_the_bit(found, rich)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.update(net={}), "Error.* in loading state_dict"),
        (lambda state: state["net"].update({"conv1.weight": torch.ones(1)}), "Error.* in loading"),
        (lambda state: state["optimizer"]["param_groups"].pop(), "loaded state dict"),
        (lambda state: state.update(random=torch.ones(3)), "RNG state"),
        (lambda state: state.pop("generator"), "generator"),
        (lambda state: state["history"].pop("lr"), "its history is not whole"),
        (lambda state: state["history"]["lr"].append(0.1), "its history is not whole"),
        (lambda state: [v.extend(v) for v in state["history"].values()], "it has 4 of 3 epochs"),
    ],
)
def test_a_checkpoint_that_does_not_fit_leaves_no_trace(change, match, checkpoint, rich):
    changed(checkpoint, lambda saved: change(saved["state"]))
    with pytest.warns(RuntimeWarning, match=rf"is not used: .*{match}"):
        found = trained(RICH, checkpoint=checkpoint)
    assert_equal_to_the_bit(found, rich)


def test_a_checkpoint_of_a_machine_with_more_gpus_is_taken_up(checkpoint, rich, monkeypatch):
    changed(checkpoint, lambda saved: saved["state"].update(gpu_random=[torch.ones(16)] * 2))
    drawn = interrupt(monkeypatch, 1_000)
    assert_equal_to_the_bit(trained(RICH, checkpoint=checkpoint), rich)
    assert len(drawn) == 6


def test_a_checkpoint_that_cannot_be_written_is_reported_and_training_goes_on(rich, tmp_path):
    with pytest.warns(RuntimeWarning, match=r"no checkpoint .*; training goes on"):
        found = trained(RICH, checkpoint=tmp_path / "missing" / "checkpoint.pt")
    assert_equal_to_the_bit(found, rich)
    assert list(tmp_path.iterdir()) == []


# -- errors ----------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_with_epoch_step_and_recipe():
    recipe = replace(TINY, norm="none", lr=1e6)
    match = r"not finite in epoch 1, step 3; a smaller lr .* Recipe\(data='digits', .*norm='none'"
    with pytest.raises(DivergedError, match=match):
        trained(recipe)


def test_scores_that_the_last_step_broke_stop_it_too():
    recipe = replace(TINY, norm="none", lr=1e30, epochs=1, batch_size=2_000)
    with pytest.raises(DivergedError, match="not finite in epoch 1, step 1"):
        trained(recipe)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"norm": "group", "num_groups": 5}, "num_groups=5 does not divide 16 channels"),
        (
            {"net": "study-c"},
            r"in_channels=1 is not supported by net='study-c'; accepted: 3 \(colour\)",
        ),
        ({"crop": 8}, "crop=8 is too large for 8x8 images; accepted: 0 to 7"),
    ],
)
def test_recipes_that_do_not_fit_the_data(wrong, match):
    with pytest.raises(ValueError, match=match):
        trained(replace(TINY, **wrong))


def test_one_image_with_batch_norm_on_maps_of_1x1(monkeypatch):
    digits = data.load("digits")
    small = data.Split(digits.train.images[:65, 2:6, 2:6], digits.train.labels[:65])
    monkeypatch.setattr(data, "load", lambda name: replace(digits, train=small, test=small))
    recipe = replace(TINY, batch_size=64, epochs=1)
    with pytest.raises(ValueError, match=r"shape \(1, 1, 4, 4\) leave one value per channel"):
        trained(recipe)
    trained(replace(recipe, norm="layer"))


def test_cuda_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    match = r'device="cuda" was asked for, but PyTorch sees no GPU here; use "cpu" or "auto"'
    with pytest.raises(ValueError, match=match):
        train.train(TINY, device="cuda")


def test_the_progress_bar_shows_loss_and_accuracy(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # workers have 80, in which older bars cut its end off
    trained(replace(TINY, batch_size=32, epochs=1), progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "digits-batch-seed0: 100%" in shown.err
    assert "45/45" in shown.err
    assert "accuracy=" in shown.err
    assert "loss=" in shown.err


@pytest.mark.parametrize("validation", [False, True])
def test_a_training_takes_its_subset_from_the_images_it_may_train_on(validation):
    recipe = Recipe(data="digits", subset=100, validation=validation)
    state = train._start(recipe, data.load("digits"), torch.device("cpu"))
    assert len(state.train_split) == 100
    other = train._start(replace(recipe, seed=1), data.load("digits"), torch.device("cpu"))
    assert torch.equal(state.train_split.images, other.train_split.images), "whatever the seed"
    if validation:
        held_out = data.load("digits").validation_split()[1].images
        both = (held_out, state.train_split.images)
        assert not set.intersection(*({i.numpy().tobytes() for i in images} for images in both))
