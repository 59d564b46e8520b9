"""The drawing of the network shows its layers and the places of its norms."""

import pytest

from normstudy.study.blueprint import NORM_COLOR, network
from normstudy.study.model import Net, layer_table


@pytest.mark.parametrize(("in_channels", "size"), [(3, 32), (1, 28), (1, 8)])
def test_every_layer_and_every_norm_is_drawn(in_channels, size):
    net = Net("group", num_groups=4, in_channels=in_channels)
    fig = network(layer_table(net, size))
    norms = [line for line in fig.axes[0].lines if line.get_color() == NORM_COLOR]
    assert len(norms) == sum(type(part).__name__.endswith("GroupNorm") for part in net.modules())
    words = [text.get_text() for text in fig.axes[0].texts]
    assert words.count("residual block") == sum("block" in name for name, _ in net.named_children())
    assert f"{sum(p.numel() for p in net.parameters()):,} parameters" in fig.normstudy["caption"]
    assert "3×3 convolution to" in fig.normstudy["alt"]
