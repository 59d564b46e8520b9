"""
The network, layer by layer
===========================

The network of the study: what comes out of each layer, how many parameters it has, and how much of
the image one of its numbers can see.

**The question.** Is it really the same network in every arm of the study, apart from the norm?
"""

from normstudy.study import summaries
from normstudy.study.blueprint import network
from normstudy.study.data import load
from normstudy.study.model import layer_table
from normstudy.study.studies import STUDIES
from normstudy.study.train import build

study = STUDIES["cifar10"]
images = load(study.data)
nets = {arm: build(recipes[0], images) for arm, recipes in study.recipes().items()}
counts = {arm: sum(p.numel() for p in net.parameters()) for arm, net in nets.items()}
fewer = counts["Batch norm"] - counts["No norm"]
print(
    f"In short: yes with any norm, {counts['Batch norm']:,} parameters in the same layers.\n"
    f"Without one it has {fewer:,} fewer, and no biases in front of the classifier."
)
assert {*counts.values()} == {counts["Batch norm"], counts["No norm"]}

# %%
# **You will see** a drawing of the network, a table of its layers, what stands in the places of the
# norms in every arm, and where the arms have how many parameters.
#
# The drawing
# -----------
#
# A 3×3 convolution turns colours into channels. Then come two stages. Each begins with a 1×1
# convolution that widens the channels, and goes on with residual blocks. Between the stages a max
# pool halves height and width. At the end the maps are averaged over all their pixels, and a linear
# layer turns the averages into one score per class.

net = nets["Batch norm"]
drawing = network(layer_table(net, images.size))

# %%
# Follow the drawing from top to bottom: the maps shrink while the channels grow, as the third
# column says. Every orange line is a place of a norm. There is one behind each 1×1 convolution, one
# in each block and one before the average; the first stands behind the first pool, where there are
# only a quarter as many pixels to normalize.
#
# A residual block computes ``x + pointwise(silu(norm(depthwise(x))))``. The *depthwise* convolution
# looks at 3×3 pixels of one channel at a time, and the *pointwise* one mixes the channels at one
# pixel. Together they need :math:`9 C + C^2` weights, where an ordinary 3×3 convolution needs
# :math:`9 C^2`. With ordinary convolutions in its blocks, the network would have about six times as
# many parameters (exercise 3).
#
# Layer by layer
# --------------
#
# The last column of the table is the receptive field: the side, in pixels, of the square of the
# image that one number of the output can see through convolutions and pools. It grows by
# :math:`(k - 1) \cdot j` at a layer of kernel :math:`k`, where :math:`j` is the distance in image
# pixels between neighbouring numbers.

print(summaries.layers(net, images.size))

# %%
# Look down the last column: before the average, one number sees the whole width of the image, so it
# could recognise an object by its outline and not only by its texture. A norm adds something that
# the column does not count. Under group and layer norm each number also depends on the mean and the
# variance of whole maps, so in a weak form it sees the whole image; under batch norm, in training,
# the whole batch.
#
# Let us check one row by hand. The first layer has one 3×3 kernel for each pair of a colour and a
# channel, and no bias: batch norm would subtract it again with the mean.

first = net.conv1
assert first.weight.numel() == first.out_channels * images.in_channels * 3 * 3
assert first.bias is None
before_average = layer_table(net, images.size)[-5]
assert before_average.receptive_field > images.size

# %%
# The arms
# --------
#
# The argument ``norm`` decides what stands in the places of the norms; ``num_groups`` is read by
# group norm only. The table lists the arms of the study with the kind of layer that they hold in
# these places, counted in the network itself and not in its description.

print(summaries.norm_layers(nets))

# %%
# Layer norm appears as a group norm because it is one, with a single group that holds all channels.
# Group norm has the same number of groups everywhere, so its groups grow with the network: at the
# first place each holds a single channel, and there group norm *is* instance norm.
#
# The layers are the same in every arm. Here are their parameters, for those that have any:

print(summaries.parameters(nets, images.size))

shapes = {
    arm: [(row.name, row.output_size) for row in layer_table(net, images.size)]
    for arm, net in nets.items()
}
assert all(shape == shapes["Batch norm"] for shape in shapes.values())

# %%
# The arms with a norm have the same number of parameters: two per channel in every place of a norm,
# a scale and a shift. A difference between two of them cannot come from the size of the network.
#
# The arm without a norm is another matter. It loses the norm and with it all scales and shifts. As
# the convolutions have no biases either, nothing in front of the classifier can shift a channel any
# more. So what it lacks, compared with the others, is more than the standardization.

from torch import nn

norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
biases = [name for name, _ in nets["No norm"].named_parameters() if "bias" in name]
print("biases of the arm without a norm:", *biases)
assert fewer == sum(2 * part.num_features for part in norms)
assert biases == ["linear1.bias"]

# %%
# What this does not show
# -----------------------
#
# Equal networks are not equally easy to train: each arm has a learning rate of its own, found in
# :ref:`sphx_glr_auto_examples_plot_240_search.py`. And a network designed around another norm, with
# wider groups for instance, or with biases where there is no norm, might rank the norms
# differently. This is one network.
#
# Exercises
# ---------
#
# 1. Build the network with ``norm="instance"``. How many parameters does it have? Then give it two
#    different images: why are the scores equal?
# 2. Which values of ``num_groups`` does the network accept, and why not 12?
# 3. Replace the two convolutions of each block by one ordinary 3×3 convolution, on paper. How many
#    parameters would the network have?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       from dataclasses import replace
#
#       recipe = study.recipes()["Batch norm"][0]
#       instance = build(replace(recipe, norm="instance"), images)
#       assert sum(p.numel() for p in instance.parameters()) == counts["Batch norm"]
#       one, other = instance(images.normalize(images.test.images[:2]))
#       assert (one - other).abs().max() < 1e-5
#
#    As many as with batch norm. The last norm is followed by the average over the pixels, and
#    instance norm gives every map the mean 0: the classifier gets the same numbers for all images.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       import math
#       from contextlib import suppress
#       from dataclasses import replace
#
#       recipe, accepted = study.recipes()["Group norm"][0], []
#       for number in range(1, 33):
#           with suppress(ValueError):
#               build(replace(recipe, num_groups=number), images)
#               accepted.append(number)
#       common = math.gcd(*(part.num_features for part in norms))
#       assert accepted == [number for number in range(1, 33) if common % number == 0]
#
#    The divisors of 32: 1, 2, 4, 8, 16 and 32. The groups must divide the 32, 64 and 96 channels of
#    all places, and 12 divides 96 alone. (For grey images the channels are half as many.)
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       ordinary = counts["Batch norm"]
#       for name, block in net.named_children():
#           if name.startswith("block"):
#               both = block.depthwise.weight.numel() + block.pointwise.weight.numel()
#               ordinary += 9 * block.norm.num_features**2 - both
#       print(f"{ordinary:,}, {ordinary / counts['Batch norm']:.1f} times as many")
#       assert ordinary > 4 * counts["Batch norm"]
#
#    287,850 instead of 45,546, which is 6.3 times as many. (For grey images, 5.0 times.)
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_230_three_norms.py` looks at what the norms do in this network.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
