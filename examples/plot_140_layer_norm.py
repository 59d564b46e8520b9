"""
Layer norm and its three meanings
=================================

Layer norm by hand, and the three different layers that go by its name.

**The question.** What does layer norm compute, and what do people mean by it when they talk about
feature maps?

**You will see** the sets of all three layer norms in colour, the first of them step by step, where
they agree and where they do not, and how many parameters each of them has.
"""

# %%
# Three things called layer norm
# ------------------------------
#
# Ba, Kiros and Hinton (2016) normalize the vector of one example: mean and variance over all of its
# features. A feature map has channels *and* positions, and so the idea can be carried over in three
# ways. With indices :math:`n, c, h, w` for image, channel, row and column, and the letters of
# :doc:`/notation`:
#
# .. math::
#
#    \text{GroupNorm(1, C):} \quad & y_{nchw} = \gamma_c \,
#    \frac{x_{nchw} - \mu_n}{\sqrt{\sigma_n^2 + \varepsilon}} + \beta_c \\
#    \text{LayerNorm([C, H, W]):} \quad & y_{nchw} = \gamma_{chw} \,
#    \frac{x_{nchw} - \mu_n}{\sqrt{\sigma_n^2 + \varepsilon}} + \beta_{chw} \\
#    \text{LayerNorm(C), channels last:} \quad & y_{nchw} = \gamma_c \,
#    \frac{x_{nchw} - \mu_{nhw}}{\sqrt{\sigma_{nhw}^2 + \varepsilon}} + \beta_c
#
# The first two have the same statistics, one mean for each image, and differ in :math:`\gamma` and
# :math:`\beta`. The third has a mean for each *pixel*, over its channels alone; that is what
# transformers and ConvNeXt do.

from normstudy.byhand.diagrams import layer_meanings

picture = layer_meanings()

# %%
# Compare the left grids first. In the two upper ones an image is one colour, in the lowest one a
# pixel is. Then the right ones: ``LayerNorm([C, H, W])`` has a :math:`\gamma` for every cell of the
# map, which both images share, and the other two have one for every channel.
#
# In this study "layer norm" is the first one. It has as many parameters as batch norm and group
# norm, and does not tie the network to one size of image.
#
# Step by step
# ------------
#
# We compute the first meaning on the batch of the other pages. A set now has
# :math:`m = C \cdot H \cdot W = 16` cells, so there are two means and two roots.

from normstudy.byhand.examples import by_hand
from normstudy.byhand.typeset import working

example = by_hand("layer")
working(example["mean"])

# %%
# The mean of the squared deviations :math:`d = x - \mu`:

working(example["variance"])

# %%
# and its root, with :math:`\varepsilon = 0` to keep the numbers whole:

working(example["std"])

# %%
# One cell of each image, first standardized, then scaled and shifted with the :math:`\gamma` and
# :math:`\beta` of its channel:

cells = [(0, 2, 1, 1), (1, 1, 1, 1)]
working(example["xhat"], *cells)

# %%
# With :math:`\gamma = 3, \beta = -1` for channel 2 and :math:`\gamma = 2, \beta = 1` for channel 1:

working(example["y"], *cells)

# %%
# And all cells:

from normstudy.byhand.diagrams import worked_cells

steps = ["x", "xhat", "y"]
result = worked_cells(
    example, steps, title="Layer norm, step by step", name="layer-norm-steps"
)

# %%
# Colours go across: everything in a row of maps is one image and shares one mean. In the second
# block, channel 0 lies below zero in both images and channel 3 mostly above. Layer norm leaves such
# differences between channels as they are, where batch norm would remove them.
#
# Does PyTorch agree?
# -------------------
#
# For each meaning, the worked example against PyTorch's layer. The channels-last one wants the
# channels as the last dimension, so the tensor is turned before and after.

import torch
from torch import nn

x, y = example["x"].tensor, example["y"].tensor
gamma, beta = example["gamma"].tensor, example["beta"].tensor

first = nn.GroupNorm(1, 4, eps=0, dtype=torch.float64)
first.weight.data, first.bias.data = gamma, beta
assert torch.allclose(y, first(x), atol=1e-12, rtol=0)

second = nn.LayerNorm([4, 2, 2], eps=0, dtype=torch.float64)
second.weight.data = gamma[:, None, None].expand(4, 2, 2).clone()
second.bias.data = beta[:, None, None].expand(4, 2, 2).clone()
assert torch.allclose(by_hand("layer_chw")["y"].tensor, second(x), atol=1e-12, rtol=0)

third = nn.LayerNorm(4, eps=0, dtype=torch.float64)
third.weight.data, third.bias.data = gamma, beta
pixels = third(x.movedim(1, -1)).movedim(-1, 1)
assert torch.allclose(by_hand("layer_channels")["y"].tensor, pixels, atol=1e-12, rtol=0)

# %%
# Where do they differ?
# ---------------------
#
# PyTorch's page on GroupNorm says that putting all channels into a single group is equivalent to
# LayerNorm. Is it? With :math:`\gamma = 1` and :math:`\beta = 0`, and before any training, yes. But
# training moves :math:`\gamma` for each channel in the one, and for each cell in the other.

print(
    f"first and second differ by up to {(first(x) - second(x)).abs().max().item():.1e}"
)
second.weight.data[0, 0, 0] += 1  # no gamma per channel can do this
print(f"after one step of one weight: {(first(x) - second(x)).abs().max().item():.2f}")
assert (first(x) - second(x)).abs().max() > 0.1

# %%
# The third one is a different function from the start. On the same cells it gives other numbers,
# and no longer fractions, since the roots of its variances are not whole:

difference = by_hand("layer_channels")["xhat"].tensor - example["xhat"].tensor
print(
    f"first and third differ by up to {difference.abs().max().item():.2f} before the scale"
)
assert difference.abs().max() > 0.5

# %%
# How many parameters?
# --------------------
#
# The count is :math:`2C` for the first and the third, and :math:`2CHW` for the second, which grows
# with the size of the maps. Here it is for our batch and for a layer of 32 channels with maps of
# 16 × 16 cells.

from normstudy.byhand.norms import affine_shape
from normstudy.tables import Table

layers = {
    "layer": ("GroupNorm(1, C)", nn.GroupNorm(1, 32)),
    "layer_chw": ("LayerNorm([C, H, W])", nn.LayerNorm([32, 16, 16])),
    "layer_channels": ("LayerNorm(C)", nn.LayerNorm(32)),
}
rows = []
for norm, (name, layer) in layers.items():
    small, large = (
        2 * torch.Size(affine_shape(shape, norm)).numel()
        for shape in ((2, 4, 2, 2), (2, 32, 16, 16))
    )
    assert large == sum(p.numel() for p in layer.parameters())
    rows.append((name, f"{small:,}", f"{large:,}"))
print(Table(("layer", "C = 4, H = W = 2", "C = 32, H = W = 16"), tuple(rows)))

# %%
# A network of the size in this study would spend most of its parameters on the second kind, and two
# versions of it could no longer be compared parameter by parameter.
#
# What this does not show
# -----------------------
#
# Layer norm was made for recurrent networks and is at home in transformers. How it does in a
# convolutional network is not a matter of arithmetic; the study measures it for the first meaning,
# and says nothing about the other two.
#
# Exercises
# ---------
#
# 1. Why can a network with ``LayerNorm([C, H, W])`` not be used on larger images?
# 2. On maps of 1 × 1 cells, which of the three meanings are the same?
# 3. Compute the mean of the pixel in row 0, column 0 of image 0 for the third meaning.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_150_instance_norm.py` goes to the other end: as many groups as
# channels.

import matplotlib.pyplot as plt

plt.show()
