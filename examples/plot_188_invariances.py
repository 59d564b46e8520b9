"""
What a norm does not see
========================

Changes of the input, the weights and the batch that leave the output as it is, for every norm.

**The question.** Which changes are invisible after batch, layer, group and instance norm, and what
follows for the weights in front of them?

**The answer.** A norm does not see a change that is constant on each of its sets. Of the 14 changes
tried here, instance norm sees none, batch and group norm 5 each, and layer norm 7. None of the four
sees the length of the weight, so its gradient is perpendicular to it.

**You will see** a picture and a table of which norm is blind to what, each entry decided by a
computation, and a gradient that has no part along its own weight.
"""

# %%
# A convolution and a norm
# ------------------------
#
# A norm hardly ever stands alone: it follows a convolution. So we take two random images, a
# convolution without bias from 3 to 4 channels, and one of the four norms after it, with 2 groups
# in group norm and :math:`\varepsilon = 0`. Everything is in float64, and "the same" means the same
# to 9 decimals. The letters are those of :doc:`/notation`.

import torch
from torch.nn import functional as F

from normstudy.byhand import norms
from normstudy.byhand.reference import assert_close

torch.manual_seed(0)
images = torch.randn(2, 3, 6, 6, dtype=torch.float64) + 1
weight = torch.randn(4, 3, 3, 3, dtype=torch.float64)
names = ("batch", "layer", "group", "instance")


def output(norm, images=images, weight=weight, scale=1.0, shift=0.0):
    """Convolve, scale and shift the maps, normalize."""
    maps = scale * F.conv2d(images, weight) + shift
    return norms.forward(maps, norm, num_groups=2, eps=0.0).y


def same(one, other):
    """Whether two outputs are equal to 9 decimals."""
    return torch.allclose(one, other, atol=1e-9, rtol=0)


# %%
# Changes of the maps
# -------------------
#
# What if a number is added to the maps? It matters whether that is one number for everything, or
# one for each image, group, channel or map.

from normstudy.byhand.diagrams import blind_spots

changes = {
    "everywhere": 3.0,
    "per image": torch.tensor([1.0, 2.0]).double().view(2, 1, 1, 1),
    "per group": torch.tensor([1.0, 1.0, 2.0, 2.0]).double().view(1, 4, 1, 1),
    "per channel": torch.arange(1.0, 5.0).double().view(1, 4, 1, 1),
    "per map": torch.arange(1.0, 9.0).double().view(2, 4, 1, 1),
}
picture = blind_spots(F.conv2d(images, weight), changes, num_groups=2)

# %%
# The answers under the boxes were computed, but you can read them off the boxes. Where all boxes of
# one colour show the same number, that number goes into the mean and is subtracted with it: the
# output is the same. Where a colour holds two different numbers, the output moves. *A norm does not
# see a change that is constant on each of its sets.* The sets of instance norm lie inside those of
# the other three, so it overlooks whatever one of them overlooks, and changes per map besides.
#
# If the maps are *multiplied* by such numbers, the standard deviation plays the part of the mean,
# and the answers are the same.

blind = {}
for words, change in changes.items():
    for how in ("scale", "shift"):
        blind[f"{how} of the maps, {words}"] = [
            same(output(norm), output(norm, **{how: change})) for norm in names
        ]

# %%
# Changes of the weights
# ----------------------
#
# The maps are linear in the weights, so scaling the weights of one output channel scales one
# channel of the maps. The order of the images in the batch, and the *presence* of the other images,
# are two more things that a norm may see or not.

blind["scale of all weights"] = [
    same(output(norm), output(norm, weight=3 * weight)) for norm in names
]
by_channel = weight * changes["per channel"].view(4, 1, 1, 1)
blind["scale of the weights per channel"] = [
    same(output(norm), output(norm, weight=by_channel)) for norm in names
]
order = torch.tensor([1, 0])
blind["order of the images"] = [
    same(output(norm)[order], output(norm, images=images[order])) for norm in names
]
blind["other images"] = [
    same(output(norm)[:1], output(norm, images=images[:1])) for norm in names
]

# %%
# The table
# ---------
#
# "Same" means that the output did not change, "moves" that it did.

from normstudy.tables import Table

rows = [
    (words, *("same" if b else "moves" for b in row)) for words, row in blind.items()
]
print(Table(("change", *names), tuple(rows)))

expected = {
    "scale of the maps, everywhere": "1111",
    "shift of the maps, everywhere": "1111",
    "scale of the maps, per image": "0111",
    "shift of the maps, per image": "0111",
    "scale of the maps, per group": "1011",
    "shift of the maps, per group": "1011",
    "scale of the maps, per channel": "1001",
    "shift of the maps, per channel": "1001",
    "scale of the maps, per map": "0001",
    "shift of the maps, per map": "0001",
    "scale of all weights": "1111",
    "scale of the weights per channel": "1001",
    "order of the images": "1111",
    "other images": "0111",
}
for words, row in blind.items():
    assert "".join(str(int(b)) for b in row) == expected[words], words
seen = {
    norm: 14 - sum(row[k] for row in blind.values()) for k, norm in enumerate(names)
}
assert seen == {"batch": 5, "layer": 7, "group": 5, "instance": 0}

# %%
# Every row follows from the sets. "Per image" is invisible to the norms that stay inside an image:
# to them a bright and a dark photograph of the same thing are equal. Batch norm sees it. "Per
# channel" is invisible to batch and instance norm, whose sets stay inside a channel, and this is
# why a convolution in front of batch norm needs no bias. In the last row, where the second image is
# taken away, batch norm is again the only one that moves.
#
# In the rows about scale, this is true of positive factors only: scaling by −3 flips the sign of
# the output.

assert_close(output("group", scale=-3.0), -output("group"), atol=1e-9)

# %%
# Weights without a length
# ------------------------
#
# All four norms are blind to the length of the weight as a whole. A function that does not change
# when :math:`w` gets longer has a slope of 0 in that direction, so the gradient is perpendicular
# to the weight:
#
# .. math::
#
#    f(b w) = f(w) \text{ for all } b > 0 \quad \Rightarrow \quad
#    \langle w, \nabla_w f \rangle = 0 .
#
# Behind batch and instance norm this holds for each output channel on its own, since each can be
# scaled on its own. Behind layer and group norm it holds only for all channels of a set together.

upstream = torch.randn(2, 4, 4, 4, dtype=torch.float64)
rows = []
for norm in names:
    w = weight.clone().requires_grad_()
    (output(norm, weight=w) * upstream).sum().backward()
    products = (w * w.grad).sum((1, 2, 3)).detach()
    largest, total = products.abs().max().item(), products.sum().abs().item()
    groups = products.view(2, 2).sum(1).abs().max().item()
    rows.append((norm, *(f"{value:.1e}" for value in (largest, groups, total))))
    assert total < 1e-9
    assert (groups < 1e-9) == (norm != "layer")
    assert (largest < 1e-9) == (norm in {"batch", "instance"})
print(Table(("norm", "largest channel", "largest group", "all together"), tuple(rows)))

# %%
# Numbers such as 1e-14 are zeros but for rounding. The consequence is odd. A step of gradient
# descent at a right angle to the weight can only make it *longer*, and for a longer weight the same
# step is a smaller turn: the effective learning rate falls by itself. An L2 penalty works against
# this. It cannot make the function simpler, since length does not matter, but it keeps weights
# short and thereby the effective learning rate high (van Laarhoven 2017).

w = weight.clone().requires_grad_()
(output("batch", weight=w) * upstream).sum().backward()
after = w - 0.01 * w.grad
pythagoras = (w.norm() ** 2 + (0.01 * w.grad).norm() ** 2).sqrt()
print(f"length of the weight: {w.norm().item():.6f}, then {after.norm().item():.6f}")
assert after.norm() > w.norm()
assert_close(after.norm(), pythagoras, atol=1e-9)

# %%
# What this does not show
# -----------------------
#
# With :math:`\varepsilon > 0` all of this holds only as long as the variances are much larger than
# :math:`\varepsilon`. In evaluation mode batch norm is a fixed scale and shift: what it gives an
# image depends neither on the order nor on the other images of the batch, but it sees every other
# change in the table. And a network has layers without a norm after them, the last one at least,
# whose length does matter.
#
# Exercises
# ---------
#
# 1. Take ``eps=1e-5`` and scale the images by 0.001. Are the norms still blind to it?
# 2. Exchange the two output channels in the middle of ``weight``. Behind which norms are the
#    outputs merely exchanged as well?
# 3. Which row of the table says that a network can dodge an L1 penalty by scaling its weights?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       for norm in names:
#           bright, dark = (
#               norms.forward(F.conv2d(scale * images, weight), norm, num_groups=2, eps=1e-5).y
#               for scale in (1, 0.001)
#           )
#           assert (bright - dark).abs().max() > 0.1
#
#    No. The variances of the dark maps are about as small as :math:`\varepsilon`, which then
#    shrinks the output noticeably after each of the four.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       middle = [0, 2, 1, 3]
#       for norm in names:
#           exchanged = output(norm, weight=weight[middle])
#           assert same(exchanged, output(norm)[:, middle]) == (norm != "group")
#
#    Behind batch, layer and instance norm. With group norm the two channels change groups, and
#    so their neighbours and their means.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       shorter = 0.01 * weight
#       for norm in names:
#           assert_close(output(norm, weight=shorter), output(norm), atol=1e-9)
#       assert shorter.abs().sum() < weight.abs().sum() / 99
#
#    "Scale of all weights": all four outputs stay the same, while the penalty falls to a
#    hundredth. So after a norm, a penalty alone does not decide which weights matter.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_190_worksheet.py` has all worked examples as a spreadsheet.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
