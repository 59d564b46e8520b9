"""
What a head can do to a comparison
==================================

The same arms in two networks that differ, among other things, in what stands between the last norm
and the classifier.

**The question.** An earlier study found group norm well behind batch norm. How much of that was the
norm, and how much the place in which it stood?
"""

from normstudy.study import summaries
from normstudy.study.compare import differences
from normstudy.study.data import load
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES
from normstudy.study.train import build

shown = ("Batch norm", "Group norm", "Layer norm")
first, main = (
    {arm: runs for arm, runs in run_study(STUDIES[name]).items() if arm in shown}
    for name in ("cifar10", "main")
)
before, now = (differences(arms) for arms in (first, main))
for name, pairs in (("first", before), ("present", now)):
    pair = pairs[0]
    print(
        f"In the {name} network, batch norm less group norm: {pair.mean:+.2f} points, "
        f"95 % interval {pair.interval}."
    )

# %%
# **You will see** how many independent numbers the classifier gets under each norm, in both
# networks, and the same differences between arms measured in both.
#
# Two heads
# ---------
#
# The first network ended in a norm, the mean over the pixels, and the classifier, with nothing
# between. The present one has no norm behind its last block, but an activation. That is a small
# change on a drawing, and a large one for some norms. Group norm makes the values of each group of
# channels add up to zero, and then scales and shifts each channel. So the means that the classifier
# reads obey one equation for each group: with :math:`C` channels and :math:`G` groups, only
# :math:`C - G` of them are free. Under layer norm it is :math:`C - 1`, and under instance norm
# nothing is left: the mean of every map is its shift, whatever the image shows.
#
# We count them: the rank of the classifier's inputs for a few hundred test images, less their mean,
# in untrained networks.

from dataclasses import replace

import torch

images = load(STUDIES["main"].data)
batch = images.normalize(
    images.test.images[:300]
).double()  # so that zeros are told from noise


def free_inputs(recipe):
    """Return how many independent numbers the classifier gets, and how many it could get."""
    net = build(recipe, images).double().eval()
    seen = []
    net.linear1.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    with torch.no_grad():
        net(batch)
    moves = seen[0] - seen[0].mean(0)
    return int(torch.linalg.matrix_rank(moves, atol=1e-6)), moves.shape[1]


norms = {"batch": 1, "layer": 1, "instance": 1, "group": 4}
for name, study in (("first", first), ("present", main)):
    base = study["Group norm"][0].recipe
    tried = [*norms.items(), ("group", base.num_groups)]
    for norm, num_groups in dict.fromkeys(tried):
        recipe = replace(base, norm=norm, num_groups=num_groups, precision="float32")
        rank, width = free_inputs(recipe)
        words = f", {num_groups} groups" if norm == "group" else ""
        print(f"{name} network, {norm} norm{words}: {rank} of {width}")
        lost = {"batch": 0, "layer": 1, "instance": width, "group": num_groups}[norm]
        assert rank == width - (lost if name == "first" else 0)

# %%
# The more groups, the less the classifier of the first network can see. The search of that study
# had chosen the largest number of groups that was tried, so group norm had lost a third of what
# batch norm had.
#
# The same arms, measured in both
# -------------------------------

print(f"First network\n{summaries.results(first, ['test_accuracy', 'test_loss'])}\n")
print(f"Present network\n{summaries.results(main, ['test_accuracy', 'test_loss'])}")

# %%
# Accuracies of different networks are not to be compared: the present one is about three times as
# fast and was chosen for that. What can be compared is the distance between two arms of one
# network.

print(f"First network\n{summaries.pairs(before)}\n")
print(f"Present network\n{summaries.pairs(now)}")

# %%
# Read one pair in both tables. Where a distance has become smaller, part of it had come from the
# head; where it has not, the head is not the reason. The intervals of the first table are wide,
# since it has few seeds.
#
# What this does not show
# -----------------------
#
# The two networks differ in more than their heads: in width, depth, activation, first weights and
# precision, and the settings were searched anew. So the change of a distance is that of the whole
# network. That the head takes something away is certain, since it can be counted; how much accuracy
# that costs, only a network that differs in nothing else could tell.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. With how many groups would group norm have left the classifier of the first network least?
# 2. An activation behind the last norm makes the rank full again. Does it bring back what instance
#    norm had taken? Look at how far the inputs of two images are apart, in place of the rank.
# 3. Show the equations: add up the untrained classifier's inputs in each group, for two images.
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       base = replace(first["Group norm"][0].recipe, precision="float32")
#       width = free_inputs(base)[1]
#       left = {g: free_inputs(replace(base, num_groups=g))[0] for g in (1, 2, 4, 8)}
#       print(left)
#       assert left == {g: width - g for g in left}
#
#    With as many as possible: each group takes one away, and with a group for every channel, which
#    is instance norm, nothing is left.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from torch import nn
#
#       maps = torch.randn(2, 96, 64, generator=torch.manual_seed(0)).double()
#       maps = (maps - maps.mean(2, keepdim=True)) / maps.std(2, correction=0, keepdim=True)
#       one, other = nn.functional.hardswish(maps).mean(2)
#       print(f"{(one - other).norm() / one.norm():.3f}")
#       assert (one - other).norm() < 0.1 * one.norm()
#
#    Hardly: within three standard deviations hardswish is ``(x + 3) * x / 6``, whose mean depends
#    on the mean and the variance alone, and both were fixed by the norm. The inputs of two images
#    stay nearly equal although their rank is full.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       recipe = replace(first["Group norm"][0].recipe, precision="float32")
#       net, seen = build(recipe, images).double().eval(), []
#       net.linear1.register_forward_hook(lambda _, given, __: seen.append(given[0]))
#       net(batch[:2])
#       sums = seen[0].detach().unflatten(1, (recipe.num_groups, -1)).sum(2)
#       print(f"largest sum of a group: {sums.abs().max().item():.6f}")
#       assert sums.abs().max() < 1e-3
#
#    Zero in every group and for every image: the untrained norm has scales of 1 and shifts of 0.
#
# Where to go next
# ----------------
#
# :ref:`plan` tells how the head of the present network was chosen, and
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` has all arms.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
