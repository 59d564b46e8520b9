"""Scores are those of every image, in the mode and the precision that was asked for."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from normstudy.study import data, scoring
from normstudy.study.model import Net
from normstudy.study.recipes import Recipe
from normstudy.study.scoring import evaluate, loss_and_accuracy, scores_of
from normstudy.study.train import build

TINY = Recipe(data="digits", epochs=3, batch_size=256, lr=0.1, crop=1, precision="float32")


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_convolutions_and_norms_compute_in_the_precision_of_the_recipe(precision):
    digits = data.load("digits")
    net = build(replace(TINY, norm="group", num_groups=4), digits)
    seen = {}
    for name, layer in net.named_children():
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.dtype}))
    scores = evaluate(net, digits, digits.test[:2], precision)
    assert scores.dtype == torch.float32
    assert {seen[name] for name in ("conv1", "norm1", "block1")} == {getattr(torch, precision)}
    assert {p.dtype for p in net.parameters()} == {torch.float32}


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_evaluation_sums_over_all_images_in_spite_of_a_short_last_batch(norm, monkeypatch):
    digits = data.load("digits")
    net = build(replace(TINY, norm=norm, dropout=0.5), digits)
    monkeypatch.setattr(scoring, "_BATCH", 101)  # 1,437 = 14 * 101 + 23
    scores = evaluate(net, digits, digits.train, "float32")
    assert scores.shape == (1437, 10)
    found = loss_and_accuracy(scores, digits.train.labels)
    net.eval()
    with torch.no_grad():
        whole = net(digits.normalize(digits.train.images)).double()
    loss = F.cross_entropy(whole, digits.train.labels).item()
    hits = (whole.argmax(1) == digits.train.labels).double().mean().item()
    assert found == pytest.approx((loss, hits), rel=1e-5)


def test_a_tie_of_batch_means_is_not_what_is_reported():
    scores = torch.tensor([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    loss, accuracy = loss_and_accuracy(scores, torch.tensor([0, 0, 0]))
    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx((2 * math.log1p(math.exp(-9)) + 9 + math.log1p(math.exp(-9))) / 3)


def test_layers_in_training_mode_take_the_statistics_of_each_batch():
    digits = data.load("digits")
    net = Net("batch", in_channels=1, size=8).train()
    found = scores_of(net, digits, digits.test, "float32", batch_size=100)
    with torch.no_grad():
        parts = [net(digits.normalize(part)) for part in digits.test.images.split(100)]
    torch.testing.assert_close(found, torch.cat(parts))
    assert not torch.allclose(found, evaluate(net, digits, digits.test, "float32"))
