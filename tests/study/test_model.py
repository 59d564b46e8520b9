"""Every arm holds the norm that it claims, and the layer table tells the truth."""

import copy
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from normstudy.study import model
from normstudy.study.model import (
    ChannelShift,
    LayerRow,
    Net,
    layer_table,
    make_norm,
)
from normstudy.study.networks import NETWORKS, AveragePool, Conv, Dropout, Flatten, Norm
from normstudy.study.recipes import NORMS
from normstudy.study.studies import STUDIES

NORMALIZED = [norm for norm in NORMS if norm != "none"]
PER_CHANNEL = [norm for norm in NORMALIZED if norm != "layer_chw"]
ANY_NORM = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
SIZES = {1: 28, 3: 32}
DEEP = ("pyramid-double", "pyramid-quadruple")  # they see more than an image of the tests
FORMS = [(name, in_channels) for name, forms in NETWORKS.items() for in_channels in forms]


def norms_of(net):
    return [module for module in net.modules() if isinstance(module, ANY_NORM)]


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def built(name, in_channels, norm="batch", num_groups=2, **options):
    """Return a network as it is for its data set."""
    options = {"size": SIZES[in_channels], **options}
    return Net(norm, num_groups, net=name, in_channels=in_channels, **options)


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("num_groups", [1, 2, 8, 16])
@pytest.mark.parametrize("norm", NORMS)
def test_a_network_holds_the_norm_it_claims_and_no_other(norm, num_groups, in_channels):
    net = Net(norm, num_groups, net="separable", in_channels=in_channels)
    held = norms_of(net)
    if norm == "none":
        assert held == []
        return
    assert len(held) == {1: 7, 3: 9}[in_channels]
    if norm in ("batch", "layer_chw"):
        kind = {"batch": nn.BatchNorm2d, "layer_chw": nn.LayerNorm}[norm]
        assert {type(module) for module in held} == {kind}
        return
    assert all(isinstance(module, nn.GroupNorm) for module in held)
    for module in held:
        groups = {"group": num_groups, "layer": 1, "instance": module.num_channels}[norm]
        assert module.num_groups == groups


@pytest.mark.parametrize(("data", "in_channels"), [("cifar10", 3), ("mnist", 1), ("digits", 1)])
def test_every_arm_of_the_study_is_normalized_as_its_name_says(data, in_channels, monkeypatch):
    monkeypatch.setenv("NORMSTUDY_REPORT", data)
    kinds = dict.fromkeys(("Group norm", "Layer norm", "Instance norm"), nn.GroupNorm)
    kinds["Batch norm"] = nn.BatchNorm2d
    for arm, (recipe, *_) in STUDIES["main"].recipes().items():
        held = norms_of(
            Net(recipe.norm, recipe.num_groups, net=recipe.net, in_channels=in_channels)
        )
        kind = kinds.get(arm.removesuffix(" + L1"))
        assert bool(held) == (kind is not None)
        assert all(isinstance(module, kind) for module in held)
        groups = {"Group norm": recipe.num_groups, "Layer norm": 1}.get(arm)
        assert all(module.num_groups == groups for module in held if groups)
        if arm == "Group norm":
            assert 1 < groups < max(module.num_channels for module in held)


@pytest.mark.parametrize(("in_channels", "limit"), [(1, 10_000), (3, 50_000)])
def test_normalized_arms_have_equally_many_parameters_within_the_limit(in_channels, limit):
    nets = {norm: Net(norm, net="separable", in_channels=in_channels) for norm in NORMS}
    counts = {norm: count(net) for norm, net in nets.items()}
    assert len({counts[norm] for norm in PER_CHANNEL}) == 1
    channels = sum(module.num_features for module in norms_of(nets["batch"]))
    assert counts["none"] == counts["batch"] - 2 * channels
    assert counts["batch"] < limit


@pytest.mark.parametrize(
    ("name", "in_channels", "limit"),
    [("pyramid", 1, 10_000), ("pyramid", 3, 50_000), ("valid", 1, 10_000)],
)
def test_arms_of_the_main_study_differ_in_parameters_by_the_scales_alone(name, in_channels, limit):
    nets = {norm: Net(norm, 2, net=name, in_channels=in_channels) for norm in NORMS}
    counts = {norm: count(net) for norm, net in nets.items()}
    assert len({counts[norm] for norm in PER_CHANNEL}) == 1
    assert counts["batch"] < limit
    channels = sum(module.num_features for module in norms_of(nets["batch"]))
    assert counts["none"] == counts["batch"] - channels


@pytest.mark.parametrize(
    ("norm", "num_groups", "lost"),
    [("batch", 1, 0), ("none", 1, 0), ("layer", 1, 1), *[("group", g, g) for g in (2, 8, 16, 32)]],
)
def test_what_the_classifier_can_see(norm, num_groups, lost):
    """In the first network, each group and each layer takes a dimension from the classifier."""
    rank, _ = _seen(Net(norm, num_groups, net="separable"))
    assert rank == 96 - lost
    if 24 % num_groups == 0:
        rank, spread = _seen(Net(norm, num_groups, net="pyramid"))
        assert rank == 96
        assert spread > 0.1


def test_what_the_classifier_can_see_under_instance_norm():
    rank, _ = _seen(Net("instance", net="separable"))
    assert rank == 0
    rank, spread = _seen(Net("instance", net="pyramid"))
    assert rank == 96
    assert spread > 0.1


@pytest.mark.parametrize("norm", ["batch", "group", "layer", "instance", "none"])
def test_what_the_classifier_of_the_small_network_can_see(norm):
    torch.manual_seed(0)
    net = Net(norm, 4, net="valid", in_channels=1, size=28, init="he")
    rank, spread = _seen(net, channels=1, size=28)
    assert rank == 56
    assert spread > 0.1


def test_an_activation_behind_the_last_norm_would_not_be_enough(monkeypatch):
    pyramid = NETWORKS["pyramid"][3]
    pool = pyramid.index(AveragePool())
    rows = (*pyramid[: pool - 1], Norm(), *pyramid[pool - 1 :])
    monkeypatch.setattr(model, "NETWORKS", {"with a last norm": {3: rows}})
    rank, spread = _seen(Net("instance", net="with a last norm"))
    assert rank == 96  # and yet next to nothing is left of an image
    assert spread < 0.02


def _seen(net, *, channels=3, size=32):
    """What reaches the classifier from 160 images: its rank, and its spread relative to its size.

    The images are smooth noise, the network is untrained and computes in double precision.
    """
    noise = torch.randn(160, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    images = F.interpolate(noise, size=size, mode="bilinear").double()
    before = nn.Sequential(*list(net.double())[:-1])
    with torch.no_grad():
        features = before(images)
    centred = features - features.mean(0)
    rank = int((torch.linalg.svdvals(centred) > 1e-6 * max(1, features.abs().max())).sum())
    return rank, float(centred.norm() / features.norm())


@pytest.mark.parametrize(
    ("name", "in_channels", "norm", "expected"),
    [
        ("study-b", 1, "group", 7_792),
        ("study-c", 3, "batch", 47_808),
        ("study-d", 1, "batch", 8_016),
        ("study-d", 1, "layer_chw", 37_592),
        ("study-e", 1, "layer", 7_864),
    ],
)
def test_networks_of_the_reports_have_the_reports_numbers_of_parameters(
    name, in_channels, norm, expected
):
    assert count(built(name, in_channels, norm)) == expected


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("name", "in_channels"), FORMS)
def test_every_network_learns_with_every_norm_on_images_of_its_data_set(name, in_channels, norm):
    net = built(name, in_channels, norm)
    size = SIZES[in_channels]
    scores = net(torch.randn(3, in_channels, size, size))
    assert scores.shape == (3, 10)
    scores.square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert (norms_of(net) == []) == (norm == "none")


@pytest.mark.parametrize("norm", PER_CHANNEL)
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


def test_layer_chw_has_the_statistics_of_layer_norm_and_a_weight_for_every_value():
    x = torch.randn(4, 6, 5, 5) * 3 + 2
    chw, layer = make_norm("layer_chw", 6, 1, size=5), make_norm("layer", 6, 1)
    torch.testing.assert_close(chw(x), layer(x))
    weight, bias = torch.randn(2, 6, 5, 5)
    chw.load_state_dict({"weight": weight, "bias": bias})
    torch.testing.assert_close(chw(x), layer(x) * weight + bias)


def test_without_a_norm_a_place_may_keep_the_shift_of_one():
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(make_norm("none", 6, 1)(x), x)
    shift = make_norm("none", 6, 1, shift=True)
    assert torch.equal(shift(x), x)
    assert [p.shape for p in shift.parameters()] == [(6,)]
    with torch.no_grad():
        shift.bias.copy_(torch.arange(6.0))
    torch.testing.assert_close(shift(x) - x, torch.arange(6.0)[:, None, None].expand_as(x))
    assert shift(x.bfloat16()).dtype == torch.bfloat16
    assert not isinstance(make_norm("batch", 6, 1, shift=True), ChannelShift)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_group_norm_takes_its_statistics_in_float32_and_keeps_precision_and_layout(dtype):
    x = (torch.randn(2, 8, 4, 4) * 5 + 100).to(dtype, memory_format=torch.channels_last)
    norm = make_norm("group", 8, 4)
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
    given = {"in_channels": in_channels, "num_classes": num_classes, "size": size}
    net = Net(norm, net="separable", **given)
    assert net(torch.zeros(num, in_channels, size, size)).shape == (num, num_classes)


def first(net, count):
    return nn.Sequential(*list(net)[:count])


def test_groups_of_two_channels_are_that_in_every_place():
    net = Net("group", net="study-b", in_channels=1, size=28, channels_per_group=2)
    norms = [m for m in net.modules() if isinstance(m, nn.GroupNorm)]
    assert [(m.num_channels, m.num_groups) for m in norms] == [
        *((8, 4), (16, 8), (10, 5), (16, 8), (24, 12), (16, 8))
    ]
    batch = Net("batch", net="study-b", in_channels=1, size=28, channels_per_group=2)
    assert not any(isinstance(m, nn.GroupNorm) for m in batch.modules())


def test_dropout_zeroes_features_in_training_alone():
    net = Net("none", dropout=0.5)
    images = torch.randn(1, 3, 32, 32).expand(50, -1, -1, -1)
    assert net(images).std(0).min() > 0
    net.eval()
    assert net(images).std(0).max() < 1e-6


@pytest.mark.parametrize("name", ["study-b", "study-d"])
def test_study_d_drops_whole_maps_and_the_others_single_values(name):
    torch.manual_seed(0)
    net = built(name, 1, "none", dropout=0.5)
    kept = net.dropout1(torch.ones(20, 8, 6, 6)).flatten(2).sign().mean(2)
    assert 0.3 < kept.mean() < 0.7
    assert bool(((kept == 0) | (kept == 1)).all()) == (name == "study-d")
    places = [m for m in net.modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]
    assert {isinstance(m, nn.Dropout2d) for m in places} == {name == "study-d"}
    assert {m.p for m in places} == {0.5}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: Net("weight"),
            "norm='weight' is unknown; accepted: batch, group, layer, layer_chw, instance, none",
        ),
        (lambda: Net("group", 5), "num_groups=5 does not divide 24 channels; accepted: 1, 2, 3, 4"),
        (lambda: Net("group", 64), "num_groups=64 does not divide 24 channels"),
        (lambda: Net("group", 0), "num_groups=0 does not divide 24 channels; accepted: 1, 2, 3"),
        (lambda: Net("group", -2), "num_groups=-2 does not divide"),
        (
            lambda: Net(in_channels=4),
            r"in_channels=4 is not supported by net='pyramid'; accepted: 1 \(grey\) or 3 \(colour",
        ),
        (
            lambda: Net(net="study-c", in_channels=1),
            r"in_channels=1 is not supported by net='study-c'; accepted: 3 \(colour\)$",
        ),
        (
            lambda: Net(net="study-d"),
            r"in_channels=3 is not supported by net='study-d'; accepted: 1 \(grey\)$",
        ),
        (
            lambda: Net(net="resnet"),
            "net='resnet' is unknown; accepted: separable, pyramid, pyramid-act-first",
        ),
        (
            lambda: Net("group", channels_per_group=5),
            "channels_per_group=5 does not divide 24 channels; accepted: a divisor of the channels",
        ),
        (lambda: make_norm("layer_chw", 4, 1), "a weight for every pixel; give size, the side of"),
        (
            lambda: Net("batch", net="separable")(torch.zeros(1, 3, 4, 4)),
            r"images of shape \(1, 3, 4, 4\) leave one value per channel.*at least two images",
        ),
        (lambda: Net("batch")(torch.zeros(3, 32, 32)), "expected 4D input"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_a_kind_of_row_that_the_builder_does_not_know_is_refused(monkeypatch):
    @dataclass(frozen=True)
    class Attention:
        heads: int

    rows = (Conv(8), Attention(heads=2), Flatten())
    monkeypatch.setattr(model, "NETWORKS", {"new": {3: rows}})
    match = r"no layer is known for the row .*Attention\(heads=2\); teach normstudy\.study\.model"
    with pytest.raises(TypeError, match=match):
        Net(net="new")


def test_a_new_network_is_one_entry(monkeypatch):
    rows = (Conv(8, padding=1), Norm(shift=True), Dropout(maps=True), Conv(10, kernel=32))
    monkeypatch.setattr(model, "NETWORKS", {"new": {3: (*rows, Flatten())}})
    nets = {norm: Net(norm, 2, net="new") for norm in NORMS}
    for net in nets.values():
        assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
        assert [row.name for row in layer_table(net)] == [
            *("conv1", "norm1", "dropout1", "conv2", "flatten1")
        ]
    assert count(nets["batch"]) - count(nets["none"]) == 8, "the weight; the shift stays"


def test_one_image_on_maps_of_1x1_is_fine_where_the_message_says_so():
    image = torch.zeros(1, 3, 4, 4)
    Net("batch", net="separable").eval()(image)
    Net("batch", net="separable")(image.expand(2, -1, -1, -1))
    Net("group", net="separable")(image)
    Net("layer", net="separable")(image)


# -- the layer table -------------------------------------------------------------------------------


def assert_true(table, net, in_channels, size):
    """Compare a layer table with a real forward pass."""
    assert net.training, "the table leaves the network as it was"
    assert sum(row.parameters for row in table) == count(net)
    assert [row.name for row in table] == [name for name, _ in net.named_children()]
    assert tuple(row.row for row in table) == net.rows
    x = torch.zeros(2, in_channels, size, size)
    for row, layer in zip(table, net.children(), strict=True):
        x = layer(x)
        assert row.output_size == x.shape[1:]
        assert row.kind == type(layer).__name__
    assert table[-1].output_size == (10,)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("in_channels", "size"), [(1, 8), (1, 28), (3, 32)])
def test_the_layer_table_is_that_of_a_real_forward_pass(norm, in_channels, size):
    net = Net(norm, net="separable", in_channels=in_channels, size=size)
    assert_true(layer_table(net, size), net, in_channels, size)


def test_the_layer_table_leaves_the_mode_of_every_layer_and_what_it_has_counted():
    net = Net("batch", net="separable")
    norms_of(net)[0].eval()  # alone, within a network that is training
    modes = [module.training for module in net.modules()]
    counted = {name: value.clone() for name, value in net.state_dict().items()}
    layer_table(net)
    assert [module.training for module in net.modules()] == modes
    assert not all(modes)
    assert net.training
    assert all(torch.equal(value, counted[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(("name", "in_channels"), FORMS)
def test_every_network_has_a_layer_table(name, in_channels, norm):
    net, size = built(name, in_channels, norm), SIZES[in_channels]
    table = layer_table(net, size)
    assert all(isinstance(row, LayerRow) for row in table)
    assert_true(table, net, in_channels, size)


@pytest.mark.parametrize(
    ("name", "in_channels", "before", "expected"),
    [("study-d", 1, "averagepool1", 22), ("study-c", 3, "flatten1", 44)],
)
def test_receptive_fields_of_two_reports(name, in_channels, before, expected):
    table = layer_table(built(name, in_channels), SIZES[in_channels])
    fields = {row.name: table[k - 1].receptive_field for k, row in enumerate(table) if k}
    assert fields[before] == expected


def seen(layers, size, in_channels):
    """Side of the square of input pixels on which one value in the middle depends."""
    torch.manual_seed(0)
    image = torch.randn(1, in_channels, size, size, dtype=torch.float64, requires_grad=True)
    out = layers(image)
    middle = out.shape[-1] // 2
    out[0, :, middle, middle].square().sum().backward()
    rows = image.grad.abs().sum((0, 1, 3)).nonzero()
    return int(rows.max() - rows.min()) + 1


@pytest.mark.parametrize(("name", "in_channels"), [form for form in FORMS if form[0] not in DEEP])
def test_receptive_fields_are_those_that_gradients_show(name, in_channels):
    size = 96  # larger than the field; layers without a norm take any size
    net = built(name, in_channels, "none")
    table = layer_table(net, size)
    net.double()
    for part in list(net.modules()):
        for layer, module in list(part.named_children()):
            if isinstance(module, nn.MaxPool2d):  # its gradient shows one of its cells alone
                setattr(part, layer, nn.AvgPool2d(module.kernel_size))
            if isinstance(module, nn.ReLU | nn.Hardswish):  # it may be dead at an edge
                setattr(part, layer, nn.SiLU())
    kinds = [row.kind for row in table]
    last = next(i for i, kind in enumerate(kinds) if kind.startswith(("Adaptive", "Flatten")))
    for depth in range(1, last + 1):
        field = seen(nn.Sequential(*list(net)[:depth]), size, in_channels)
        assert field == table[depth - 1].receptive_field, table[depth - 1].name
    if name == "separable":
        assert table[last].receptive_field == size
    fields = [row.receptive_field for row in table]
    assert fields == sorted(fields)


def test_instance_norm_before_the_average_pool_leaves_nothing_of_the_image():
    torch.manual_seed(0)
    images = torch.rand(3, 3, 32, 32)
    spread = {
        norm: Net(norm, net="separable")(images).std(0).max().item()
        for norm in ("instance", "layer")
    }
    assert spread["instance"] < 1e-5
    assert spread["layer"] > 1e-2


@pytest.mark.parametrize(
    ("net", "in_channels", "size", "match"),
    [
        ("study-b", 1, 8, r"net='study-b' does not fit images of 8x8 pixels: at its .* a side of"),
        ("study-d", 1, 40, r"at its Flatten\(\) the maps have a side of 2, not of 1; take another"),
    ],
)
def test_a_network_that_does_not_fit_its_images_is_refused(net, in_channels, size, match):
    with pytest.raises(ValueError, match=match):
        Net("batch", net=net, in_channels=in_channels, size=size)


@pytest.mark.parametrize("norm", NORMS)
def test_slices_copies_and_other_dtypes_of_the_network(norm):
    net, images = Net(norm, num_groups=8).eval(), torch.randn(2, 3, 32, 32)
    scores = net(images)
    first, rest = net[:4], net[4:]
    assert type(first) is nn.Sequential
    assert (len(first), len(rest)) == (4, len(net) - 4)
    assert [*dict(first.named_children())] == [*dict(net.named_children())][:4]
    assert torch.equal(rest(first(images)), scores)
    assert net[0] is net.conv1
    assert net[-1] is rest[-1]
    assert torch.equal(copy.deepcopy(net)(images), scores)
    wide = copy.deepcopy(net).double()(images.double())
    torch.testing.assert_close(wide.float(), scores, rtol=1e-4, atol=1e-4)
    for dtype in (torch.bfloat16, torch.float16):
        low = copy.deepcopy(net).to(dtype)(images.to(dtype))
        assert low.dtype == dtype
        torch.testing.assert_close(low.float(), scores, rtol=0.1, atol=0.1)
