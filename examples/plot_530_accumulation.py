r"""
Gradient accumulation is not a large batch
==========================================

One large batch, taken in one piece or in several: which norms notice, and by how much.

**The question.** The batch does not fit into memory, so its gradient is added up over smaller ones.
Is that the same step?

**The answer.** With group, layer and instance norm it is, to the last digits of float64. With batch
norm it is not: in pieces of two images the gradient of the example below is off by more than a
tenth of its length, and the running statistics move eight times where they should move once.

**You will see** the same eight cells normalized in one piece and in several, the gradients of five
sizes of piece, and the running statistics after one step.
"""

# %%
# Eight cells in one piece and in four
# ------------------------------------
#
# Take a channel of a single number per image, as the worked examples have it, in a batch of eight
# images. Batch norm makes the eight numbers have mean 0 and variance 1. Taken in pieces, each piece
# gets mean 0 and variance 1 on its own:

import torch

from normstudy.byhand import norms
from normstudy.byhand.diagrams import strips
from normstudy.byhand.examples import by_hand

channel = by_hand("batch")["x"].tensor[:, 2].reshape(8, 1)


def in_pieces(size):
    """Normalize the batch in pieces of so many images."""
    return torch.cat(
        [norms.forward(p, "batch", eps=0.0).y for p in channel.split(size)]
    ).flatten()


rows = {
    "the cells": (channel.flatten(), 8),
    "one piece of 8": (in_pieces(8), 8),
    "two of 4": (in_pieces(4), 4),
    "four of 2": (in_pieces(2), 2),
}
picture = strips(rows, title="One batch, in pieces", name="accumulation-pieces")

# %%
# Every normalized row has variance 1, and no two are the same. In pieces of two, any two different
# numbers become −1 and 1, so that a large and a small difference look alike. Adding up the
# gradients exactly does not help: they are gradients of another function.

assert torch.equal(in_pieces(2).abs(), torch.ones(8).double())
for size in (8, 4, 2):
    assert abs(in_pieces(size).var(correction=0) - 1) < 1e-12

# %%
# The gradients
# -------------
#
# Now a small network, in float64: a convolution, a norm, a ReLU, the largest value of each map and
# a linear layer, on 16 of scikit-learn's digits. The loss of a piece is a mean over its images, so
# each is weighted by its share of the batch before ``backward`` adds up the gradients.

from torch import nn
from torch.nn import functional as F

from normstudy.study.data import load
from normstudy.study.model import make_norm

digits = load("digits")
images = digits.normalize(digits.train.images[:16]).double()
labels = digits.train.labels[:16]


def network(norm):
    """Build the same network with another norm."""
    torch.manual_seed(0)
    layer = make_norm(norm, 16, num_groups=4)
    head = (nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    return nn.Sequential(nn.Conv2d(1, 16, 3, bias=False), layer, *head).double()


def gradient(norm, size):
    """Add up the gradient over pieces of so many images; all of it as one vector."""
    net = network(norm)
    for piece, answers in zip(images.split(size), labels.split(size), strict=True):
        loss = F.cross_entropy(net(piece), answers)
        (loss * len(piece) / len(images)).backward()
    return torch.cat([p.grad.flatten() for p in net.parameters()]), net


# %%
# The table has the length of the difference between the gradient in pieces and the gradient in one
# piece, relative to the latter.

from normstudy.tables import NORM_NAMES, Table

sizes, off = (16, 8, 4, 2, 1), {}
for norm in ("batch", "group", "layer", "instance"):
    target, _ = gradient(norm, 16)
    lengths = [(gradient(norm, size)[0] - target).norm() for size in sizes]
    off[norm] = [(length / target.norm()).item() for length in lengths]
rows = [
    (NORM_NAMES[norm], *(f"{value:.1e}" for value in values))
    for norm, values in off.items()
]
print(Table(("pieces of", *(f"{n} image{'s' * (n > 1)}" for n in sizes)), tuple(rows)))

for norm, values in off.items():
    assert max(values[1:]) < 1e-12 or norm == "batch"
assert off["batch"] == sorted(off["batch"])
assert off["batch"][3] > 0.1

# %%
# Group, layer and instance norm never look at another image, so it is all the same to them with
# whom an image is processed. To batch norm it is not, and it gets worse with every halving. In
# pieces of a single image it still works here, since a channel has 36 cells in one image: it is
# instance norm then, with another gradient altogether. On maps of a single cell it would refuse.

for norm in ("batch", "instance"):
    assert torch.allclose(gradient(norm, 1)[0], gradient("instance", 16)[0], atol=1e-12)

# %%
# The running statistics
# ----------------------
#
# They move once for each forward pass, not once for each step. After :math:`k` pieces the old value
# has a weight of :math:`(1 - \alpha)^k`, where :math:`\alpha` is the ``momentum``. One piece of 16
# images leaves the old mean a weight of 0.9; eight pieces of two leave it
# :math:`0.9^8 \approx 0.43`.

rows = []
for size in sizes:
    k = len(images) // size
    layer = gradient("batch", size)[1][1]
    mean, var = layer.running_mean.norm().item(), layer.running_var.mean().item()
    rows.append((f"{k} × {size}", f"{0.9**k:.3f}", f"{mean:.3f}", f"{var:.3f}"))
print(
    Table(
        ("pieces", "weight of the start", "length of the mean", "variance"), tuple(rows)
    )
)

maps = network("batch")[0](images)
expected = torch.zeros(16).double()
for piece in maps.split(2):
    expected = 0.9 * expected + 0.1 * piece.mean((0, 2, 3))
layer = gradient("batch", 2)[1][1]
assert torch.allclose(layer.running_mean, expected, atol=1e-12)
assert layer.num_batches_tracked == 8
assert round(0.9**8, 2) == 0.43

# %%
# A smaller ``momentum`` makes up for the number of moves: :math:`\alpha' = 1 - (1 - \alpha)^{1/k}`
# leaves the start the weight that it should have:

momentum = 1 - 0.9 ** (1 / 8)
assert abs((1 - momentum) ** 8 - 0.9) < 1e-12
print(f"for eight pieces a step: momentum {momentum:.4f} in place of 0.1")
layers = {"one piece of 16": (0.1, 16), "eight of 2": (momentum, 2)}
for words, (weight, size) in layers.items():
    layer = nn.BatchNorm2d(16, momentum=weight).double()
    for piece in maps.split(size):
        layer(piece)
    print(f"{words}: running variance {layer.running_var.mean().item():.4f}")

# %%
# They are nearly the same. Each piece reports the variance about its own mean, without what lies
# *between* the pieces; dividing by one less than the number of cells makes up for a part of that
# (:ref:`sphx_glr_auto_examples_plot_520_several_processes.py` has both sums).
#
# So what helps, where memory is short? Take a norm that stays inside the image. Compute the
# activations anew on the way back (``torch.utils.checkpoint``), which keeps the whole batch and
# costs time; there the running statistics move twice. Split the batch over processes with
# synchronized statistics. Freeze the statistics, where there are good ones
# (:ref:`sphx_glr_auto_examples_plot_540_frozen.py`). Or keep batch norm, and say that the size of
# *its* batch is that of a piece; the optimizer's batch is the whole. Many networks are trained in
# the last way, and the size of the pieces is then a setting like any other.
#
# What this does not show
# -----------------------
#
# Whether the other gradient is a worse one. It is another function's, noisier where the pieces are
# small, and noise is not always bad. How a network of the study does with small batches is a matter
# of training, and not of arithmetic. The network here has random weights; after training the
# differences have other sizes.
#
# Exercises
# ---------
#
# 1. Split the 16 images into pieces of 5, 5, 5 and 1, and weight each by a quarter. Is the gradient
#    of group norm still right?
# 2. Put batch norm into evaluation mode before the pieces. Does accumulation become exact?
# 3. The pieces of 4 are drawn in another order of the images. Which norms notice?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       net, right = network("group"), gradient("group", 16)[0]
#       pieces = list(zip(images.split(5), labels.split(5), strict=True))
#       assert [len(part) for part, _ in pieces] == [5, 5, 5, 1]
#       for part, answer in pieces:
#           (F.cross_entropy(net(part), answer) / 4).backward()
#       equal = torch.cat([p.grad.flatten() for p in net.parameters()])
#       assert (equal - right).norm() > 0.01 * right.norm()
#       assert torch.allclose(gradient("group", 5)[0], right, atol=1e-12)
#
#    No: the last image counts five times as much as the others. Divided by the number of images,
#    as on this page, it is right for pieces of any sizes.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       def evaluated(size):
#           net = network("batch").eval()
#           for piece, answers in zip(images.split(size), labels.split(size), strict=True):
#               (F.cross_entropy(net(piece), answers) * len(piece) / 16).backward()
#           return torch.cat([p.grad.flatten() for p in net.parameters()])
#
#       assert torch.allclose(evaluated(2), evaluated(16), atol=1e-12)
#       assert (evaluated(16) - gradient("batch", 16)[0]).norm() > 0.1
#
#    Yes. With fixed statistics batch norm is a factor and a shift per channel, and no image
#    depends on another. But it is not the gradient that training mode has.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
#       for norm in ("batch", "group", "layer", "instance"):
#           net = network(norm)
#           for few in order.split(4):
#               (F.cross_entropy(net(images[few]), labels[few]) / 4).backward()
#           mixed = torch.cat([p.grad.flatten() for p in net.parameters()])
#           same = torch.allclose(mixed, gradient(norm, 4)[0], atol=1e-12)
#           assert same == (norm != "batch")
#
#    Batch norm alone: its gradient depends on who shares a piece with whom, even where every
#    image is in the batch once.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_540_frozen.py` takes small batches for granted, and asks what
# batch norm should do with its statistics when a network is trained further.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
