"""
How many groups?
================

Group norm from one group, which is layer norm, to a group for every channel, which is instance
norm; and groups of equal size instead of equal number.

**The question.** Does it matter how many groups there are, and should one choose their number or
their size?
"""

from normstudy.study import contrasts, responses, summaries
from normstudy.study.measures import summarize
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES
from normstudy.tables import Table, interval

study = STUDIES["group-counts"]
arms = run_study(study)
counts = responses.by(
    {"Groups": arms["Groups"]}, lambda r: r.num_groups, study.diverged
)
widths = responses.by(
    {"Channels per group": arms["Channels per group"]},
    lambda r: r.channels_per_group,
    study.diverged,
)
short = {
    "Layer norm": counts["Groups"][1],
    "Group norm": counts["Groups"][8],
    "Instance norm": widths["Channels per group"][1],
}
main = {arm: run_study(STUDIES["main"])[arm] for arm in short}
print("In short, at full length:", summaries.verdict(contrasts.pairs(main)))
print("In short trainings, by the number of groups:")
print(contrasts.behind_best(counts, "Groups"))
print("In short trainings, by the channels of a group:")
print(contrasts.behind_best(widths, "Channels per group"))

# %%
# So a group for every channel costs accuracy. One group, which is layer norm, is behind in short
# trainings and level in long ones. Everything between the ends is open, and so is whether to choose
# the number of groups or their size.
#
# **You will see** both ends computed to be what their names say, accuracy over the number of
# groups and over their size, and Wu & He's two tables beside them.
#
# The ends of the axis
# --------------------
#
# A mean over one group of all channels is layer norm's, a mean over each channel alone is instance
# norm's. Group norm holds both as special cases, and so one axis leads from one to the other:

import torch

from normstudy.study.model import make_norm

torch.manual_seed(0)
maps = torch.randn(2, 24, 8, 8)


def grouped(num_groups):
    """Normalize the maps in so many groups."""
    return make_norm("group", 24, num_groups)(maps)


layer = torch.nn.functional.layer_norm(maps, maps.shape[1:])
assert torch.allclose(grouped(1), layer, atol=1e-5)
instance = torch.nn.functional.instance_norm(maps)
assert torch.allclose(grouped(24), instance, atol=1e-5)

# %%
# (On feature maps, the term layer norm has several meanings. Here its statistics run over channels
# and pixels, with a scale and a shift for each channel.)
#
# The runs
# --------
#
# The network and settings are those of the main study's group norm, its learning rate too, for ten
# epochs on a fixed half of the images, with three seeds. The norms of this network are on 24, 48,
# 72 and 96 channels. The numbers that divide all four are the divisors of 24, and so must be the
# number of channels in a group.
#
# The 8 groups of the main study were chosen from four numbers before, on validation images, with
# two seeds, so that a lead of 8 is no independent finding:

tried = responses.by(
    run_study(STUDIES["groups"]), lambda r: r.num_groups, STUDIES["groups"].diverged
)
print(responses.table(tried, "groups"))

# %%
# One axis for both
# -----------------
#
# With a fixed number of groups, a group grows with the width of the layer: 24 channels in 8 groups
# are 3 each, 96 are 12. With a fixed size it is the same everywhere, and wide layers have more
# groups. Both can be drawn over the mean number of groups in a place. The axis ends at one channel
# in each group, in every place, which is instance norm.

from normstudy.study.model import Net

widths_here = [m.num_channels for m in Net("group").modules() if hasattr(m, "eps")]
most = sum(widths_here) / len(widths_here)  # groups of one channel each


def mean_groups(r):
    """Count the groups of a place, on average."""
    return most / r.channels_per_group if r.channels_per_group else r.num_groups


by_groups = responses.figure(
    responses.by(arms, mean_groups),
    "groups in a place, mean",
    name="groups",
    title="From layer norm to instance norm, in short trainings",
    note="Ten epochs, half of the images. Ends: layer norm and instance norm.",
)
for ax in by_groups.axes:
    ax.set_xticks([1, 2, 4, 8, 24, most], ["1", "2", "4", "8", "24", f"{most:g}"])

# %%
# By the number of groups
# -----------------------

print(responses.table(counts, "groups"))

# %%
# One group takes its statistics over all channels, so no channel is normalized by itself. With 24
# groups each channel is, where there are 24; where there are 96, four share a group. The label
# names the best point, and one of five is best by chance even if all are equal. So each other point
# is set beside it, with intervals for all of them at once:

print(contrasts.to_best(counts, "Groups", "groups"))
print(contrasts.pooled(counts))

# %%
# The intervals take one spread for all numbers. The seeds of one group scatter more than that, so
# what do their own say, without an allowance for the other rows?

from scipy.stats import ttest_ind

one, eight = ([100 * run.accuracy for run in counts["Groups"][n]] for n in (1, 8))
low, high = ttest_ind(one, eight, equal_var=False).confidence_interval()
print(f"1 group less 8, by their own seeds alone: {interval(low, high, 2)} points")

# %%
# That holds zero, so even this row is not beyond doubt.
#
# By the channels of a group
# --------------------------

print(responses.table(widths, "channels per group"))

# %%
# Here the first row is instance norm, and only there does the mean of every channel vanish in every
# place, so that what a channel says on the whole image is gone. What a network can still tell from
# it depends on what stands after the last norm; in this one a residual sum that no norm touches.

print(contrasts.to_best(widths, "Channels per group", "channels per group"))
print(contrasts.pooled(widths))

# %%
# Which way is better? Their best points can be compared: each was picked from five, so the interval
# holds for all pairs of a number and a size.

ways = {"Number": counts["Groups"], "Size": widths["Channels per group"]}
best = {
    way: max(responses.held(of), key=lambda x: summarize(of[x]).mean)
    for way, of in ways.items()
}
family = len(ways["Number"]) * len(ways["Size"])
apart = contrasts.between(ways, *best.items(), family=family)
print(f"{apart.title}: {contrasts.size(apart)}: {apart.verdict}")

# %%
# So nothing here says whether to choose the number or the size. Chance level is 10%.
#
# At full length
# --------------
#
# Four places on these axes were trained on all images, for twenty epochs: the ends and 8 groups are
# arms of the main study, and 24 groups have three seeds of a control. The learning rates are those
# of the main study, 0.4 for instance norm and 0.2 for the others; the short runs all have 0.2.

many = run_study(STUDIES["norm-last"])["Group norm, 24 groups, activation last"]
rows = [
    ("1 group (layer norm)", short["Layer norm"], main["Layer norm"]),
    ("8 groups", short["Group norm"], main["Group norm"]),
    ("24 groups", counts["Groups"][24], many),
    (
        "1 channel a group (instance norm)",
        short["Instance norm"],
        main["Instance norm"],
    ),
]
told = tuple((what, *map(responses.said, of)) for what, *of in rows)
print(Table(("test accuracy, %", "short", "full length"), told))
print("\nFull length:")
print(summaries.pairs(contrasts.pairs(main | {"24 groups": many})))
print("\nShort trainings:")
print(summaries.pairs(contrasts.pairs(short | {"24 groups": counts["Groups"][24]})))

# %%
# At full length instance norm is behind all others, and those are level or open. In short
# trainings layer norm is behind 8 groups and all else is open, what one channel a group costs as
# well: its interval holds the price that it has at full length. So a short training is misleading
# about one group. What makes the difference is not told: the long ones have twice the epochs and
# twice the images, and instance norm has another rate.
#
# What others found
# -----------------
#
# Wu and He, ResNet-50 on ImageNet, one training for each number:

from normstudy.study.literature import WU_HE_CHANNELS, WU_HE_GROUPS

for published in (WU_HE_GROUPS, WU_HE_CHANNELS):
    print(published.table(), published.source, sep="\n", end="\n\n")
    lowest, highest = (f(published.rows["Group norm"]) for f in (min, max))
    assert published.rows["Group norm"][-1] == highest
    print(f"range: {highest - lowest:.1f} points of error\n")

# %%
# In each table the last column is the worst: a single group, which is layer norm, and a single
# channel per group, which is instance norm. At full length instance norm is last here too, while
# layer norm is level with 8 groups. From 64 groups down to 2 the first table is nearly flat, as
# is ours. The 32 groups that became the default come out lowest, but with one training for each
# number, differences of a few tenths cannot be told from chance.
#
# What this does not show
# -----------------------
#
# All points of the short trainings have the learning rate that was chosen for 8 groups, so other
# numbers of groups may be better than shown. Half of the images and ten epochs are less than the
# main study has. Its channels are few: 96 at most, where ResNet-50 has up to 2,048, so that 32
# groups are not even possible in every place here. And which channels share a group is decided by
# their order alone.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. How many values does a mean run over with 8 groups, on 72 channels of 8x8 pixels, and how many
#    with batch norm and 128 images?
# 2. Reorder the channels of a map. Under which numbers of groups does group norm notice?
# 3. List the numbers of groups that fit every place of the network. Which would fit without the
#    two norms on 24 channels?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       of_group, of_batch = 72 // 8 * 8 * 8, 128 * 8 * 8
#       print(of_group, of_batch)
#       assert of_batch > 10 * of_group
#
#    576 and 8,192. Both are many. What differs is over what: one image, or all of them.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       order = torch.randperm(24)
#       notices = []
#       for n in (1, 2, 4, 8, 24):
#           turned = make_norm("group", 24, n)(maps[:, order])
#           if not torch.allclose(turned, grouped(n)[:, order], atol=1e-5):
#               notices.append(n)
#       print(notices)
#       assert notices == [2, 4, 8]
#
#    Not at the ends: with one group all channels share everything, with 24 nothing.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       places = (24, 48, 72, 96)
#       fits = [n for n in range(1, 97) if not any(c % n for c in places)]
#       without = [n for n in range(1, 97) if not any(c % n for c in places[1:])]
#       print(fits, without)
#       assert fits == without == [1, 2, 3, 4, 6, 8, 12, 24]
#
#    The same: 72 and 96 have no larger common divisor than 24.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_130_group_norm.py` works group norm by hand, and
# :ref:`sphx_glr_auto_examples_plot_230_three_norms.py` shows what each norm averages over.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
