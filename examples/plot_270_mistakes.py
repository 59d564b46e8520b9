"""
Do different norms make different mistakes?
===========================================

Misclassified test images of three arms, with the true class, the answer and the confidence, and a
count of how far arms and seeds fail on the same images.

**The question.** What do the mistakes look like, do different norms make different ones, and can
the confidence of an answer be trusted?
"""

from normstudy.study import agreement, mistakes, pictures
from normstudy.study.data import load
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["main"]
arms, images = run_study(study), load(study.data)
kappas = agreement.kappas(arms, images)
print("In short:", agreement.in_short(kappas, arms))
print(mistakes.calibration_in_short(arms, images))

# %%
# **You will see** three pictures of ten mistakes each, a table of the most frequent confusions, a
# comparison of whole sets of mistakes, which says more than any ten images can, and how often an
# answer of a given confidence is right.
#
# Which ten?
# ----------
#
# A network may make many more mistakes than ten, so showing ten is a choice, and the choice has to
# be named. Here it is the ten wrong answers that the network gave with the highest confidence,
# after the last epoch, from the first seed. (Where fewer are shown, there were no more.) They are
# the most instructive: either the image is misleading, or its label is doubtful, or the network has
# learned something that is not so.
#
# Batch norm with L1
# ------------------

first = {arm: runs[0] for arm, runs in arms.items()}
batch_l1 = pictures.mistakes("Batch norm + L1", first["Batch norm + L1"], images)

# %%
# Read the ten from left to right and from top to bottom, in falling confidence. Ask of each: would
# you have given the true answer at this size? Where the answer is understandable, look for what the
# two classes share, a background or an outline. The confidence is the probability that the network
# gave its wrong answer.
#
# Group norm
# ----------

group = pictures.mistakes("Group norm", first["Group norm"], images)

# %%
# The same choice for group norm. Images that appear in both pictures, under the same number, fooled
# two networks with different norms, which had their first weights and the order of the images in
# common. Those are candidates for a wrong label or for an image that shows something else than its
# class says.
#
# Layer norm
# ----------

layer = pictures.mistakes("Layer norm", first["Layer norm"], images)

# %%
# And for layer norm. Before you see a pattern in the differences between the three pictures, keep
# in mind how they were made: each shows the ten most confident of many mistakes, and another seed
# of the same arm would show other ones. To compare arms, all mistakes have to be counted.
#
# Which classes are confused?
# ---------------------------
#
# For each arm, the table gives the three most frequent pairs of a true class and a wrong answer, in
# test images: means over the seeds. A guess gets 90% wrong.

print(mistakes.confusions(arms, images))

# %%
# If the same pairs lead in every row, then what is hard lies in the images more than in the norm. A
# pair that is frequent in one row only would be a difference between arms, if it were larger than
# what seeds differ by.
#
# Do the arms fail on the same images?
# ------------------------------------
#
# Two networks always have some mistakes in common, and the more they make, the more they share by
# chance alone. Cohen's kappa takes this out: it is 0 for independent mistakes and 1 for the same
# ones. To know what to expect from norms that do not differ at all, we compare two seeds of one
# arm, and two arms over unequal seeds as well. So no pair has the advantage of having begun from
# the same weights and seen the same batches.

print(agreement.table(kappas))

every = mistakes.overlap(first, images)
print(
    f"Wrong in all {len(first)} arms, first seed: {every.all_wrong:,} images. Independent "
    f"mistakes: {every.expected_all_wrong:.1f}. Wrong in any: {every.any_wrong:,}."
)

# %%
# The rows with "two seeds" are the measure: two networks with one norm, trained apart. The columns
# on the right say by how much two arms agree less than that, with an interval from leaving out one
# seed at a time, for all pairs at once. The arm with L1 and the one without have the same norm, so
# they show what there is to see where norms do not differ. A part of what other pairs lose is their
# accuracy: two networks of which one makes more mistakes cannot make the same ones. So look at arms
# of nearly the same accuracy first. How large is the influence? Compare these numbers with kappa
# itself: most of the agreement is there whatever the norm, because some images are simply harder
# than others.
#
# Can the confidence be trusted?
# ------------------------------
#
# The pictures show the most confident mistakes, and could give the impression that confidence means
# little. To see whether it does, all answers have to be looked at, the right ones too. The figure
# sorts them by their confidence, and shows by how much more often they are right than it says.

trust = pictures.reliability_diagram(arms, images)

# %%
# At zero, an answer given with a confidence of 80% is right in 80 of 100 cases. A curve below zero
# belongs to networks that are too sure of themselves. The label is the expected calibration error
# (Guo et al. 2017): the distance between confidence and accuracy, averaged over the answers. Guo et
# al. found 3 to 5 points for the networks that they trained on CIFAR-10, most of them far larger
# than this one.

print(mistakes.calibration(arms, images))

# %%
# The first column of numbers says which way the networks are wrong about themselves. A network that
# is right exactly as often as it says has a calibration error too, since each bin holds few enough
# answers: it would be that of the next column. The last column asks about the answers that were
# given with about 99% confidence. One in a hundred of them should be wrong. So ten confident
# mistakes are no sign yet of a confidence that means nothing: some are to be expected wherever
# there are hundreds of such answers.
#
# What this does not show
# -----------------------
#
# Ten chosen images are illustrations and no evidence. Kappa says how far mistakes coincide, and not
# what is different about those that do not. And no picture tells *why* an answer was given: that a
# background looks suspicious to us does not mean that the network used it. The networks are
# calibrated on images like those that they were trained on; on others they may be sure and wrong.
#
# Exercises
# ---------
#
# All three use the runs above and train nothing.
#
# 1. Draw the ten mistakes of lowest confidence. How unsure can an answer be?
# 2. How many of the ten most confident mistakes of batch norm stay when the seed changes?
# 3. Compute kappa for every two arms over *equal* seeds. Do the same first weights and batches make
#    the mistakes more alike?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       run = first["Batch norm"]
#       unsure = pictures.mistakes("Batch norm", run, images, order="least confident")
#       lowest = mistakes.find_mistakes(run, images, order="least confident")[0]
#       print(f"{lowest.true_name} as {lowest.predicted_name}, {lowest.confidence:.0%}")
#       assert lowest.confidence > 1 / len(images.classes)
#
#    With ten classes, the most probable one has more than 10% even if all are nearly equal, and the
#    least confident mistake is not far above.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       ten, other = (
#           {found.index for found in mistakes.find_mistakes(run, images)}
#           for run in arms["Batch norm"][:2]
#       )
#       print(f"{len(ten & other)} of {len(ten)} stay")
#       assert len(ten & other) < (len(ten) / 2 if study.data == "cifar10" else len(ten))
#
#    Less than half. Most of what a picture of ten shows belongs to the seed.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       from itertools import combinations
#       from statistics import mean
#
#       more = {}
#       for (one, a), (other, b) in combinations(arms.items(), 2):
#           equal = mean(agreement.kappa(x, y, images) for x, y in zip(a, b, strict=True))
#           unequal = mean(value for *_, value in kappas[one, other])
#           more[f"{one} and {other}"] = equal - unequal
#       most = max(more, key=more.get)
#       print(f"{sum(value > 0 for value in more.values())} of {len(more)} pairs agree more,")
#       print(f"by {mean(more.values()):.3f} on average, by {more[most]:.3f} at most: {most}")
#       # the digits leave too few mistakes to tell
#       assert max(map(abs, more.values())) < (0.05 if study.data == "cifar10" else 0.5)
#
#    A little: on CIFAR-10 every pair does, and most of all the two arms that have batch norm.
#    Twenty epochs do not quite wipe out a common beginning, and so the page compares unequal seeds.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_280_penalty.py` looks at the one setting that is more than a
# setting, the L1 penalty.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
