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

study = STUDIES["main"]
images = load(study.data)
nets = {arm: build(recipes[0], images) for arm, recipes in study.recipes().items()}
counts = {arm: sum(p.numel() for p in net.parameters()) for arm, net in nets.items()}
fewer = counts["Batch norm"] - counts["No norm"]
print(
    f"In short: yes with any norm, {counts['Batch norm']:,} parameters in the same layers.\n"
    f"Without one it has {fewer:,} fewer: it keeps each channel's shift and has no scales."
)
assert {*counts.values()} == {counts["Batch norm"], counts["No norm"]}

# %%
# **You will see** a drawing of the network, a table of its layers, what stands in the places of the
# norms in every arm, and where the arms have how many parameters.
#
# The drawing
# -----------
#
# A 3×3 convolution turns colours into channels, and a max pool halves the map at once, which makes
# the network fast. Separable convolutions then widen the channels and, twice, halve the map again;
# after each of those come residual blocks. At the end an activation, the mean of each map over its
# pixels, and a linear layer that turns the means into one score per class.

net = nets["Batch norm"]
drawing = network(layer_table(net, images.size))

# %%
# Follow the drawing from top to bottom: the maps shrink while the channels grow, as the third
# column says. Every orange line is a place of a norm: one after the first pool, one in each
# separable convolution and one in each block.
#
# A separable convolution computes ``pointwise(act(norm(depthwise(x))))``. Its *depthwise*
# convolution looks at 3×3 pixels of one channel at a time, and the *pointwise* one mixes the
# channels at one pixel. From :math:`C` to :math:`C'` channels they need :math:`9 C + C C'` weights,
# where an ordinary 3×3 convolution needs :math:`9 C C'`. A residual block adds such a convolution
# to its input. With ordinary convolutions the network would have several times as many parameters
# (exercise 3).
#
# There is no norm after the last block, and that is on purpose. A norm that feeds the mean over
# the pixels has fixed the very thing that is then read: under group norm the means of each group
# add up to a constant, and under instance norm every mean is the same for all images. An activation
# in between helps less than one would think, since within three standard deviations hardswish is a
# parabola, whose mean depends on mean and variance alone. :ref:`plan` has the numbers. Here the sum
# that the blocks left, which no norm has touched, goes through an activation of its own.
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
# could recognize an object by its outline and not only by its texture. A norm adds something that
# the column does not count. Under group, layer and instance norm each number also depends on the
# mean and the variance of whole maps, so in a weak form it sees the whole image; under batch norm,
# in training, the whole batch.
#
# Let us check one row by hand. The first layer has one 3×3 kernel for each pair of a colour and a
# channel, and no bias: batch norm would subtract it again with the mean.

first = net.conv1
assert first.weight.numel() == first.out_channels * images.in_channels * 3 * 3
assert first.bias is None
before_average = next(
    row for row in layer_table(net, images.size) if row.name == "averagepool1"
)
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
# Layer norm and instance norm appear as group norms because they are: one with a single group that
# holds all channels, the other with a group for every channel. Group norm has the same number of
# groups everywhere, so its groups grow with the network.
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
# The arm without a norm has a learned shift for each channel in the same places, as the
# convolutions have no biases. What it lacks, besides the standardization, are the scales.

from torch import nn

norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
shifts = [name for name, _ in nets["No norm"].named_parameters() if "norm" in name]
print("left of the norms without a norm:", *shifts)
assert fewer == sum(part.num_features for part in norms)
assert len(shifts) == len(norms)

# %%
# What this does not show
# -----------------------
#
# Equal networks are not equally easy to train: each arm has a learning rate of its own, found in
# :ref:`sphx_glr_auto_examples_plot_240_search.py`. And a network designed around another norm, with
# wider groups for instance, might rank the norms differently. This is one network.
#
# Exercises
# ---------
#
# 1. Send two different images through the untrained network under instance norm. By how much do
#    their scores differ, and by how much if the norms are moved after the activations?
# 2. Which values of ``num_groups`` does the network accept, and why not 5?
# 3. Replace the two convolutions of each block and of each separable convolution by one ordinary
#    3×3 convolution, on paper. How many parameters would the network have?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       from dataclasses import replace
#
#       recipe = study.recipes()["Instance norm"][0]
#       for name in ("pyramid", "pyramid-act-first"):
#           instance = build(replace(recipe, net=name), images)
#           one, other = instance(images.normalize(images.test.images[:2]))
#           print(f"{name}: {(one - other).abs().max():.4f}")
#           assert (one - other).abs().max() > 1e-3
#
#    The scores differ in both: the classifier reads what no norm has touched, so images stay apart.
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
#    The divisors of 24: 1, 2, 3, 4, 6, 8, 12 and 24. The groups must divide the channels of all
#    places, which are multiples of 24. (For grey images the channels are half as many.)
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       ordinary = counts["Batch norm"]
#       for part in net.children():
#           if hasattr(part, "pointwise"):
#               width, from_width = part.pointwise.weight.shape[:2]
#               both = part.depthwise.weight.numel() + part.pointwise.weight.numel()
#               ordinary += 9 * width * from_width - both
#       print(f"{ordinary:,}, {ordinary / counts['Batch norm']:.1f} times as many")
#       assert ordinary > 4 * counts["Batch norm"]
#
#    365,506 instead of 47,266, which is 7.7 times as many.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_230_three_norms.py` looks at what the norms do in this network.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
