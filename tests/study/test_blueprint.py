"""The drawing of a network shows its layers and the places of its norms."""

import pytest

from normstudy.study.blueprint import NORM_COLOR, describe_row, network
from normstudy.study.model import Net, layer_table
from normstudy.study.networks import NETWORKS, Block, Conv, Norm, Separable

FORMS = [(name, channels) for name, forms in NETWORKS.items() for channels in forms]
SIZES = {1: 28, 3: 32}


@pytest.mark.parametrize(("name", "in_channels"), FORMS)
def test_every_layer_and_every_norm_is_drawn(name, in_channels):
    net = Net("group", 2, net=name, in_channels=in_channels, size=SIZES[in_channels])
    fig = network(layer_table(net, SIZES[in_channels]))
    norms = [line for line in fig.axes[0].lines if line.get_color() == NORM_COLOR]
    assert len(norms) == sum(isinstance(row, Norm | Block | Separable) for row in net.rows)
    words = [text.get_text() for text in fig.axes[0].texts]
    assert words.count("residual block") == sum(isinstance(row, Block) for row in net.rows)
    convolutions = sum("convolution" in word for word in words)
    assert convolutions == sum(isinstance(row, Conv | Separable) for row in net.rows)
    assert f"{sum(p.numel() for p in net.parameters()):,} parameters" in fig.normstudy["caption"]
    assert "3×3 convolution" in fig.normstudy["alt"]


def test_the_caption_says_where_activations_stand():
    first = network(layer_table(Net(net="separable"))).normstudy["caption"]
    assert "a SiLU after 3 of the 4 norms outside the blocks (not after the last)" in first
    main = network(layer_table(Net())).normstudy["caption"]
    assert "a hardswish after each norm outside the blocks; a hardswish after the last" in main
    assert "A residual block is x + 1×1(hardswish(norm(3×3 depthwise(x))))." in main
    control = network(layer_table(Net(net="pyramid-act-first"))).normstudy["caption"]
    assert "a hardswish after the first max pool, before the norm" in control
    assert "A separable convolution is 1×1(norm(hardswish(3×3 depthwise(x))))." in control
    small = network(layer_table(Net(net="valid", in_channels=1, size=28), 28)).normstudy["caption"]
    assert (
        "a hardswish after each norm outside the separable convolutions; "
        "a hardswish after the last separable convolution; places of dropout."
    ) in small
    assert small.endswith("before the 1×1 convolution. Its 3×3 half is not padded.")
    assert "not padded" not in main
    report = Net(net="study-d", in_channels=1, size=28)
    assert (
        "a ReLU after 6 convolutions, before the norm"
        in (network(layer_table(report, 28)).normstudy["caption"])
    )


def test_an_unknown_kind_of_row_is_refused_and_not_left_out():
    with pytest.raises(TypeError, match="no drawing is known for the row 'attention'"):
        describe_row("attention")
