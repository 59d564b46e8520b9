"""
What a norm does not see
========================

Changes of the input, the weights and the batch that leave the output as it is, for every norm.

**The question.** Which changes are invisible behind batch, layer, group and instance norm, and what
follows for the weights in front of them?

**You will see** a picture and a table of which norm is blind to what, each entry decided by a
computation, and a gradient that has no part along its own weight.
"""

# %%
# A convolution and a norm
# ------------------------
#
# A norm hardly ever stands alone: it follows a convolution. So we take two random images, a
# convolution without bias from 3 to 4 channels, and one of the four norms behind it, with 2 groups
# in group norm and :math:`\varepsilon = 0`. All in float64, so that equal means equal to 9
# decimals. The letters are those of :doc:`/notation`.

import torch
from torch.nn import functional as F

from normstudy.byhand import norms

torch.manual_seed(0)
images = torch.randn(2, 3, 6, 6, dtype=torch.float64) + 1
weight = torch.randn(4, 3, 3, 3, dtype=torch.float64)
names = ("batch", "layer", "group", "instance")


def output(norm, images=images, weight=weight, scale=1.0, shift=0.0):
    """Convolve, scale and shift the maps, normalize."""
    maps = scale * F.conv2d(images, weight) + shift
    return norms.forward(maps, norm, num_groups=2, eps=0.0).y


# %%
# Changes of the maps
# -------------------
#
# What if a number is added to the maps? It makes a difference whether it is one number for
# everything, or one for each image, group, channel or single map.

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
# If the maps are *multiplied* by such numbers, the standard deviation does what the mean did, and
# the answers do not change.

blind = {}
for words, change in changes.items():
    for how in ("scale", "shift"):
        blind[f"{how} of the maps, {words}"] = [
            torch.allclose(
                output(norm), output(norm, **{how: change}), atol=1e-9, rtol=0
            )
            for norm in names
        ]

# %%
# Changes of the weights
# ----------------------
#
# The maps are linear in the weights, so scaling the weights of one output channel scales one
# channel of the maps. The order of the images in the batch, and the *presence* of the other images,
# are two more things that a norm may or may not see.

blind["scale of all weights"] = [
    torch.allclose(output(norm), output(norm, weight=3 * weight), atol=1e-9, rtol=0)
    for norm in names
]
by_channel = weight * changes["per channel"].view(4, 1, 1, 1)
blind["scale of the weights per channel"] = [
    torch.allclose(output(norm), output(norm, weight=by_channel), atol=1e-9, rtol=0)
    for norm in names
]
order = torch.tensor([1, 0])
blind["order of the images"] = [
    torch.allclose(
        output(norm)[order], output(norm, images=images[order]), atol=1e-9, rtol=0
    )
    for norm in names
]
blind["other images"] = [
    torch.allclose(output(norm)[:1], output(norm, images=images[:1]), atol=1e-9, rtol=0)
    for norm in names
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
assert {
    words: "".join(str(int(b)) for b in row) for words, row in blind.items()
} == expected

# %%
# Every row follows from the sets. "Per image" is invisible to the norms that stay inside an image:
# to them a bright photograph and a dark one of the same thing are the same. Batch norm sees it.
# "Per channel" is invisible to batch and instance norm, whose sets stay inside a channel, and this
# is why a convolution in front of batch norm needs no bias. In the last row, where the second image
# is taken away, batch norm is again the only one that moves.
#
# Negative numbers are not covered: scaling by −3 turns the sign of the output around.

assert torch.allclose(output("group", scale=-3.0), -output("group"), atol=1e-9, rtol=0)

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
# scaled on its own. Behind layer and group norm it holds for all channels of a set together only.

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
# Numbers such as 1e-14 are zeros with rounding errors. The consequence is odd. A step of gradient
# descent at a right angle to the weight can only make it *longer*, and for a longer weight the same
# step is a smaller turn: the effective learning rate falls by itself. An L2 penalty works against
# this. It cannot make the function simpler, since length does not matter, but it keeps weights
# short and so the effective learning rate up (van Laarhoven 2017).

w = weight.clone().requires_grad_()
(output("batch", weight=w) * upstream).sum().backward()
after = w - 0.01 * w.grad
pythagoras = (w.norm() ** 2 + (0.01 * w.grad).norm() ** 2).sqrt()
print(
    f"length of the weight before {w.norm().item():.6f}, after a step {after.norm().item():.6f}"
)
assert after.norm() > w.norm()
assert torch.allclose(after.norm(), pythagoras, atol=1e-9, rtol=0)

# %%
# What this does not show
# -----------------------
#
# With :math:`\varepsilon > 0` all of this holds only as long as the variances are much larger than
# :math:`\varepsilon`. In evaluation mode batch norm is a fixed scale and shift, and blind to
# nothing but the order and the company of the images. And a network has layers without a norm
# behind them, the last one at least, whose length does matter.
#
# Exercises
# ---------
#
# 1. Set ``eps=1e-5`` and scale the images by 0.001. Which entries of the table change?
# 2. Exchange two channels of ``weight``. Behind which norms is the output the same, exchanged?
# 3. Which row of the table tells you whether an L1 penalty can be dodged by scaling weights?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_190_worksheet.py` has all worked examples as a spreadsheet.

import matplotlib.pyplot as plt

plt.show()
