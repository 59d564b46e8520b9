"""Probes measure what they say, and a training does not notice them."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD

from normstudy.study import data, probes, recipes, runs, store, train
from normstudy.study.probes import CEILING, CORRUPTIONS, PROBES, SHIFTS, STEPS, Subject
from normstudy.study.recipes import NORMS, Recipe
from normstudy.study.store import RecordError
from normstudy.study.train import COLUMNS, build

ALL = "+".join(PROBES)
TINY = Recipe(data="digits", epochs=2, batch_size=128, lr=0.1, crop=1, precision="float32")
RICH = replace(TINY, dropout=0.2, rotation=5.0, norm="batch", probe=ALL)
DIGITS = data.load("digits")


def subject_of(recipe, steps=3):
    """Return a network that has moved a little from its first weights, and its images."""
    net = build(recipe, DIGITS)
    optimizer = SGD(net.parameters(), lr=0.05)
    for split in range(steps):
        part = DIGITS.train[slice(100 * split, 100 * split + 100)]
        F.cross_entropy(net(DIGITS.normalize(part.images)), part.labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    return Subject(
        net=net, image_set=DIGITS, train_split=DIGITS.train, score_split=DIGITS.test, recipe=recipe
    )


def trained(recipe, **options):
    return train.train(recipe, device="cpu", progress=False, **options)


# -- a training does not notice -------------------------------------------------------------------


def test_the_names_that_a_recipe_may_give_are_those_of_the_probes():
    assert tuple(PROBES) == recipes.PROBES
    columns = [column for probe in PROBES.values() for column in probe.columns]
    assert len({*columns}) == len(columns)


@pytest.fixture(scope="module")
def probed():
    """Return the outcome of a training with everything random and every probe."""
    return trained(RICH)


def test_a_training_with_every_probe_has_the_numbers_of_one_without(probed):
    plain = trained(replace(RICH, probe=""))
    for name in COLUMNS[:-2]:
        assert plain.history[name] == probed.history[name], name
    assert np.array_equal(plain.weight_quantiles, probed.weight_quantiles)
    assert len(plain.predictions) == len(plain.confidences) == plain.num_scored
    assert len(probed.predictions) == len(probed.confidences) == 0, "of these scores are read"
    assert plain.clean_train == probed.clean_train
    assert plain.probed == {}


def test_each_column_has_a_value_an_epoch_or_one_in_all(probed):
    found = {name: len(column) for name, column in probed.probed.items()}
    assert found == probes.lengths(RICH, 2)
    assert {found[name] for name in PROBES["corruptions"].columns} == {1}
    assert {found[name] for name in PROBES["landscape"].columns} == {2}
    assert probes.lengths(RICH, 1).keys().isdisjoint(PROBES["corruptions"].columns)


def test_what_is_interrupted_ends_with_the_same_measurements(probed, tmp_path, monkeypatch):
    checkpoint, one_epoch = tmp_path / "a.pt", train._one_epoch

    def stop_in_the_second(state, epoch, bar):
        if epoch == 2:
            raise KeyboardInterrupt
        one_epoch(state, epoch, bar)

    with monkeypatch.context() as patch:
        patch.setattr(train, "_one_epoch", stop_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            trained(RICH, checkpoint=checkpoint)
    assert trained(RICH, checkpoint=checkpoint).probed == probed.probed


def test_a_checkpoint_whose_measurements_are_not_whole_is_not_taken_up():
    recipe = replace(TINY, probe="weights")
    state = train._start(recipe, DIGITS, torch.device("cpu"))
    saved = copy.deepcopy(state.state())
    saved["history"] = {name: [1] for name in COLUMNS}
    with pytest.raises(ValueError, match="its measurements are not whole"):
        state.take_up(saved)


@pytest.mark.parametrize("norm", NORMS)
def test_a_probe_changes_nothing_of_its_subject(norm):
    subject = subject_of(replace(RICH, norm=norm))
    before = copy.deepcopy(subject.net.state_dict())
    torch.manual_seed(5)
    random = torch.get_rng_state()
    first = probes.measure(subject, last=True)
    assert torch.equal(torch.get_rng_state(), random)
    after = subject.net.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(p.grad is None for p in subject.net.parameters())
    assert all(layer.training for layer in subject.net.modules())
    torch.manual_seed(6)
    assert probes.measure(subject, last=True) == first, "nor does it depend on what was drawn"


def test_a_run_keeps_its_measurements_and_is_checked_against_its_recipe(tmp_path):
    recipe = replace(TINY, epochs=1, probe="weights+statistics")
    made = runs.run(recipe, folder=tmp_path, device="cpu", progress=False)
    path = tmp_path / f"{recipe.name}.json"
    assert runs.load(path).probed == made.probed != {}
    values, arrays = store.read(path)
    for wrong, match in (
        ({}, "what was probed is not what the recipe names"),
        (made.probed | {"length": []}, "the probe's length has not 1 values"),
        (made.probed | {"length": 3}, "the probe's length has not 1 values"),
        (made.probed | {"length": ["3"]}, "the probe's length is not of finite numbers"),
        (made.probed | {"length": [True]}, "the probe's length is not of finite numbers"),
    ):
        store.write(path, values | {"probed": wrong}, arrays)
        with pytest.raises(RecordError, match=match):
            runs.load(path)


# -- what they measure ----------------------------------------------------------------------------


def accuracy(net, images):
    with torch.no_grad():
        scores = net(DIGITS.normalize(images))
    return (scores.argmax(1) == DIGITS.test.labels).double().mean().item()


def test_batch_statistics_are_those_of_each_batch_and_dropout_is_off():
    subject = subject_of(replace(RICH, probe="statistics"))
    found = probes.measure(subject, last=False)
    net = copy.deepcopy(subject.net).train()
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    with torch.no_grad():
        parts = [net(DIGITS.normalize(part)) for part in DIGITS.test.images.split(128)]
    loss = F.cross_entropy(torch.cat(parts).double(), DIGITS.test.labels).item()
    assert found["batch_loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("batch_size", [128, 2])
def test_precise_statistics_are_those_of_all_maps_that_come_in(batch_size):
    recipe = replace(TINY, crop=0, batch_size=batch_size, probe="statistics")
    subject = subject_of(recipe)
    first, stem = subject.net.norm1, subject.net[:2]  # convolution and pool
    probes.make_precise(subject)
    with torch.no_grad():
        maps = stem(DIGITS.normalize(DIGITS.train.images)).double()
    var, mean = torch.var_mean(maps, (0, 2, 3), correction=0)
    torch.testing.assert_close(first.running_mean.double(), mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var.double(), var, rtol=1e-4, atol=1e-5)
    found = probes.measure(subject, last=False)
    expected = accuracy(copy.deepcopy(subject.net).eval(), DIGITS.test.images)
    assert found["precise_accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize("norm", ["group", "layer", "none"])
def test_without_running_statistics_there_is_one_score(norm):
    subject = subject_of(replace(TINY, norm=norm, probe="statistics+corruptions"))
    found = probes.measure(subject, last=True)
    assert found["batch_loss"] == pytest.approx(found["precise_loss"], rel=1e-5)
    for shift in SHIFTS:
        assert found[shift] == found[f"{shift}, batch"]


def test_shifts_are_what_their_names_say():
    pixels = DIGITS.test.images[:50].numpy().astype(np.float64)
    images = DIGITS.test.images[:50]
    lighter = np.clip(np.rint(pixels + 25.5), 0, 255)
    assert np.abs(probes.corrupt(images, "brightness", 0.1).numpy() - lighter).max() <= 1
    middle = pixels.mean((1, 2, 3), keepdims=True)
    flatter = np.rint(middle + 0.5 * (pixels - middle))
    assert np.abs(probes.corrupt(images, "contrast", 0.5).numpy() - flatter).max() <= 1
    grey = torch.full((20, 32, 32, 3), 128, dtype=torch.uint8)
    noisy = probes.corrupt(grey, "noise", 0.08).float()
    assert noisy.std().item() == pytest.approx(0.08 * 255, rel=0.02)
    assert torch.equal(noisy, probes.corrupt(grey, "noise", 0.08).float())
    assert {probes.corrupt(images, kind, 0.5).dtype for kind in CORRUPTIONS} == {torch.uint8}
    with pytest.raises(ValueError, match="kind='fog' is unknown; accepted: brightness, contrast"):
        probes.corrupt(images, "fog", 1)


def test_accuracies_on_shifted_images_are_those_of_the_shifted_images():
    subject = subject_of(replace(TINY, probe="corruptions"), steps=10)
    found = probes.measure(subject, last=True)
    net = copy.deepcopy(subject.net).eval()
    assert found["clean"] == pytest.approx(accuracy(net, DIGITS.test.images))
    dark = probes.corrupt(DIGITS.test.images, "contrast", 0.25)
    assert found["contrast 0.25"] == pytest.approx(accuracy(net, dark))
    assert probes.measure(subject, last=False) == {}


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_the_loss_along_the_gradient_is_that_after_a_step_of_plain_sgd(norm):
    recipe = replace(TINY, norm=norm, batch_size=32, probe="landscape")
    subject = subject_of(recipe)
    found = probes.measure(subject, last=False)
    few = DIGITS.balanced(DIGITS.train, 128)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        few = few[torch.randperm(128)]
    rises, turns, sizes = [], [], []
    for i in range(4):
        part, net = few[slice(32 * i, 32 * i + 32)], copy.deepcopy(subject.net).train()
        x = DIGITS.normalize(part.images)
        before = F.cross_entropy(net(x), part.labels)
        before.backward()
        old = torch.cat([p.grad.flatten() for p in net.parameters()]).clone()
        SGD(net.parameters(), lr=STEPS[1]).step()
        net.zero_grad()
        after = F.cross_entropy(net(x), part.labels)
        after.backward()
        new = torch.cat([p.grad.flatten() for p in net.parameters()])
        rises.append((after - before).item())
        turns.append(((new - old).norm() / old.norm()).item())
        sizes.append(old.norm().item())
    assert found["loss_change_0.1"] == pytest.approx(np.mean(rises), rel=1e-3, abs=1e-6)
    assert found["gradient_change_0.1"] == pytest.approx(np.mean(turns), rel=1e-3)
    assert found["gradient"] == pytest.approx(np.mean(sizes), rel=1e-4)


def test_what_is_not_finite_is_told_as_a_number_that_json_has():
    subject = subject_of(replace(TINY, norm="none", probe="landscape"))
    with torch.no_grad():
        for p in subject.net.parameters():
            p.mul_(1e6)
    found = probes.measure(subject, last=False)
    assert all(map(math.isfinite, found.values()))
    assert CEILING in found.values()


def test_zeros_and_lengths_are_counted():
    subject = subject_of(replace(TINY, probe="weights"))
    net = subject.net
    with torch.no_grad():
        net.conv1.weight[0] = 0
        net.norm1.weight[:3] = 0
    found = probes.measure(subject, last=False)
    every = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    norms = [m.weight for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    values = torch.cat([w.flatten() for w in every])
    assert found["zero_weights"] == pytest.approx((values == 0).double().mean().item())
    assert found["zero_scales"] == pytest.approx(3 / sum(w.numel() for w in norms))
    assert found["length"] == pytest.approx(values.norm().item(), rel=1e-5)


def test_in_the_main_studys_network_a_norm_stands_behind_the_stem_and_the_depthwise_convolutions():
    net = build(replace(TINY, net="pyramid"), DIGITS)
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    in_front = [m.weight for m in layers if m.groups > 1 or m is net.conv1]
    channels = [channel for weight in in_front for channel in weight]
    pieces = probes.before_norms(net)  # under batch norm each channel has a length of its own
    assert len(pieces) == len(channels)
    assert all(torch.equal(a[0], b) for a, b in zip(pieces, channels, strict=True))
    subject = subject_of(replace(TINY, net="pyramid", probe="weights"))
    free = probes.before_norms(subject.net)
    found = probes.measure(subject, last=False)
    inverse = [1 / w.detach().square().sum().item() for w in free]
    assert found["rate_factor"] == pytest.approx(np.median(inverse), rel=1e-5)
    whole = math.sqrt(sum(1 / value for value in inverse))
    assert found["length_before_norms"] == pytest.approx(whole, rel=1e-5)
    for norm, groups in (("group", 4), ("layer", 1)):
        net = build(replace(TINY, net="pyramid", norm=norm, num_groups=4), DIGITS)
        assert len(probes.before_norms(net)) == groups * len(in_front)
    nothing = subject_of(replace(TINY, net="pyramid", norm="none", probe="weights"))
    assert probes.measure(nothing, last=False)["rate_factor"] == 0
