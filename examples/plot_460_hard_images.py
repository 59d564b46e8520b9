"""
Which images does each norm get wrong?
======================================

The errors of all runs of the main study: images that every run gets wrong, that one norm alone gets
wrong, classes, confusions, confidence, and pairs of networks that answer together.

**The question.** Is an image hard for every norm or for one, are classes treated differently, and
do two norms help each other more than two seeds?
"""

from statistics import mean

from normstudy.study import agreement, hardness, mistakes, pictures
from normstudy.study.data import load
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["main"]
arms, images = run_study(study), load(study.data)
everywhere, num_runs, chance = hardness.in_all(arms, images)
print(
    f"In short: {everywhere:,} of {len(images.test):,} test images are wrong in all of"
)
print(f"{num_runs} runs; independent errors would leave {chance:.1g}.")
print(agreement.in_short(arms, images))
together = hardness.ensembles(arms, images)
(one, other), best = max(together.items(), key=lambda item: mean(item[1]))
partner = "another seed of it" if one == other else other
print(f"The best pair of networks is {one} with {partner}: {mean(best):.2f}% together.")

# %%
# **You will see** the images that are wrong most often, counts of what only one norm gets wrong,
# agreement within and between norms, accuracy by class, a confusion matrix, reliability of the
# confidences, and ensembles of two.
#
# Wrong in nearly every run
# -------------------------
#
# One picture of ten confident errors belongs to one seed. Counted over all runs of all arms, what
# remains belongs to the images: ten that the fewest trainings get right, whatever the norm. Of
# images that are wrong equally often, those come first whose wrong answers are given with the most
# confidence.

hard = hardness.most_often_wrong(arms, images)
most = hardness.grid(
    hard,
    images,
    name="hard-images",
    title="Wrong in most runs",
    note="Wrong in most runs of all arms, and with the most confidence.",
)

# %%
# Under each image stand its class, the wrong answer that most runs give, and in how many runs it is
# wrong. Where nearly all give the same wrong answer, look for what the image shares with that
# class; some labels can be doubted.

print(hardness.listing(hard))

# %%
# Wrong with one norm
# -------------------
#
# If norms had errors of their own, there would be images that one of them gets wrong with every
# seed and no other arm with any. The table counts both kinds.

print(hardness.kinds(arms, images))

# %%
# Compare the last two columns. The first of them counts what an arm cannot do; the second, what no
# other arm has any trouble with. Ten seeds are a strict test: an image that is wrong nine times in
# ten counts in neither. Softer is a list of the images with the largest distance: how often one arm
# is wrong, minus how often the worst of the others is. For group norm:

alone = hardness.wrong_only_with("Group norm", arms, images)
only = hardness.grid(
    alone,
    images,
    name="only-group-norm",
    title="Wrong with group norm above all",
    note="Largest lead over the next arm.",
)
if alone:
    print(
        f"largest lead: {alone[0].margin:.0%} of the seeds, smallest: {alone[-1].margin:.0%}"
    )

# %%
# Do not explain what the pictures have in common before knowing what chance gives. Among thousands
# of images, some lead by chance: take any arm's runs apart by seed, and each half has images of its
# own. The first exercise does that.
#
# Agreement within and between norms
# ----------------------------------
#
# Cohen's kappa over unequal seeds: 1 for the same errors, 0 for errors that coincide by chance.

print(agreement.table(arms, images))

# %%
# Rows with "two seeds" are the measure for all others: two trainings of one norm. The columns on
# the right say by how much two arms agree less; the intervals leave out one seed at a time, and
# hold for all pairs at once. Arms of unequal accuracy lose some agreement for that alone, so those
# of nearly the same accuracy tell most. What is left of kappa is what all have in common.
#
# Class by class
# --------------
#
# The accuracy of each class, with the 95% interval of its mean over the seeds. Chance is 10%.

print(hardness.class_accuracies(arms, images))

# %%
# The column at the right is the distance from the best arm to the worst, for this class. If all are
# about the distance between the arms over all images, no norm has a class of its own. Sixty
# intervals stand here, so some three of them miss their mean by chance.
#
# Where the answers go, for batch norm, over all its seeds, as scikit-learn draws it:

matrix = hardness.confusion_matrix("Batch norm", arms["Batch norm"], images)

# %%
# A row sums to 100%. Off the diagonal, look for pairs that are dark in both directions. The most
# frequent confusions of each arm, from its first seed:

print(mistakes.confusions({arm: runs[0] for arm, runs in arms.items()}, images))

# %%
# Confidence
# ----------
#
# How often is an answer right that was given with so much confidence?

trust = pictures.reliability_diagram(arms, images, name="reliability-main")
print(mistakes.calibration(arms, images))

# %%
# Below the dotted line a network is more sure than right. The expected calibration error averages
# the distance over all answers (Guo et al. 2017). Compare it between arms only beside the accuracy:
# a network that is right more often may also be surer.
#
# Two networks that answer together
# ---------------------------------
#
# If two norms made more different errors than two seeds, they would help each other more. Here two
# runs of unequal seeds answer together, and the surer one counts. (Runs keep the probability of
# their answer alone, so the ten probabilities cannot be averaged.)

print(hardness.ensemble_table(together, arms))

# %%
# The last column is the gain over the better of the two alone. A pair of unequal arms starts with a
# handicap: one of them is worse. Compare a pair of norms with the two-seeds rows of both.
#
# What this does not show
# -----------------------
#
# Why an image is hard is not answered by counting. The counts are about one network of fewer than
# 50,000 parameters, and say nothing about larger ones. The test images are the same for
# all arms, so that nothing here says how the arms would rank on others;
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` has intervals for that. And a mean of
# probabilities might gain more than the surer of two answers.
#
# Exercises
# ---------
#
# All three use the runs above and train nothing.
#
# 1. Split the seeds of group norm in two halves. How large is the largest lead of one over the
#    other, without any difference of norms?
# 2. How many images are wrong with exactly one run of all?
# 3. Which class has the largest distance between the arms?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       runs = arms["Group norm"]
#       halves = {"one half": runs[::2], "other half": runs[1::2]}
#       lead = hardness.wrong_only_with("one half", halves, images)
#       print([f"{h.margin:.0%}" for h in lead])
#       assert all(0 < h.margin <= 1 for h in lead)
#
#    That is what chance gives, with half as many seeds a side and one rival instead of five. A lead
#    between norms has to be larger to mean something.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       wrong = sum(
#           mistakes.is_wrong(run, images).astype(int) for runs in arms.values() for run in runs
#       )
#       print(f"{(wrong == 1).sum()} of {len(wrong):,}; in none {(wrong == 0).sum():,}")
#       assert (wrong == num_runs).sum() == everywhere
#
#    The rest are images that some runs get wrong and others do not: hardness is a matter of degree.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       rows = hardness.class_accuracies(arms, images).rows
#       widest = max(rows, key=lambda row: float(row[-1]))
#       print(widest[0], widest[-1])
#       assert float(widest[-1]) >= 0
#
#    A class with few sure cues leaves most room for the arms to differ. Before calling it a
#    finding, look at the intervals in its row.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_270_mistakes.py` shows single runs of the main study, with ten
# confident errors of each norm.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
