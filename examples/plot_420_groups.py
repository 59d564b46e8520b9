"""
How many groups?
================

Group norm from one group, which is layer norm, to a group for every channel, which is instance
norm; and groups of equal size instead of equal number.

**The question.** Does it matter how many groups there are, and should one choose their number or
their size?
"""

from normstudy.study import contrasts, responses
from normstudy.study.measures import summarize
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES
from normstudy.tables import Table, in_sentence

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
orders = [sorted(of, key=lambda arm: -summarize(of[arm]).mean) for of in (short, main)]
print("In short, each value against the best one, in points of test accuracy:")
print("by the number of groups:", contrasts.behind_best(counts, "Groups"))
print(
    "by the channels of a group:", contrasts.behind_best(widths, "Channels per group")
)
print(
    f"These are short trainings. Their order is {', '.join(map(in_sentence, orders[0]))};\n"
    f"at full length it is {', '.join(map(in_sentence, orders[1]))}."
)

# %%
# **You will see** both ends computed to be what their names say, accuracy over the number of groups
# and over their size, and Wu & He's two tables beside them.
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
# (On feature maps, layer norm is a word with several meanings. Here its statistics run over
# channels and pixels, with a scale and a shift for each channel.)
#
# The runs
# --------
#
# The network and settings are those of the main study's group norm, its learning rate too, for ten
# epochs on a fixed half of the images, with three seeds. Its norms stand on 24, 48, 72 and 96
# channels. The numbers that divide all four are the divisors of 24; a group of so many channels has
# to divide them as well.
#
# By the number of groups
# -----------------------

by_count = responses.figure(
    counts, "groups", name="groups", title="Test accuracy over the number of groups"
)
print(responses.table(counts, "groups"))

# %%
# One group takes its statistics over all channels, so no channel is normalized by itself. With 24
# groups each channel is, where there are 24; where there are 96, four share a group. The label
# names the best point, and one of five is best by chance even if all are equal. So each other point
# is set beside it, with intervals for all of them at once:

print(contrasts.to_best(counts, "Groups", "groups"))
print(contrasts.pooled(counts))

# %%
# By the channels of a group
# --------------------------
#
# With a fixed number of groups, a group grows with the width of the layer: 24 channels in 8 groups
# are 3 each, 96 are 12. With a fixed size it is the same everywhere, and wide layers have more
# groups. One channel per group is instance norm in every place.

by_width = responses.figure(
    widths,
    "channels per group",
    name="channels-per-group",
    title="Test accuracy over the size of the groups",
)
print(responses.table(widths, "channels per group"))

# %%
# This axis runs the other way: instance norm stands at its left end. Here, and only here, does the
# mean of every channel vanish in every place, so that what a channel says on the whole image is
# gone. What a network can still tell from it depends on what stands behind the last norm; in this
# one a residual sum that no norm touches.

print(contrasts.to_best(widths, "Channels per group", "channels per group"))
print(contrasts.pooled(widths))

# %%
# What do the two ways have in common? Their best points can be compared: each was taken from five.

best = {}
for way, points in {"number": counts, "size": widths}.items():
    (of,) = points.values()
    means = {x: summarize(runs).mean for x, runs in responses.held(of).items()}
    best[way] = max(means.values())
    print(
        f"best by {way}: {best[way]:.2f}%, range {max(means.values()) - min(means.values()):.2f}"
    )

# %%
# The two best points are closer together than the seeds of each scatter, so nothing here says
# whether to choose the number or the size. The range is what a wrong choice cost at most, on this
# axis and on this network, and a part of it is chance: five means of three seeds that differ by
# nothing else have a range of 1.3 of a seed's standard deviations on average. Chance level is 10%.
#
# At full length
# --------------
#
# Three points of these axes are arms of the main study: one group, its own number of groups, and
# one channel per group, on all images, for twenty epochs, each with a learning rate of its own.

ends = {"Layer norm": "1 group", "Group norm": "8 groups", "Instance norm": "1 channel"}
rows = [
    (f"{arm} ({ends[arm]})", f"{summarize(short[arm])}", f"{summarize(main[arm])}")
    for arm in ends
]
print(Table(("test accuracy, %", "short", "full length"), tuple(rows)))

# %%
# The order is another one. In the short runs, layer norm is behind both; at full length it is level
# with group norm, at the same learning rate, and instance norm is last. So a single group was
# slower here, and not worse in the end, while a channel to each group has its price later. What the
# short runs say about the ends of the axes is said about short trainings. Between the ends, neither
# decides anything.
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
# channel per group, which is instance norm. From 64 groups down to 2 the first table is nearly
# flat. The 32 groups that became the default come out lowest, but with one training for each
# number, differences of a few tenths cannot be told from chance.
#
# What this does not show
# -----------------------
#
# All points have the learning rate that was chosen for 8 groups, so other numbers of groups may be
# a little better than shown. Half of the images and ten epochs are less than the main study has.
# Its channels are few: 96 at most, where ResNet-50 has up to 2,048, so that 32 groups are not even
# possible in every place here. And which channels share a group is decided by their order alone.
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
