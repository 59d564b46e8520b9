"""
What each norm costs
====================

Time for a training step, time for an answer, and memory: of the whole network, and of the norm
alone.

**The question.** How much longer does a network train with a norm than without one, is one norm
dearer than another, and why?
"""

from normstudy.study import timings
from normstudy.study.timings import TIMINGS

names = ("loops", "layers", "starts", "processes")
loops, layers, starts, processes = (
    timings.read(TIMINGS / f"{name}.json") for name in names
)
print("In short, a training step of the whole network in float32:")
for arm in loops.arms()[:-1]:
    ratio, *_ = loops.ratio(("bare step", arm), ("bare step", "No norm"))
    print(f"{arm}: {ratio:.2f} times as long as without a norm")
print("Group, layer and instance norm are those of this package (see The norm alone).")

# %%
# **You will see** what a norm adds to a training step and to an answer, how long each takes alone
# beside the time of a copy, how much memory it keeps for the way back, and how batch norm
# disappears from a network that has been trained.
#
# Where the numbers come from
# ---------------------------
#
# Times depend on the machine, so they were taken on one, and are published with the report;
# ``nox -s bench`` takes them again on yours. Each case was timed once in each round, in an order
# drawn anew, so that a slow minute hits all of them, and cases are compared within a round. The few
# times in seconds and the memory are those of this machine.

for name, timed in zip(names, (loops, layers, starts, processes), strict=True):
    where = timed.environment
    print(
        f"{name}: {timed.date}, {timed.rounds} rounds, {where['device']}, {where['threads']} "
        f"threads, torch {where['torch']}, revision {where['git_revision'][:7]}"
    )

# %%
# The whole network
# -----------------

figure = timings.cost(loops, "bare step", "No norm")

# %%
# A bare step is forward, backward and update for 128 images that are there already. The network
# without norms has a shift of each channel where the others have their norm, so this is the price
# of statistics, of dividing by them, and of finding the gradient of both. The penalty costs a pass
# over the weights, which are few.

print(
    timings.beside(
        loops,
        {
            "bare step": "bare step",
            "training as here": "normstudy",
            "the same, in bfloat16": "normstudy in bfloat16",
            "evaluation": "evaluation",
        },
        "No norm",
    )
)

# %%
# The two rows in the middle are the trainer of this report, which also cuts and mirrors the images.
# In evaluation, batch norm has its statistics already; the others take them from every image again.
#
# The norm alone
# --------------
#
# A norm computes next to nothing: a few operations for each value. What costs is to move the values
# through the memory. In training, the way forward reads each value twice (once for the statistics,
# once to normalize) and writes it once; the way back reads the value and its gradient twice, and
# writes one gradient. That makes eight passes. A copy makes two. So four copies is the least that a
# norm can take, unless something of its maps stays closer to the processor between two passes.

for shape in ("48 × 16 × 16", "72 × 8 × 8", "96 × 4 × 4"):
    rows = {"channels-last": f"training, {shape}, channels-last"}
    copy_s = layers.median((rows["channels-last"], "copy"))
    print(f"\nmaps of {shape}, 128 images: a copy takes {1e6 * copy_s:,.0f} µs")
    for kind in ("torch's own", "bfloat16", "bfloat16, torch's own"):
        rows[f"channels-last, {kind}"] = f"{rows['channels-last']}, {kind}"
    rows["contiguous"] = f"training, {shape}, contiguous"
    print(timings.beside(layers, rows, "copy", what_under=rows["channels-last"]))

# %%
# All is measured by the copy of channels-last maps in float32. In that precision, group and layer
# norm of contiguous maps, and PyTorch's own layer norm, come nearest to four copies. Most else
# takes far more: these maps stay in the caches, where a copy is so fast that sums and calls show.
#
# Channels-last maps keep the channels of a pixel side by side, which is how the convolutions of
# this network like them. Batch norm sums over columns of such a table. PyTorch's own group norm has
# to pick the channels of a group from each pixel, and the fewer they are, the longer it takes:
# instance norm, with one, is the worst. The one in :mod:`normstudy.study.groupnorm` sums over each
# channel first, as batch norm does, puts channels together into groups afterwards, and keeps its
# digits where a mean is large. It pays with more calls: in float32 PyTorch's own is the faster one
# for layer norm, which is one group, and for group norm on small maps. In bfloat16, where maps are
# copied into the contiguous layout and back, group and instance norm are faster here at every size.
#
# A layer in another layout than its neighbours may cost more than its copies. If the norm after the
# first max pool hands back its gradient contiguous, as copying its maps would have it, the pool,
# whose maps are channels-last, copies a larger gradient there and back:

ratio, low, high = layers.ratio(
    ("backward, gradient contiguous", "max pool"),
    ("backward, gradient channels-last", "max pool"),
)
print(f"backward of the pool, contiguous / channels-last gradient: {ratio:.1f}")
print(f"(median of {layers.rounds} rounds; lowest {low:.1f}, highest {high:.1f})")

# %%
# The numbers are the same in both layouts, so nothing shows it but the clock. Here,
# :mod:`normstudy.study.layouts` sends the gradients of norms and blocks on as channels-last.
#
# Memory for the way back
# -----------------------
#
# What a layer keeps between forward and backward can be counted exactly.

import torch

from normstudy.study.model import make_norm
from normstudy.tables import NORM_NAMES, Table

x = torch.randn(16, 48, 16, 16).contiguous(memory_format=torch.channels_last)
rows = []
for norm in ("batch", "group", "layer", "instance"):
    kept = timings.kept(make_norm(norm, 48, num_groups=8), x)
    rows.append((NORM_NAMES[norm], f"{kept / x.nbytes:.3f}"))
print(Table(("norm", "bytes kept / bytes of the input"), tuple(rows)))

# %%
# Every norm keeps its input and a few numbers for each channel or group, from which the closed form
# of the gradient normalizes again (:ref:`sphx_glr_auto_examples_plot_160_backward.py`).
#
# Folding batch norm away
# -----------------------
#
# In evaluation mode batch norm is one factor and one shift for each channel. The convolution in
# front of it can take over both, and the layer is gone. Group, layer and instance norm cannot be
# folded: their factors depend on the image.

import copy

from normstudy.study.batchnorm import fold
from normstudy.study.model import Net

torch.manual_seed(0)
images = torch.randn(64, 3, 32, 32, dtype=torch.float64)
net = Net("batch").double()
net(images)  # moves the running statistics
folded = copy.deepcopy(net)
print(f"batch norms folded: {fold(folded)}")
difference = (folded(images) - net.eval()(images)).abs().max().item()
print(f"largest difference of a score: {difference:.1e}")
assert difference < 1e-9

ratio, low, high = loops.ratio(
    ("evaluation, folded", "Batch norm"), ("evaluation", "Batch norm")
)
print(f"time of an answer, folded / not folded: {ratio:.2f} ({low:.2f} to {high:.2f})")

# %%
# The one that stays is the first: a max pool stands between it and its convolution.
#
# Beside other ways to train
# --------------------------
#
# The textbook loop takes single images through torchvision's transforms and a DataLoader, and reads
# the loss back at every step. The first table gives it two more processes, or PyTorch Lightning;
# the second has the trainer of this report. All speeds are relative to the textbook loop, with the
# lowest and highest round in brackets.

others, ours = (
    ("textbook loop, 2 workers", "PyTorch Lightning"),
    ("normstudy", "normstudy in bfloat16"),
)
print(timings.ratios(loops, "textbook loop", others), end="\n\n")
print(timings.ratios(loops, "textbook loop", ours))

# %%
# All of them compute in float32 but for the last column, where the processor has fast bfloat16. The
# trainer here differs from the textbook loop in four things, whichever the norm: it cuts and
# mirrors whole batches at once, its maps are channels-last, its optimizer takes all parameters in
# one call, and it does not wait for the loss of each step. Group, layer and instance norm are
# PyTorch's own in the textbook loop, and this package's here. The next tables set it beside the
# bare step, which no trainer can beat but by luck, in either precision, and beside the time that
# the multiplications of a step would take as products of large matrices.

print(timings.ratios(loops, "bare step", ("normstudy", "arithmetic alone")), end="\n\n")
print(timings.ratios(loops, "bare step in bfloat16", ("normstudy in bfloat16",)))

# %%
# In the second column a step is compared with its multiplications alone. The rest of the time goes
# into small convolutions, norms and activations.
#
# A whole training
# ----------------
#
# Before the first step, Python, PyTorch and the data set take their time; maps take memory.

rows = []
for arm in starts.arms():
    seconds = starts.median(("until the first step", arm))
    most = processes.memory[arm] / 2**30
    rows.append((arm, f"{seconds:.1f} s", f"{most:.2f} GiB"))
print(Table(("arm", "until the end of the first step", "most memory"), tuple(rows)))

# %%
# A study is many trainings. Are they better run one after the other, with all cores for each, or
# side by side, with one core for each?

one, two = "one at a time, two threads", "two at a time, one thread each"
for arm in ("Batch norm", "Group norm"):
    gain, low, high = processes.ratio((one, arm), (two, arm))
    print(f"{arm}: side by side {gain:.2f} times as fast ({low:.2f} to {high:.2f})")

# %%
# Threads wait for each other at the end of every layer; trainings do not, so they run side by side.
#
# On a GPU
# --------
#
# A GPU can compute a step of this network faster than a processor asks for its hundreds of kernels.
# So the trainer draws an epoch at its start, asks for each step as one recorded graph, and reads
# nothing back before the epoch ends.

not_yet = "Nobody has timed it on a GPU yet: nox -s bench -- --only gpu"
print(*timings.on_gpu() or [not_yet], sep="\n\n")

# %%
# Where somebody has, the tables show one run after another, since a first one also loads the
# libraries; three versions from the start of Python to its end; and up to eight runs that share the
# card. The accuracies, in bfloat16 on the GPU, stand beside those of the published runs: mean ±
# standard deviation (number of seeds). They should differ by no more than the seeds do.
#
# What this does not show
# -----------------------
#
# The ratios are those of one processor and small maps. On a GPU a norm is bound by the memory
# even more, and group norm has kernels of its own. Larger maps leave the caches earlier. Compiled
# networks can join a norm with its neighbours, so that a pass over the memory is saved.
#
# Exercises
# ---------
#
# 1. How many bytes does PyTorch's ``BatchNorm2d`` keep when it is in evaluation mode?
# 2. Which share of a training step does the norm take, if the network without one is the rest?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       layer = make_norm("batch", 48, num_groups=8).eval()
#       assert timings.kept(layer, x) >= x.nbytes
#       print(f"{timings.kept(layer, x) / x.nbytes:.3f} of the input")
#
#    As much as before: the gradient of its weight needs the input, whatever the statistics are.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       for arm in ("Batch norm", "Group norm", "Layer norm", "Instance norm"):
#           ratio, *_ = loops.ratio(("bare step", arm), ("bare step", "No norm"))
#           print(f"{arm}: {1 - 1 / ratio:.0%}")
#           assert ratio > 0
#
#    A little more than that in truth, since the network without norms spends some time on its
#    shifts.
#
# Where to go next
# ----------------
#
# What the norms compute, on numbers that you can change: :doc:`/knobs`. What they are worth:
# :ref:`sphx_glr_auto_examples_plot_290_findings.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
