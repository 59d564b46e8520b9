"""Every arm holds the norm that it claims, and the layer table tells the truth."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from normstudy.study.model import NORMS, ContiguousGroupNorm, Net, layer_table, make_norm
from normstudy.study.recipes import NORMS as ACCEPTED
from normstudy.study.recipes import study

NORMALIZED = [norm for norm in NORMS if norm != "none"]
ANY_NORM = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)


def norms_of(net):
    return [module for module in net.modules() if isinstance(module, ANY_NORM)]


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_model_and_recipes_accept_the_same_norms():
    assert NORMS == ACCEPTED


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("num_groups", [1, 2, 8, 16])
@pytest.mark.parametrize("norm", NORMS)
def test_a_network_holds_the_norm_it_claims_and_no_other(norm, num_groups, in_channels):
    net = Net(norm, num_groups, in_channels=in_channels)
    held = norms_of(net)
    if norm == "none":
        assert held == []
        return
    assert len(held) == {1: 7, 3: 9}[in_channels]
    if norm == "batch":
        assert {type(module) for module in held} == {nn.BatchNorm2d}
        return
    assert all(isinstance(module, nn.GroupNorm) for module in held)
    for module in held:
        groups = {"group": num_groups, "layer": 1, "instance": module.num_channels}[norm]
        assert module.num_groups == groups


@pytest.mark.parametrize(("name", "in_channels"), [("cifar10", 3), ("mnist", 1), ("digits", 1)])
def test_every_arm_of_the_study_is_normalized_as_its_label_says(name, in_channels):
    kinds = {"Batch norm": nn.BatchNorm2d, "Group norm": nn.GroupNorm, "Layer norm": nn.GroupNorm}
    for label, (recipe, *_) in study(name).items():
        held = norms_of(Net(recipe.norm, recipe.num_groups, in_channels=in_channels))
        kind = kinds.get(label.removesuffix(" + L1"))
        assert bool(held) == (kind is not None)
        assert all(isinstance(module, kind) for module in held)
        groups = {"Group norm": recipe.num_groups, "Layer norm": 1}.get(label)
        assert all(module.num_groups == groups for module in held if groups)
        if label == "Group norm":
            assert 1 < groups < max(module.num_channels for module in held)


@pytest.mark.parametrize(("in_channels", "limit"), [(1, 10_000), (3, 50_000)])
def test_normalized_arms_have_equally_many_parameters_within_the_limit(in_channels, limit):
    nets = {norm: Net(norm, in_channels=in_channels) for norm in NORMS}
    counts = {norm: count(net) for norm, net in nets.items()}
    assert len({counts[norm] for norm in NORMALIZED}) == 1
    channels = sum(module.num_features for module in norms_of(nets["batch"]))
    assert counts["none"] == counts["batch"] - 2 * channels
    assert counts["batch"] < limit


@pytest.mark.parametrize("norm", NORMALIZED)
def test_norms_average_over_the_cells_they_are_named_after(norm):
    x = torch.randn(4, 6, 5, 3, dtype=torch.float64) * 3 + 2
    module = make_norm(norm, 6, num_groups=3)
    weight, bias = torch.randn(2, 6, 1, 1)
    module.load_state_dict({"weight": weight.flatten(), "bias": bias.flatten()}, strict=False)
    groups = {"batch": 6, "instance": 6, "group": 3, "layer": 1}[norm]
    cells = x.view(4, groups, -1)
    axes = (0, 2) if norm == "batch" else (2,)
    mean, var = cells.mean(axes, keepdim=True), cells.var(axes, correction=0, keepdim=True)
    expected = ((cells - mean) / (var + 1e-5).sqrt()).view_as(x)
    expected = (expected * weight + bias).float()
    torch.testing.assert_close(module(x.float()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_group_norm_takes_its_statistics_in_float32_and_keeps_precision_and_layout(dtype):
    x = (torch.randn(2, 8, 4, 4) * 5 + 100).to(dtype, memory_format=torch.channels_last)
    norm = ContiguousGroupNorm(4, 8)
    found = norm(x)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    exact = F.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double())
    rounding = torch.finfo(dtype).eps / 2 + 1e-5
    torch.testing.assert_close(found.double(), exact, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("norm", NORMS)
def test_only_batch_norm_lets_images_of_a_batch_see_each_other(norm):
    torch.manual_seed(0)
    net = Net(norm)
    images = torch.randn(4, 3, 32, 32)
    together, apart = net(images)[:2], net(images[:2])
    assert torch.allclose(together, apart, atol=1e-5) == (norm != "batch")
    net.eval()
    torch.testing.assert_close(net(images)[:2], net(images[:2]), rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(
    st.sampled_from(NORMS),
    st.integers(1, 3),
    st.sampled_from([1, 3]),
    st.integers(8, 20),
    st.integers(2, 12),
)
def test_images_of_any_size_get_a_score_for_each_class(norm, num, in_channels, size, num_classes):
    net = Net(norm, in_channels=in_channels, num_classes=num_classes)
    assert net(torch.zeros(num, in_channels, size, size)).shape == (num, num_classes)


def test_dropout_zeroes_features_in_training_alone():
    net = Net("none", dropout=0.5)
    images = torch.randn(1, 3, 32, 32).expand(50, -1, -1, -1)
    assert net(images).std(0).min() > 0
    net.eval()
    assert net(images).std(0).max() < 1e-6


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: Net("weight"),
            "norm='weight' is unknown; accepted: batch, group, layer, instance, none",
        ),
        (lambda: Net("group", 5), "num_groups=5 does not divide 32 channels; accepted: 1, 2, 4, 8"),
        (lambda: Net("group", 64), "num_groups=64 does not divide 32 channels"),
        (lambda: Net("group", 0), "num_groups=0 does not divide 32 channels; accepted: 1, 2, 4"),
        (lambda: Net("group", -2), "num_groups=-2 does not divide"),
        (lambda: Net(in_channels=4), r"in_channels=4 is not supported; accepted: 1 \(grey\) or 3"),
        (
            lambda: Net("batch")(torch.zeros(1, 3, 4, 4)),
            r"images of shape \(1, 3, 4, 4\) leave one value per channel.*at least two images",
        ),
        (lambda: Net("batch")(torch.zeros(3, 32, 32)), "expected 4D input"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_one_image_on_maps_of_1x1_is_fine_where_the_message_says_so():
    image = torch.zeros(1, 3, 4, 4)
    Net("batch").eval()(image)
    Net("batch")(image.expand(2, -1, -1, -1))
    Net("group")(image)
    Net("layer")(image)


# -- the layer table -------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("in_channels", "size"), [(1, 8), (1, 28), (3, 32)])
def test_the_layer_table_is_that_of_a_real_forward_pass(norm, in_channels, size):
    net = Net(norm, in_channels=in_channels)
    rows = layer_table(net, size)
    assert net.training, "the table leaves the network as it was"
    assert sum(row.parameters for row in rows) == count(net)
    assert [row.name for row in rows] == [name for name, _ in net.named_children()]
    x = torch.zeros(2, in_channels, size, size)
    for row, layer in zip(rows, net.children(), strict=True):
        x = layer(x)
        assert row.output_size == x.shape[1:]
        assert row.kind == type(layer).__name__
    assert rows[-1].output_size == (10,)


def seen(layers, size):
    """Side of the square of input pixels on which one value in the middle depends."""
    torch.manual_seed(0)
    image = torch.randn(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    out = layers(image)
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].square().sum().backward()
    rows = image.grad.abs().sum((0, 1, 3)).nonzero()
    return int(rows.max() - rows.min()) + 1


def test_receptive_fields_are_those_that_gradients_show():
    size = 96
    net = Net("none")
    rows = layer_table(net, size)
    net.double()
    convolutional = [row.name for row in rows].index("average")
    for pool in ("pool1", "pool2"):  # the gradient of a maximum shows one of its four cells alone
        setattr(net, pool, nn.AvgPool2d(2))
    for depth in range(1, convolutional + 1):
        field = seen(nn.Sequential(*list(net)[:depth]), size)
        assert field == rows[depth - 1].receptive_field, rows[depth - 1].name
    assert rows[convolutional].receptive_field == size
    fields = [row.receptive_field for row in rows]
    assert fields == sorted(fields)


def test_instance_norm_before_the_average_pool_leaves_nothing_of_the_image():
    torch.manual_seed(0)
    images = torch.rand(3, 3, 32, 32)
    spread = {norm: Net(norm)(images).std(0).max().item() for norm in ("instance", "layer")}
    assert spread["instance"] < 1e-5
    assert spread["layer"] > 1e-2
