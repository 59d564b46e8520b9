"""
Findings: how much does the norm matter?
========================================

All versions in one table, with intervals, and a verdict on every pair that follows from a test.

**The question.** Which differences between the versions are larger than chance, how large are they,
and what do the runs leave open?

**You will see** the table of results, the interval of every version and of every difference, a
sentence for each pair, and the settings behind the numbers.
"""

# %%
# The results
# -----------
#
# Every version of the network, in the table called an *arm* of the study: the same number of
# epochs, all training images, the last epoch. Behind ± stands the standard deviation over the
# seeds, and the interval is the 95% interval of the mean, from Student's t distribution.

from normstudy.study import compare, figures
from normstudy.study.recipes import report_data, study
from normstudy.study.runs import run_all
from normstudy.tables import Table

arms = {label: run_all(recipes) for label, recipes in study(report_data()).items()}
print(compare.findings(arms))
num_images = len(arms["Batch norm"][0].predictions)
print(f"Chance level: accuracy 10 %, loss 2.303 nats. Test images: {num_images:,}.")

# %%
# First read down the column of test accuracies, then compare the steps in it with the numbers
# behind ±. The training accuracy and the gap say whether a version that is behind fits worse or
# generalizes worse.
#
# In pictures
# -----------

intervals = figures.accuracy_intervals(arms)

# %%
# The large mark is the mean, the bar its 95% interval, and the small dots are the seeds. With few
# seeds the interval is wide, wider than the dots suggest: a few dots cannot say how far the next
# would fall. Do not judge two versions by whether their bars overlap: the next figure compares them
# pair by pair. All versions share their seeds, and so the first weights and the order of the
# images. Pairing by seed takes out what a seed does to both versions, where it does anything.

differences = figures.difference_intervals(arms)

# %%
# Each row is one pair: the first version minus the second, seed by seed. An interval that stays
# clear of the vertical line at zero would be convincing if this were the only pair. There are as
# many pairs as rows, though, and among many comparisons one looks convincing by chance. Holm's
# correction raises the p-values for that, and "decided" means that it stays below 0.05 all the
# same. The intervals are not corrected: each is that of its pair alone. So a pair may stay open
# although its interval keeps clear of zero.
#
# What the data decide
# --------------------

pairs = compare.differences(arms)
print(compare.difference_table(pairs))

# %%
# And the same in words, one sentence per pair. They are made from the numbers of the table, so they
# change when the runs change.

for pair in pairs:
    print(pair)
decided = sum(pair.decided for pair in pairs)
print(f"Decided: {decided} of {len(pairs)} pairs, with {pairs[0].n} seeds each.")

# %%
# "The data do not decide" does not mean that two versions are equally good. It means that these
# runs cannot tell. How many seeds would it take to know such a difference to within a quarter of a
# point? (That decides differences that are clearly larger, and no others.) With a standard
# deviation :math:`s` of the paired differences, an interval of half-width :math:`h` takes roughly
# :math:`2 + (2 s / h)^2` seeds. A standard deviation from a few seeds can itself be wrong by a
# factor of two or more, and so can these numbers by its square.

import math

from scipy import stats

for pair in pairs:
    if pair.n > 1 and not pair.decided:
        half = (pair.high - pair.low) / 2
        s = half * math.sqrt(pair.n) / stats.t.ppf(0.975, pair.n - 1)
        seeds = math.ceil(2 + (2 * s / 0.25) ** 2)
        print(f"{pair.first} and {pair.second}: about {seeds} seeds for ± 0.25 points")

# %%
# Beside what was published
# -------------------------
#
# Some 45 public reports describe this study with a network and a budget of the same size. Their
# best numbers come from a single seed and from the best epoch as picked on the test images. The
# table sets them beside our means over the seeds, in the last epoch.

published = figures.BEST_PUBLISHED.get(report_data(), {})
rows = [
    (label, f"{published[label]:.2f}", str(compare.summarize(runs)),
     f"{100 * sum(run.accuracy for run in runs) / len(runs) - published[label]:+.2f}")
    for label, runs in arms.items()
    if label in published
]  # fmt: skip
if rows:
    print(
        Table(("version", "best published, %", "here, %", "points more"), tuple(rows))
    )
else:
    print("No number was published for this data set.")

# %%
# A positive number on the right says that this network, with this schedule, does better than the
# best of those reports. It does not say that our norm is better than theirs: the norm is the same,
# and the rest of the training is what differs. That is worth seeing, since differences between
# whole recipes are often as large as those between norms.
#
# What was trained
# ----------------
#
# The settings that the versions do not share, and those that they do.

recipes = [runs[0].recipe.to_dict() for runs in arms.values()]
shared = {
    k: v for k, v in recipes[0].items() if all(recipe[k] == v for recipe in recipes)
}
for key in (
    "num_groups",
    "seed",
):  # group norm alone reads the groups; every run has its seed
    shared.pop(key, None)
rows = [
    (key, *(f"{recipe[key]:g}" for recipe in recipes))
    for key in ("lr", "weight_decay", "l1")
]
groups = (str(r["num_groups"]) if r["norm"] == "group" else "–" for r in recipes)
rows.append(("num_groups", *groups))
print(Table(("setting", *arms), tuple(rows)))
print(f"shared: {', '.join(f'{key} {value}' for key, value in shared.items())}")
devices = {run.environment["device"] for runs in arms.values() for run in runs}
print(f"trained on: {', '.join(sorted(devices))}")

# %%
# What this does not show
# -----------------------
#
# One network, one data set, one batch size. Batch norm is known to suffer when there are few images
# per batch, and group norm was proposed for that case (Wu & He 2018); here every batch is large.
# The learning rates come from a short search. The tests are about other seeds, on these same
# training and test images; other images would be another source of variance, and often a larger one
# (Bouthillier et al. 2021). On CIFAR-10 the fourth seed was added after the first three had been
# compared, so the p-values are somewhat too small; group norm was trained again at the same time,
# with a faster arithmetic. With few seeds, small differences stay undecided, and a decided one says
# that there is a difference, not that it matters to anybody. Group norm is one choice of groups,
# the best of the search: with so few channels in a group it is close to instance norm.
#
# Exercises
# ---------
#
# 1. Train more seeds with ``study(seeds=range(10))``. Which pairs change their verdict?
# 2. Set ``batch_size=8`` and a smaller ``lr`` for batch norm and group norm. Who is ahead now?
# 3. Give group norm the number of groups that makes it layer norm. What else must you change so
#    that the two rows of the table differ by no more than rounding and the seeds explain?
#
# Where to go next
# ----------------
#
# Run all of it yourself in the notebook :doc:`/notebooks/three_models`, or go back to
# :ref:`sphx_glr_auto_examples_plot_205_three_norms.py` and ask why.

import matplotlib.pyplot as plt

plt.show()
