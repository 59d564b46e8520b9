"""The training loop of networks that are trained further."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from normstudy.study.finetuning import accuracy, beside, figure, fit, table

SETTINGS = {"epochs": 5, "batch_size": 8, "lr": 0.1, "seed": 0}


def problem():
    """Images that a linear layer can tell apart."""
    torch.manual_seed(0)
    labels = torch.arange(64) % 2
    return torch.randn(64, 1, 2, 2) + 2.0 * labels.view(-1, 1, 1, 1), labels


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.1), nn.Flatten(), nn.Linear(4, 2))


def test_it_learns_and_its_orders_come_from_the_seed():
    images, labels = problem()
    nets = [network() for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        torch.manual_seed(2)
        fit(net, images, labels, **SETTINGS | {"seed": seed})
    first, same, other = (net[3].weight for net in nets)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert accuracy(nets[0], images, labels) > 95


def test_modes_stay_as_they_are():
    images, labels = problem()
    net = network()
    net[0].eval()
    fit(net, images, labels, **SETTINGS)
    accuracy(net, images, labels)
    assert [layer.training for layer in net] == [False, True, True, True]
    assert net.training
    assert net[0].num_batches_tracked == 0
    assert torch.equal(net[0].running_mean, torch.zeros(1))
    assert not torch.equal(net[0].weight, torch.ones(1)), "it learns all the same"


def test_the_learning_rate_falls_to_zero(monkeypatch):
    seen = []
    step = torch.optim.Adam.step

    def watched(self, *args, **kwargs):
        seen.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    images, labels = problem()
    fit(network(), images[:20], labels[:20], **SETTINGS | {"epochs": 2})
    assert seen == pytest.approx([0.1, 0.075, 0.05, 0.025]), "4 of the 20 images are left out"


def test_accuracy_is_that_of_evaluation_mode():
    images, labels = problem()
    net = network()
    found = accuracy(net, images, labels)
    assert found == 100 * (net.eval()(images).argmax(1) == labels).double().mean()


def test_a_batch_must_fit_into_the_images():
    images, labels = problem()
    with pytest.raises(
        ValueError, match="batch_size=8 is more than the 3 images; accepted: 1 to 3"
    ):
        fit(network(), images[:3], labels[:3], **SETTINGS)


# -- scores side by side ---------------------------------------------------------------------------

SCORES = {
    ("small", "frozen"): [90.0, 92.0, 94.0],
    ("small", "moving"): [70.0, 71.5, 74.5],
    ("large", "frozen"): [90.0, 80.0, 85.0],
    ("large", "moving"): [88.0, 84.0, 83.0],
}


def test_a_table_has_mean_and_spread():
    found = table(SCORES)
    assert found.header == ("accuracy in %", "frozen", "moving")
    assert found.rows[0] == ("small", "92.0 ± 2.0", "72.0 ± 2.3")
    assert [row[0] for row in found.rows] == ["small", "large"]


def test_differences_are_those_of_equal_seeds_and_their_intervals_hold_together():
    ahead, still_open = beside(SCORES, "frozen", "moving").rows
    differences = [20.0, 20.5, 19.5]
    half = stats.t.ppf(1 - 0.05 / 2 / 2, 2) * 0.5 / 3**0.5
    assert np.mean(differences) == 20
    assert ahead == ("small", "+20.0", f"{20 - half:.1f} to {20 + half:.1f}", "ahead")
    assert still_open[3] == "open"
    assert beside(SCORES, "moving", "frozen").rows[0][3] == "behind"


def test_a_figure_has_a_row_for_each_and_its_words():
    fig = figure(SCORES, title="Scores", note="Of nothing.", name="scores")
    labels = [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    assert labels == ["small: frozen", "small: moving", "large: frozen", "large: moving"]
    assert fig.normstudy["caption"].startswith("Scores. Of nothing. Marks: mean")
    assert "small: frozen 92.0; small: moving 72.0" in fig.normstudy["alt"]
