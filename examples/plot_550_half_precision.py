r"""
Half precision and eps
======================

What 16 bits do to a mean, a variance and to eps, by hand, and what PyTorch does about it.

**The question.** Can a norm be computed in float16 or bfloat16, and is its eps still there?

**The answer.** Its *values* may have 16 bits, its sums may not. In float16 the square of 300 is
infinite and an eps of 1e-8 is 0; in bfloat16 adding ones stops at 256. So PyTorch adds up
in float32 where the input has 16 bits. What it cannot save is a running variance that was turned
into float16 itself.

**You will see** the formats in a table, a norm that fails in two ways when its steps are rounded, a
sum that stops, PyTorch's layers beside the right numbers, and what ``autocast`` decides.
"""

# %%
# Two ways to spend 16 bits
# -------------------------
#
# float16 spends its bits on digits, and has a small range. bfloat16 has the range of float32, and
# only two or three digits. Between 0 and the smallest *normal* number there are a few more, which
# lose their digits one by one.

import torch
from torch import nn
from torch.nn import functional as F

from normstudy.tables import Table

rows = []
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    facts = torch.finfo(dtype)
    numbers = (
        facts.max,
        facts.smallest_normal,
        facts.eps,
        facts.smallest_normal * facts.eps,
    )
    rows.append((str(dtype).split(".")[1], *(f"{number:.1e}" for number in numbers)))
header = ("format", "largest", "smallest normal", "gap above 1", "smallest of all")
print(Table(header, tuple(rows)))

# %%
# The large end: squares
# ----------------------
#
# Take a channel whose values are a few hundred, as they may be in front of a norm. Its variance is
# beyond the largest float16, which is 65,504. If the result of every step is rounded to float16,
# this is the end:


def every_step_rounded(x, eps=1e-5):
    """Standardize, with each intermediate result in the format of x."""
    deviation = x - x.mean()
    return deviation * (deviation.square().mean() + eps).rsqrt()


from normstudy.byhand.diagrams import strips

channel = torch.tensor([-500.0, -100.0, 100.0, 500.0])
formats = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
shown = {
    name: (every_step_rounded(channel.to(dtype)).double(), 4)
    for name, dtype in formats.items()
}
picture = strips(
    {"the channel": (channel.double(), 4)} | shown,
    title="A norm with every step rounded",
    name="rounded-steps",
)

assert channel.square().mean() == 130_000 > torch.finfo(torch.float16).max
assert torch.isinf(channel.half().square()).any()
assert (every_step_rounded(channel.half()) == 0).all()

# %%
# The variance is infinite, one over its root is 0, and the norm returns 0 for everything, without a
# word. bfloat16 has the range, and gets two digits right.
#
# Long sums
# ---------
#
# A variance is a sum over thousands of cells, and a sum grows. When it is so large that a step to
# the next number is twice what is added, or more, it no longer moves (at exactly twice, the tie is
# rounded to the even number, which here is the old sum):

for dtype in (torch.float16, torch.bfloat16):
    one, so_far = torch.ones((), dtype=dtype), torch.zeros((), dtype=dtype)
    for _ in range(5000):
        so_far = so_far + one
    print(f"5,000 ones, added one by one in {str(dtype).split('.')[1]}: {so_far:.0f}")
    assert so_far == 2 / torch.finfo(dtype).eps
    assert torch.ones(5000, dtype=dtype).sum() > 4900

# %%
# The second assert is PyTorch's own ``sum``: it takes the same ones, adds in float32, and rounds
# once, at the end. Micikevicius et al. (2018) ask for exactly this in their recipe for training
# with 16 bits, for large sums such as the statistics of batch norm.
#
# The small end: eps
# ------------------
#
# :math:`\varepsilon` is 0.00001 in PyTorch's batch, group, layer and instance norm, while its RMS
# norm takes the gap above 1 of the format, and other libraries and papers have values from 0.001 to
# 1e-12. What is left of it in 16 bits, alone and beside a variance of 1?

rows = []
for eps in (1e-3, 1e-5, 1e-6, 1e-8, 1e-12):
    cells = [f"{eps:g}"]
    for dtype in (torch.float16, torch.bfloat16):
        rounded, one = torch.tensor(eps, dtype=dtype), torch.ones((), dtype=dtype)
        gone = bool(one + rounded == one)
        cells += [
            f"{rounded.item():.4g}",
            "1" if gone else f"{(one + rounded).item():.4g}",
        ]
    rows.append(tuple(cells))
header = (
    "eps",
    "in float16",
    "1 + eps in float16",
    "in bfloat16",
    "1 + eps in bfloat16",
)
print(Table(header, tuple(rows)))

tiny = torch.finfo(torch.float16).smallest_normal
assert 0 < torch.tensor(1e-5).half() < tiny
assert torch.tensor(1e-8).half() == torch.tensor(1e-12).half() == 0
assert torch.tensor(1e-12).bfloat16() > 0

# %%
# Beside a variance of 1 nearly all of them vanish, and nothing is lost: there :math:`\varepsilon`
# has no work to do. Its work is a channel that is the same nearly everywhere, whose variance is not
# large beside it; if the channel is constant, the variance is 0. With an :math:`\varepsilon` that
# was rounded to 0, the norm divides 0 by 0:

flat = torch.full((4,), 2.0)
for eps in (1e-5, 1e-8):
    print(f"eps = {eps:g}: {every_step_rounded(flat.half(), eps).tolist()}")
assert every_step_rounded(flat.half(), torch.tensor(1e-8).half()).isnan().all()
assert (every_step_rounded(flat.half(), torch.tensor(1e-5).half()) == 0).all()

# %%
# What PyTorch does
# -----------------
#
# Its layers take maps of 16 bits, add up in float32, and round the result. Here are maps with all
# three difficulties at once: values of hundreds, thousands of cells, and a flat channel. The
# numbers beside them are those of this package in float64, from the same rounded maps.

from normstudy.byhand import norms

torch.manual_seed(0)
maps = torch.randn(8, 4, 32, 32) * torch.tensor([500.0, 1, 1, 1]).view(4, 1, 1)
maps[:, 3] = 2.0

rows = []
for dtype in (torch.float16, torch.bfloat16):
    given = maps.to(dtype)
    half_step = torch.finfo(dtype).eps / 2  # what rounding the result once may cost
    for norm, theirs in {
        "batch": nn.BatchNorm2d(4)(given),
        "group": F.group_norm(given, 2),
        "layer": F.group_norm(given, 1),
        "instance": F.instance_norm(given),
    }.items():
        y = norms.forward(given.double(), norm, num_groups=2).y
        off = ((theirs - y).abs() / y.abs().clamp(min=0.1)).max().item() / half_step
        rows.append((norm, str(dtype).split(".")[1], f"{off:.2f}"))
        assert theirs.dtype == dtype
        assert off < 1.01 or norm == "instance"
print(Table(("norm", "format", "largest error / rounding once"), tuple(rows)))

# %%
# An error of 1 is that of rounding the output once, and of nothing else. The norms of this package
# do the same (:func:`normstudy.byhand.norms.standardize`). Instance norm has no parameters here.
# PyTorch computes it as a batch norm, and where a batch norm has nothing in float32 beside it, it
# rounds mean and divisor to 16 bits too before it uses them.
#
# Buffers of 16 bits
# ------------------
#
# The layer above had its :math:`\gamma`, :math:`\beta` and running statistics in float32, as they
# should be. ``net.half()`` turns these into float16 as well, and then the range matters again:

layer = nn.BatchNorm2d(4, momentum=1.0)
layer(maps)  # in float32: the running variance of channel 0 is about 250,000
right = layer.eval()(maps)[:, 0]
halved = layer.half()(maps.half())[:, 0]
print(f"running variance of channel 0: {layer.running_var[0].item()}")
print(
    f"largest value in evaluation: {halved.abs().max():.3f}, right: {right.abs().max():.3f}"
)
assert torch.isinf(layer.running_var[0])
assert (halved == 0).all()

# %%
# The channel is gone: infinite variance, 0 everywhere. A network that is to answer in float16 is
# safer with its batch norms folded into the convolutions, as on
# :ref:`sphx_glr_auto_examples_plot_510_costs.py`, or
# with its norms left in float32.
#
# autocast
# --------
#
# ``torch.autocast`` leaves parameters and buffers in float32, and chooses the precision of each
# operation from lists. Convolutions and matrix products go to 16 bits. Group norm and layer norm
# are on the list for float32 on a GPU, and none of the four norms here is on any list on a CPU;
# batch norm is on none of them. What is on no list runs in the format that it is given:

norms_of_torch = {"batch": nn.BatchNorm2d(4), "group": nn.GroupNorm(2, 4)}
convolution = nn.Conv2d(4, 4, 3)
with torch.autocast("cpu", torch.bfloat16):
    features = convolution(maps)
    print("convolution:", features.dtype)
    for norm, layer in norms_of_torch.items():
        print(f"{norm} norm: {layer(features).dtype}, parameters {layer.weight.dtype}")
assert features.dtype == torch.bfloat16
assert norms_of_torch["batch"].running_var.dtype == torch.float32

# %%
# So batch norm under ``autocast`` reads and writes 16 bits, and holds its statistics in float32. On
# a GPU, torch's group and layer norm return float32. Those of this study return the format that
# they got (:class:`~normstudy.study.groupnorm.ChannelsLastGroupNorm`), so that the layers after
# every norm work in the same one.
#
# What this does not show
# -----------------------
#
# Training. Gradients have their own trouble with float16: the small ones become 0, which a
# ``GradScaler`` avoids by scaling the loss. The asserts hold for the CPU kernels of the PyTorch
# that built this page; a GPU has others, with the same rule. And the maps here are extreme: a
# network with norms rarely has values of hundreds.
#
# Exercises
# ---------
#
# 1. How large may the standard deviation of a channel be before its variance overflows in float16?
# 2. Compute the variance of ``maps[:, 1] + 100`` from rounded bfloat16 values. How far off is it?
# 3. A norm in float16 has :math:`\varepsilon` = 1e-5. By how much is this value itself rounded?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       most = torch.finfo(torch.float16).max ** 0.5
#       assert 255 < most < 256
#       assert torch.tensor(255.0).half().square().isfinite()
#       assert torch.tensor(256.0).half().square().isinf()
#
#    Up to 255.9. Single squares overflow sooner than their mean, at deviations of 256.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       coarse = (maps[:, 1] + 100).bfloat16().double()
#       assert coarse.unique().numel() < 20
#       error = coarse.var() / maps[:, 1].double().var() - 1
#       assert 0.001 < error < 0.05
#
#    A little too large: near 100 bfloat16 knows halves only, and the rounding adds a variance of
#    its own, about 1/12 of the square of a step. Float32 statistics do not help: the digits were
#    lost before.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       error = torch.tensor(1e-5).half().double() / 1e-5 - 1
#       assert 1e-4 < abs(error) < 1e-2
#
#    By about a seventh of a percent: it lies below the smallest normal number, where digits are
#    missing. For a constant that only has to be positive, this is no matter.
#
# Where to go next
# ----------------
#
# The other numerical trap, a variance in one pass, is mistake 4 of
# :ref:`sphx_glr_auto_examples_plot_185_mistakes_in_norms.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
