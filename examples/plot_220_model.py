"""
One network, five versions
==========================

The network of the study, layer by layer: what comes out of each, how many parameters it has, and
how much of the image one of its numbers can see.

**The question.** Are the versions really the same network, apart from the norm?

**You will see** a drawing of the network, a table of its layers, a table of what stands in the
places of the norms in every version, and checks that no version has more parameters than another.
"""

# %%
# The drawing
# -----------
#
# The network is small enough for a napkin. A 3×3 convolution, the stem, turns colours into
# channels. Then come two stages. Each begins with a 1×1 convolution, the *transition*, that widens
# the channels, and goes on with residual blocks. Between the stages a max pool halves height and
# width. At the end the maps are averaged over all their pixels, and a linear layer turns the
# averages into one score per class.

from normstudy.study.blueprint import network
from normstudy.study.data import load
from normstudy.study.model import Net, layer_table
from normstudy.study.recipes import report_data, study

images = load(report_data())
net = Net("batch", in_channels=images.in_channels)
drawing = network(layer_table(net, images.size))

# %%
# Follow the drawing from top to bottom: the maps shrink while the channels grow, as the second
# column says. Every orange line is a place of a norm. There is one behind each transition, one in
# each block and one before the average; the one of the stem stands behind the first pool, where
# there are only a quarter as many pixels to normalize.
#
# A residual block computes ``x + pointwise(silu(norm(depthwise(x))))``. The *depthwise* convolution
# looks at 3×3 pixels of one channel at a time, and the *pointwise* one mixes the channels at one
# pixel. Together they need :math:`9 C + C^2` weights, where an ordinary 3×3 convolution needs
# :math:`9 C^2`. That is how the network stays below 50,000 parameters.
#
# Layer by layer
# --------------
#
# The last column of the table is the receptive field: the side, in pixels, of the square of the
# image that one number of the output can see through convolutions and pools. It grows by
# :math:`(k - 1) \cdot j` at a layer of kernel :math:`k`, where :math:`j` is the distance in image
# pixels between neighbouring numbers.

from normstudy.tables import Table

rows = [
    (row.name, row.kind, " × ".join(map(str, row.output_size)), f"{row.parameters:,}",
     str(row.receptive_field))
    for row in layer_table(net, images.size)
]  # fmt: skip
print(Table(("layer", "kind", "output", "parameters", "receptive field"), tuple(rows)))

# %%
# Look down the last column: it tells whether a number before the average has seen enough to
# recognise a thing by its outline and not only by its texture. A norm adds something that the
# column does not count. Under group and layer norm each number also feels the mean and the
# variance of the whole map, so in a weak form it sees the whole image; under batch norm, in
# training, the whole batch.
#
# Let us check one row by hand. The stem has one 3×3 kernel for each pair of a colour and a channel,
# and no bias: batch norm would subtract it again with the mean. The other versions go without it
# too, so that they stay the same network.

stem = next(net.children())
assert stem.weight.numel() == stem.out_channels * images.in_channels * 3 * 3
assert stem.bias is None

# %%
# The versions
# ------------
#
# The argument ``norm`` decides what stands in the places of the norms; ``num_groups`` is read by
# group norm only. The table lists the versions of the study with the kind of layer that they hold
# in these places, counted in the network itself and not in its description.

from collections import Counter

from torch import nn

arms = {label: recipes[0] for label, recipes in study(report_data()).items()}
versions = {
    label: Net(recipe.norm, recipe.num_groups, in_channels=images.in_channels)
    for label, recipe in arms.items()
}
rows = []
for label, version in versions.items():
    norms = [part for part in version.modules() if "Norm" in type(part).__name__]
    kinds = Counter(type(part).__name__ for part in norms)
    places = ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "none"
    grouped = [part for part in norms if isinstance(part, nn.GroupNorm)]
    groups = sorted({part.num_channels // part.num_groups for part in grouped})
    rows.append((label, places, ", ".join(map(str, groups)) or "–"))
print(Table(("version", "norm layers", "channels in a group"), tuple(rows)))
assert arms["Group norm"].num_groups == versions["Group norm"].stem.out_channels

# %%
# Layer norm appears as a GroupNorm because it is one, with a single group that holds all channels.
# Group norm has the same number of groups everywhere, so its groups grow with the network: behind
# the stem each holds a single channel, and there group norm *is* instance norm.
#
# The table of layers is the same for every version but for the parameters of the norms. Here they
# are, version by version, for the layers that have any:

tables = {
    label: layer_table(version, images.size) for label, version in versions.items()
}
rows = [
    (layers[0].name, *(f"{layer.parameters:,}" for layer in layers))
    for layers in zip(*tables.values(), strict=True)
    if any(layer.parameters for layer in layers)
]
counts = {
    label: sum(layer.parameters for layer in table) for label, table in tables.items()
}
rows.append(("all layers", *(f"{count:,}" for count in counts.values())))
print(Table(("parameters", *tables), tuple(rows)))

seen = {
    label: [(layer.name, layer.output_size, layer.receptive_field) for layer in table]
    for label, table in tables.items()
}
assert all(layers == seen["Batch norm"] for layers in seen.values())
assert len({count for label, count in counts.items() if label != "No norm"}) == 1
assert max(counts.values()) < 50_000

# %%
# The versions with a norm have the same number of parameters: two per channel in every place of a
# norm, a scale and a shift. The version without has exactly those fewer, and the next lines make
# sure of that. So a difference between two normalized versions cannot come from the size of the
# network.

scales_and_shifts = sum(
    parameter.numel()
    for part in net.modules()
    if isinstance(part, nn.BatchNorm2d)
    for parameter in part.parameters()
)
assert counts["Batch norm"] - counts["No norm"] == scales_and_shifts
print(
    f"scales and shifts: {scales_and_shifts:,} of {counts['Batch norm']:,} parameters"
)

# %%
# What this does not show
# -----------------------
#
# Equal networks are not equally easy to train: each version has a learning rate of its own, found
# in :ref:`sphx_glr_auto_examples_plot_260_search.py`. And a network designed around another norm,
# for example with wider groups or with biases where there is no norm, might rank the norms
# differently. This is one network.
#
# Exercises
# ---------
#
# 1. Give ``Net`` the norm ``"instance"``. How many parameters does it have? Then give it two
#    different images: why are the scores equal?
# 2. Which values of ``num_groups`` does the network accept, and why not 12?
# 3. Replace the residual blocks by ordinary 3×3 convolutions on paper. How many parameters is that?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_230_curves.py` trains all versions and compares them.

import matplotlib.pyplot as plt

plt.show()
