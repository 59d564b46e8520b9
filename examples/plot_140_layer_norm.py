"""
Layer norm and its three meanings
=================================

Layer norm by hand, and the three different layers that go by its name.

**The question.** What does layer norm compute, and what do people mean by it when they talk about
feature maps?

**The answer.** It takes one mean and one variance for each image, here from 16 cells. But three
layers go by that name. The first two share these statistics, yet have 64 and 16,384 parameters for
32 channels of 16 × 16 cells; the third has a mean for each pixel and is a different function.

**You will see** the sets of all three layer norms in colour, the first of them step by step, where
they agree and where they do not, and how many parameters each of them has.
"""

# %%
# Three things called layer norm
# ------------------------------
#
# Ba, Kiros and Hinton (2016) normalize the vector of one example: mean and variance over all of its
# features. Feature maps have channels *and* positions, so the idea carries over in three ways. With
# indices :math:`n, c, h, w` for image, channel, row and column, and the letters of
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
# :math:`\beta`. The third has a mean for each *pixel*, over its channels alone, as in transformers
# and ConvNeXt.

from normstudy.byhand.diagrams import layer_meanings

picture = layer_meanings()

# %%
# Compare the grids on the left first. In the upper two an image has one colour; in the lowest, a
# pixel has. Then those on the right: ``LayerNorm([C, H, W])`` has a :math:`\gamma` for every cell
# of the maps, shared by both images, and the other two have one for every channel.
#
# In this study "layer norm" means the first. It has as many parameters as batch norm and group
# norm, and does not tie the network to one image size.
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
# Now one cell of each image, first standardized, then scaled and shifted with the :math:`\gamma`
# and :math:`\beta` of its channel:

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
# Colours run across: a row of maps is one image, and shares one mean. In the second block, channel
# 0 lies below zero in both images and channel 3 mostly above. Layer norm keeps such differences
# between channels; batch norm would remove them.
#
# Does PyTorch agree?
# -------------------
#
# We compare the worked example of each meaning with PyTorch's layer. The third wants the channels
# in the last dimension, so they are moved there and back.

import torch
from torch import nn

from normstudy.byhand.reference import assert_close

x, y = example["x"].tensor, example["y"].tensor
gamma, beta = example["gamma"].tensor, example["beta"].tensor

first = nn.GroupNorm(1, 4, eps=0, dtype=torch.float64)
first.weight.data, first.bias.data = gamma, beta
assert_close(y, first(x))

second = nn.LayerNorm([4, 2, 2], eps=0, dtype=torch.float64)
second.weight.data = gamma[:, None, None].expand(4, 2, 2).clone()
second.bias.data = beta[:, None, None].expand(4, 2, 2).clone()
assert_close(by_hand("layer_chw")["y"].tensor, second(x))

third = nn.LayerNorm(4, eps=0, dtype=torch.float64)
third.weight.data, third.bias.data = gamma, beta
pixels = third(x.movedim(1, -1)).movedim(-1, 1)
assert_close(by_hand("layer_channels")["y"].tensor, pixels)

# %%
# Where do they differ?
# ---------------------
#
# PyTorch's page on GroupNorm says that putting all channels into a single group is equivalent to
# LayerNorm. Is it? As long as :math:`\gamma` and :math:`\beta` are the same, as before any
# training, yes. But training changes :math:`\gamma` channel by channel in the one, and cell by cell
# in the other.

before = (first(x) - second(x)).abs().max().item()
second.weight.data[0, 0, 0] += 1  # no gamma per channel can do this
after = (first(x) - second(x)).abs().max().item()
print(f"first and second differ by up to {before:.1e}, and then by up to {after:.2f}")
assert before < 1e-12
assert after > 0.1

# %%
# The third is a different function from the start. It gives other numbers for the same cells, and
# they are no longer fractions, since the roots of its variances are not whole:

third_xhat = by_hand("layer_channels")["xhat"].tensor
difference = (third_xhat - example["xhat"].tensor).abs().max().item()
print(f"first and third differ by up to {difference:.2f} before the scale")
assert difference > 0.5

# %%
# How many parameters?
# --------------------
#
# The count is :math:`2C` for the first and the third, and :math:`2CHW` for the second, which grows
# with the size of the maps. Here are the counts for our batch, and for a layer of 32 channels with
# maps of 16 × 16 cells.

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
assert [large for *_, large in rows] == ["64", "16,384", "64"]
print(Table(("layer", "C = 4, H = W = 2", "C = 32, H = W = 16"), tuple(rows)))

# %%
# A network of the size in this study would spend most of its parameters on the second kind, and the
# arms of the study would no longer have equally many.
#
# What this does not show
# -----------------------
#
# Layer norm was made for recurrent networks and is at home in transformers. Arithmetic cannot say
# how well it does in a convolutional network; the study measures that for the first meaning, and
# says nothing about the other two.
#
# Exercises
# ---------
#
# 1. Why can a network with ``LayerNorm([C, H, W])`` not be used on larger images?
# 2. On maps of 1 × 1 cells, which of the three meanings are the same?
# 3. Compute the mean of the pixel in row 0, column 0 of image 0 for the third meaning.
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       larger = torch.zeros(2, 4, 3, 3, dtype=torch.float64)
#       try:
#           second(larger)
#       except RuntimeError as error:
#           print(error)
#       assert first(larger).shape == larger.shape
#
#    Its :math:`\gamma` and :math:`\beta` have one number for every cell of a map, and for a
#    larger map there are not enough. The other two have one for every channel.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from normstudy.byhand.reference import torch_layer
#
#       maps = torch.randn(2, 4, 1, 1, dtype=torch.float64)
#       results = [torch_layer(norm, maps.shape)(maps) for norm in layers]
#       assert_close(results[1], results[0])
#       assert_close(results[2], results[0])
#       assert {affine_shape(maps.shape, norm)[0] for norm in layers} == {4}
#
#    All three. An image is a single pixel then, so each image has one mean, and a value per cell
#    is a value per channel.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       working(by_hand("layer_channels")["mean"], (0, 0, 0))
#       assert by_hand("layer_channels")["mean"].values[0] == (0 + 0 + 2 + 6) / 4 == 2
#
#    The pixel has the values 0, 0, 2 and 6 in its four channels, and their mean is 2.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_150_instance_norm.py` goes to the other end: as many groups as
# channels.
#
# :knobs:`Change these numbers <layer>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
