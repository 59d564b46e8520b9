"""
Batch norm on several processes
===============================

One step on two processes with half of the batch each, beside the same step on one process.

**The question.** When a batch is split over several processes, is the step still that of the whole
batch?

**The answer.** With group, layer and instance norm it is, to the last digits of float64. With batch
norm it is not: each process normalizes with its own half, and in the example below the gradient is
off by more than a twentieth of its length, that of the convolution by more than a tenth. Sums that
all processes share mend this exactly. PyTorch's layer for that needs a GPU, so it is written by
hand here.

**You will see** two real processes, synchronized batch norm in five lines, a table of what differs
from one process and by how much, and PyTorch's ``DistributedDataParallel`` beside it.
"""

# %%
# One step, on any number of processes
# ------------------------------------
#
# In data parallel training every process has a replica of the network and a share of the batch. It
# computes the gradient on its share, the gradients are averaged over the processes, and so all
# replicas take the same step. Here a batch is four of scikit-learn's digits, in float64, and the
# network is a convolution, a norm, a ReLU, the largest value of each map and a linear layer.

import torch
from torch import nn
from torch.nn import functional as F

from normstudy.study.data import load
from normstudy.study.replicas import together, total

torch.manual_seed(0)
digits = load("digits")
images = digits.normalize(digits.train.images[:4]).double()
labels = digits.train.labels[:4]
weights = [torch.randn(8, 1, 3, 3).double(), torch.randn(10, 8).double()]


def step(rank, num, norm):
    """Return the loss and the gradients, averaged over the processes."""
    share, answers = images.chunk(num)[rank], labels.chunk(num)[rank]
    kernel, matrix = (weight.clone().requires_grad_() for weight in weights)
    maps = norm(F.conv2d(share, kernel)).relu()
    loss = F.cross_entropy(maps.amax((2, 3)) @ matrix.T, answers)
    found = (loss.detach(), *torch.autograd.grad(loss, (kernel, matrix)))
    return [total(value) / num for value in found]


# %%
# ``total`` adds a tensor up over all processes, and returns it as it is where there is only one.
# Then ``step(0, 1, norm)`` is the step of one process with the whole batch.
#
# The norms
# ---------
#
# What each norm of PyTorch sees is the share of its own process. For group, layer and instance norm
# this changes nothing, since their sets stay inside an image. Batch norm is the one whose sets
# reach over the images, and it needs sums over all processes:
#
# .. math::
#
#    m = \sum_p m_p, \qquad \mu = \frac1m \sum_p \sum_{i} x_{p,i}, \qquad
#    \sigma^2 = \frac1m \sum_p \sum_{i} (x_{p,i} - \mu)^2,
#
# where :math:`p` counts the processes and :math:`x_{p,i}` are the cells of a channel in the share
# of process :math:`p`.


def synchronized(x):
    """Batch norm with the statistics of the whole batch."""
    m = total(torch.tensor(x[:, 0].numel()))
    mean = total(x.sum((0, 2, 3), keepdim=True)) / m
    deviation = x - mean
    var = total(deviation.square().sum((0, 2, 3), keepdim=True)) / m
    return deviation * (var + 1e-5).rsqrt()


def alone(x):
    """Batch norm with the statistics of the share."""
    return F.batch_norm(x, None, None, training=True)


norms = {
    "batch, each for itself": alone,
    "batch, synchronized by hand": synchronized,
    "group": lambda x: F.group_norm(x, 4),
    "layer": lambda x: F.group_norm(x, 1),
    "instance": F.instance_norm,
}

# %%
# What this means for eight numbers, one for each image:

from normstudy.byhand import norms as worked
from normstudy.byhand.diagrams import strips
from normstudy.byhand.examples import by_hand

channel = by_hand("batch")["x"].tensor[:, 2].reshape(8, 1)


def split(num):
    """Normalize the eight numbers in equal shares, each for itself."""
    parts = [worked.forward(part, "batch", eps=0.0).y for part in channel.chunk(num)]
    return torch.cat(parts).flatten()


shown = {
    "the numbers": (channel.flatten(), 8),
    "one process": (split(1), 8),
    "two processes": (split(2), 4),
}
picture = strips(shown, title="One channel on two processes", name="processes-shares")

# %%
# Each half gets a mean of 0 and a variance of 1 of its own, so that the 8 of the first half becomes
# a larger number than the 14 of the second. Synchronized, two processes give the row of one.
#
# The sums travel on the way back too. The mean is a function of the cells of *all* processes, so
# the gradient of one process's cells has parts that come from the losses of the others: ``total``
# adds up the gradients as well. Leave that out, and the output is right and the gradient wrong.
#
# Two processes beside one
# ------------------------
#
# ``together`` starts the processes, which find each other over gloo, torch's way to add up tensors
# on the CPU. The columns are lengths: of the difference between the two gradients, relative to the
# gradient of one process, for all weights together and for each layer. For the loss it is the
# relative difference.

from normstudy.tables import Table


def off(values, expected):
    """Length of the difference, relative to the length of what is expected."""
    return ((values - expected).norm() / expected.norm()).item()


rows, errors = [], {}
for name, norm in norms.items():
    whole = step(0, 1, norm)
    first, second = together(step, 2, 2, norm)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    vectors = (torch.cat([g.flatten() for g in of[1:]]) for of in (first, whole))
    parts = [off(*pair) for pair in zip(first, whole, strict=True)]
    errors[name] = [parts[0], off(*vectors), *parts[1:]]
    rows.append((name, *(f"{error:.1e}" for error in errors[name])))
header = ("norm", "loss", "whole gradient", "of the convolution", "of the linear layer")
print(Table(header, tuple(rows)))

for name, found in errors.items():
    assert (max(found) < 1e-12) == (name != "batch, each for itself")
assert errors["batch, each for itself"][1] > 0.05
assert errors["batch, each for itself"][2] > 0.1

# %%
# Four of the rows are zeros but for rounding. The first is no rounding error: its loss and its
# gradient are those of another function, in which two images share their statistics and not four.
# That function is not a worse one in itself. Goyal et al. (2017) keep the statistics of each
# process apart on purpose, with 32 images in each, so that the loss stays the same function when
# processes are added. What hurts is a *small* share, which gives poor statistics.
#
# Where the variance goes
# -----------------------
#
# The statistics of two equal shares can be put together without any other number. The mean of the
# batch is the mean of the two means, but its variance is more than the mean of the two variances.
# What is missing is the variance of the means:

maps = F.conv2d(images, weights[0]).transpose(0, 1)  # channels first
shares = torch.stack([half.flatten(1) for half in maps.chunk(2, dim=1)])
means, variances = shares.mean(2), shares.var(2, correction=0)
of_all = maps.flatten(1).var(1, correction=0)
missing = means.var(0, correction=0)
assert torch.allclose(of_all, variances.mean(0) + missing, rtol=1e-12, atol=0)
assert (missing > 0).all()
print(
    f"largest part of a channel's variance that is missing: {(missing / of_all).max():.1%}"
)

# %%
# This is the law of total variance, and the smaller the shares are, the larger the missing part is.
# A running variance divides by one less than the number of cells, which gives some of it back: all
# of it on average if the cells are independent, as those of one image are not.

rest = 1 - shares.var(2).mean(0) / maps.flatten(1).var(1)
print(f"with that: from {rest.min():.1%} to {rest.max():.1%}")

# %%
# Below zero, the mean of the two is too large. So networks that average the running variances of
# their replicas are off a little either way.
#
# PyTorch's own
# -------------
#
# ``DistributedDataParallel`` averages the gradients as we did. Batch norm's buffers it treats in
# another way: before each forward pass those of process 0 overwrite all others.

from torch.nn.parallel import DistributedDataParallel


def parallel(rank, layer):
    """Gradients after a first step, and running means after it and after a second forward pass."""
    ends = (nn.Conv2d(1, 8, 3, bias=False), nn.Linear(8, 10, bias=False))
    pool = (nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    net = nn.Sequential(ends[0], layer, *pool, ends[1]).double()
    for part, weight in zip(ends, weights, strict=True):
        part.weight.data = weight.clone()
    replica = DistributedDataParallel(net)
    share, answers = images.chunk(2)[rank], labels.chunk(2)[rank]
    F.cross_entropy(replica(share), answers).backward()
    kept = [buffer.clone() for buffer in layer.buffers()][:1]
    replica(share)
    kept += [buffer.clone() for buffer in layer.buffers()][:1]
    return [part.weight.grad for part in ends], kept


for name, layer in (
    ("batch, each for itself", nn.BatchNorm2d(8)),
    ("group", nn.GroupNorm(4, 8)),
):
    (theirs, kept), (_, other) = together(parallel, 2, layer)
    ours = (
        step(0, 1, norms[name]) if name == "group" else together(step, 2, 2, alone)[0]
    )
    assert all(off(*pair) < 1e-12 for pair in zip(theirs, ours[1:], strict=True))
    if kept:
        assert torch.allclose(kept[0], 0.1 * means[0]), (
            "process 0 remembers its own share"
        )
        assert torch.allclose(other[1], 0.9 * kept[0] + 0.1 * means[1])
print("The gradients are those of DistributedDataParallel.")

# %%
# So what is saved in the end, the replica of process 0, remembers the shares of process 0 alone.
# A layer that shares its sums remembers the whole batch. PyTorch's is ``SyncBatchNorm``, which
# ``SyncBatchNorm.convert_sync_batchnorm(net)`` puts in place of each batch norm. It takes no maps
# on the CPU.
#
# What this does not show
# -----------------------
#
# Time. Each synchronized layer waits for the slowest process, three times forward and twice back
# here. PyTorch's layer gathers mean, deviation and count of each share in one go, and adds up once
# on the way back. It was not run here, since it needs a GPU. And nothing here says how large a
# share must be: that is a matter of batch size, not of processes.
#
# Exercises
# ---------
#
# 1. Compute both halves one after the other on one process, each with its own statistics, and
#    average their gradients. Which row of the table do you get?
# 2. Split the batch into shares of three images and one. Why is the average of the two gradients
#    wrong even for group norm, and what mends it?
# 3. Replace ``total`` in ``synchronized`` by a sum that does not travel back. Is the loss right?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       halves = [torch.zeros_like(weight) for weight in weights]
#       for half in range(2):
#           parts = step(half, 2, alone)  # no group here: total changes nothing
#           halves = [sum_ + part for sum_, part in zip(halves, parts[1:], strict=True)]
#       both = together(step, 2, 2, alone)[0][1:]
#       assert all(off(*pair) < 1e-12 for pair in zip(halves, both, strict=True))
#
#    The first. The gradient of small batches that are accumulated is that of processes that keep
#    their statistics to themselves, one after the other instead of side by side. Their running
#    statistics are not: they move once for each small batch.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       def on_share(share):
#           kernel = weights[0].clone().requires_grad_()
#           maps = F.group_norm(F.conv2d(images[share], kernel), 4).relu()
#           loss = F.cross_entropy(maps.amax((2, 3)) @ weights[1].T, labels[share])
#           return torch.autograd.grad(loss, kernel)[0]
#
#       large, small = on_share(slice(3)), on_share(slice(3, 4))
#       target = on_share(slice(4))
#       assert off((large + small) / 2, target) > 0.01
#       assert off((3 * large + small) / 4, target) < 1e-12
#
#    The loss of a share is a mean over its images, and the mean of two means is not the mean of
#    all unless the shares are equal. Weights of 3/4 and 1/4 mend it.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       def cut(x):
#           m = total(torch.tensor(x[:, 0].numel()))
#           here = x.sum((0, 2, 3), keepdim=True)
#           deviation = x - (total(here.detach()) + here - here.detach()) / m
#           here = deviation.square().sum((0, 2, 3), keepdim=True)
#           var = (total(here.detach()) + here - here.detach()) / m
#           return deviation * (var + 1e-5).rsqrt()
#
#       found, target = together(step, 2, 2, cut)[0], step(0, 1, alone)
#       assert off(found[0], target[0]) < 1e-12
#       assert off(found[1], target[1]) > 0.01
#
#    The loss is right, and the gradient is not: what a cell does to the outputs of the other
#    process is left out.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_530_accumulation.py` has one process, and takes the shares one
# after the other. Batch norm's mean, worked by hand:
# :ref:`sphx_glr_auto_examples_plot_120_batch_norm.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
