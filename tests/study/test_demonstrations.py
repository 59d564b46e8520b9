"""What is shown without training is what the recipes say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import arm

from normstudy.study import demonstrations, originals
from normstudy.study.data import ImageSet, Split
from normstudy.study.model import Net
from normstudy.study.optimize import learning_rates


def image_set(num=40):
    """Noise in the shape of MNIST."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num, 28, 28, 1), generator=generator, dtype=torch.uint8)
    split = Split(images, torch.arange(num) % 10)
    return ImageSet("mnist", split, split, tuple("0123456789"), torch.ones(1), torch.ones(1) * 70)


def net(norm, **settings):
    torch.manual_seed(0)
    return Net(
        norm, net="study-b", in_channels=1, size=28, dropout=0.5, init="kaiming-uniform", **settings
    )


def test_rates_are_drawn_step_by_step():
    recipe = originals.B["Layer norm"]
    pair = {"meant": replace(recipe, rebuilt=False), "built": recipe}
    fig = demonstrations.rates(pair, 10)
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    for name, drawn in pair.items():
        np.testing.assert_allclose(lines[name].get_ydata(), learning_rates(drawn, 10))
    assert "meant: 8e-08 to 0.02" in fig.normstudy["alt"]


def test_the_strength_of_a_mean_is_shown_tensor_by_tensor():
    recipe = originals.D["Batch norm + L1"]
    net = Net("batch", net="study-d", in_channels=1, size=28)
    rows = demonstrations.strengths(net, recipe).rows
    assert len(rows) == len(list(net.parameters()))
    assert {row[-1] for row in rows} >= {"2,304", "8"}
    assert all(row[-1] == row[2] for row in rows)
    summed = demonstrations.strengths(net, replace(recipe, l1_of="sum")).rows
    assert {row[-2:] for row in summed} == {("0.0005", "1")}


def test_two_values_a_group_leave_plus_and_minus_one():
    group, batch = net("group", channels_per_group=2), net("batch")
    before = {name: value.clone() for name, value in batch.state_dict().items()}
    found = {
        n: demonstrations.classifier_inputs(x, image_set(), 40)
        for n, x in (("Group norm", group), ("Batch norm", batch))
    }
    assert found["Group norm"].shape == (40, 16)
    pairs = found["Group norm"].view(40, 8, 2)
    torch.testing.assert_close(pairs.sum(2), torch.zeros(40, 8), atol=1e-5, rtol=0)
    sizes = pairs.abs()  # zero where the ReLU left both at zero
    assert float(((sizes > 0.95) | (sizes == 0)).float().mean()) > 0.9
    assert 0 < float((sizes > 0.95).float().mean()) < 1
    assert (found["Batch norm"].abs() - 1).abs().max() > 0.5
    for name, value in batch.state_dict().items():
        assert torch.equal(value, before[name]), "the running statistics are as they were"
    assert batch.training
    fig = demonstrations.inputs(found)
    assert len(fig.axes) == 3
    x = found["Group norm"]
    nearest = torch.stack([(x - place).abs() for place in (-1, 0, 1)]).min(0).values
    share = 100 * float((nearest < 0.05).float().mean())
    assert f"Group norm: {share:.0f}% near −1, 0, 1" in fig.normstudy["alt"]


@pytest.mark.parametrize(
    "look",
    [
        lambda net: demonstrations.input_spreads({"A": net}, image_set()),
        lambda net: demonstrations.classifier_inputs(net, image_set(), 40),
    ],
)
def test_who_looks_at_a_network_leaves_it_as_it_was(look):
    batch = net("batch")
    norms = [module for module in batch.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    norms[0].eval()  # alone, within a network that is training
    modes = [module.training for module in batch.modules()]
    before = {name: value.clone() for name, value in batch.state_dict().items()}
    look(batch)
    assert [module.training for module in batch.modules()] == modes
    assert len(set(modes)) == 2
    assert any("running_mean" in name for name in before)
    for name, value in batch.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_without_such_a_norm_is_refused():
    other = Net("group", net="study-e", in_channels=1, size=28, channels_per_group=2)
    with pytest.raises(ValueError, match="no norm of this network stands on maps of 1x1"):
        demonstrations.classifier_inputs(other, image_set(), 4)


def test_spreads_say_how_far_the_classifiers_inputs_differ():
    """Constant images give inputs that do not differ, and independent ones inputs that do."""
    images, nets = image_set(), {"noise": Net("layer", net="valid", in_channels=1, size=28)}
    (noise,) = demonstrations.input_spreads(nets, images).rows
    with torch.no_grad():
        x = images.normalize(images.train.images)
        inputs = nets["noise"].train()[:-2](x).numpy()
    expected = 100 * inputs.var(axis=0).sum() / (inputs**2).mean(axis=0).sum()
    assert noise == ("noise", f"{expected:.0f}")
    images.train.images[:] = images.train.images[:1]
    assert demonstrations.input_spreads(nets, images).rows == (("noise", "0"),)


def test_seeds_of_one_network_stand_beside_the_numbers_of_a_report():
    original = originals.ORIGINALS["C"]
    fig = demonstrations.seeds_beside(original, arm(76, 77, 78))
    (ax,) = fig.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [
        f"{who}, {e} epoch" for e in ("last", "best") for who in ("ours", "the report")
    ]
    dots = [line.get_xdata() for line in ax.lines if line.get_markersize() == 2.5]
    for drawn, expected in zip(
        dots,
        ([76, 77, 78], original.last.values(), [76, 77, 78], original.best.values()),
        strict=True,
    ):
        assert list(drawn) == pytest.approx(list(expected))
    texts = [text.get_text() for text in ax.texts]
    assert "77.00 ± 1.00%" in texts
    assert "76.45, 76.96, 77.60%" in texts
