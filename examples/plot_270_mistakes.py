"""
Ten mistakes of each version
============================

Misclassified test images of three versions, with the true class, the answer and the confidence,
and a count of how far the versions fail on the same images.

**The question.** What do the mistakes look like, and do different norms make different ones?

**You will see** three pictures of ten mistakes each, a table of the most frequent confusions, and a
comparison of whole sets of mistakes, which says more than any ten images can.
"""

# %%
# Which ten?
# ----------
#
# A network may make many more mistakes than ten, so showing ten is a choice, and the choice has to
# be named. Here it is the ten wrong answers that the network gave with the highest confidence,
# after the last epoch, from the first seed. (Where fewer are shown, there were no more.) They are
# the most instructive: either the image is misleading, or its label is doubtful, or the network has
# learned something that is not so.

from normstudy.study import figures
from normstudy.study.data import load
from normstudy.study.mistakes import confusion, is_wrong, overlap
from normstudy.study.recipes import report_data, study
from normstudy.study.runs import run

images = load(report_data())
models = {label: run(recipes[0]) for label, recipes in study(report_data()).items()}

# %%
# Batch norm with L1
# ------------------

batch_l1 = figures.mistake_grid(models["Batch norm + L1"], images)

# %%
# Read the ten from left to right and from top to bottom, in falling confidence. Ask of each: would
# you have given the true answer at this size? Where the answer is understandable, look for what the
# two classes share, a background or an outline. The confidence is the probability that the network
# gave its wrong answer. It is not calibrated: a confidence of 99% does not mean one error in a
# hundred such answers.
#
# Group norm
# ----------

group = figures.mistake_grid(models["Group norm"], images)

# %%
# The same choice for group norm. Images that appear in both pictures, under the same number, fooled
# two networks that were trained apart. Those are candidates for a wrong label or for an image that
# shows something else than its class says.
#
# Layer norm
# ----------

layer = figures.mistake_grid(models["Layer norm"], images)

# %%
# And for layer norm. Before you see a pattern in the differences between the three pictures, keep
# in mind how they were made: each shows the ten most confident of many mistakes, and another seed
# of the same version would show other ones. To compare versions, all mistakes have to be counted.
#
# Which classes are confused?
# ---------------------------
#
# For each version, the table gives the three most frequent pairs of a true class and a wrong
# answer, with the number of test images.

import numpy as np

from normstudy.tables import Table

rows = []
for label, model in models.items():
    counts = confusion(model, images)
    np.fill_diagonal(counts, 0)  # the correct answers
    found = []
    for place in counts.argsort(axis=None)[::-1][:3]:
        true, answer = np.unravel_index(place, counts.shape)
        found.append(
            f"{images.classes[true]} as {images.classes[answer]}: {counts[true, answer]}"
        )
    rows.append((label, f"{is_wrong(model, images).sum():,}", *found))
print(Table(("version", "mistakes", "most frequent", "second", "third"), tuple(rows)))
print(
    f"Of {len(images.test):,} test images, first seed of each version; a guess gets 90 % wrong."
)

# %%
# If the same pairs lead in every row, then what is hard lies in the images more than in the norm.
# A pair that is frequent in one row only would be a difference between versions, if it were also
# found with other seeds.
#
# Do the versions fail on the same images?
# ----------------------------------------
#
# Take the mistakes of batch norm. How many of them does another version make as well? To know what
# to expect from versions that do not differ at all, the first row compares two seeds of batch norm.

twin = run(study(report_data())["Batch norm"][-1])
name = f"Batch norm, seed 0 and seed {twin.recipe.seed}"
pairs = {name: overlap({"first": models["Batch norm"], "second": twin}, images)}
pairs |= {
    f"Batch norm and {label}": overlap(
        {"first": models["Batch norm"], "second": model}, images
    )
    for label, model in models.items()
    if label != "Batch norm"
}
rows = [
    (name, f"{pair.num_wrong[1]:,}", f"{pair.all_wrong:,}", f"{pair.expected_all_wrong:.0f}",
     f"{100 * pair.all_wrong / pair.num_wrong[0]:.0f}", f"{100 * pair.same_answer[0, 1]:.0f}")
    for name, pair in pairs.items()
]  # fmt: skip
header = (
    "pair", "mistakes of the second", "in common", "if independent", "in common, % of the first",
    "of these the same answer, %",
)  # fmt: skip
print(Table(header, tuple(rows)))

every = overlap(models, images)
print(f"Wrong in all {len(models)} versions: {every.all_wrong} images", end="")
print(
    f" ({every.expected_all_wrong:.1f} if they failed independently); in any: {every.any_wrong}"
)

# %%
# Compare the percentages with the first row. A version that makes about as many mistakes as batch
# norm, and shares about as many with it as a second seed does, fails on the same images. A version
# that makes more mistakes shares more of them for that reason alone. The column "if independent" is
# what chance would give for that many mistakes; as far as the counts exceed it, some images are
# simply harder than others, for every version.
#
# What this does not show
# -----------------------
#
# Ten chosen images are illustrations and no evidence. The overlaps are from one pair of runs each,
# so their second decimal is luck. And no picture tells *why* an answer was given: that a
# background looks guilty to us does not mean that the network used it.
#
# Exercises
# ---------
#
# 1. Draw the ten mistakes of lowest confidence with ``order="least confident"``. Are they harder?
# 2. Draw those of ``seed=1``. How many of the ten images stay?
# 3. Draw the mistakes of the version without any norm.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_260_search.py` shows how the settings of each version were
# found.

import matplotlib.pyplot as plt

plt.show()
