"""
Which images does each norm get wrong?
======================================

The errors of all runs of the main study: images that every run gets wrong, that one norm alone gets
wrong, classes, confusions, confidence, and ensembles of two.

**The question.** Is an image hard for every norm or for one, are classes treated differently, and
do two norms help each other more than two seeds?
"""

from normstudy.study import agreement, hardness, mistakes, pictures, votes
from normstudy.study.data import load
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES
from normstudy.tables import in_sentence

study = STUDIES["main"]
arms, images = run_study(study), load(study.data)
single = {f"{arm} {run.recipe.seed}": run for arm in arms for run in arms[arm]}
all_runs = mistakes.overlap(single, images)
chance = all_runs.expected_all_wrong
print(
    f"In short: {all_runs.all_wrong:,} of {len(images.test):,} test images are wrong in all of "
    f"{len(single)} runs; independent errors would leave",
    f"{chance:.1g}." if chance > 0.01 else "practically none.",
)
without = {arm: runs for arm, runs in arms.items() if not runs[0].recipe.l1}
print(hardness.alone_in_short(without, images))
kappas = agreement.kappas(arms, images)
print("Over all mistakes,", agreement.in_short(kappas, arms))
together = agreement.ensembles(arms, images)
print(agreement.ensembles_in_short(together, arms))
print(hardness.class_shares_in_short(without, images))

# %%
# **You will see** the images that are wrong most often, counts of what only one norm gets wrong,
# agreement within and between norms, accuracy by class, confusion matrices, reliability of the
# confidences, and ensembles of two.
#
# Wrong in every run
# ------------------
#
# One picture of ten confident errors belongs to one seed. Counted over all runs of all arms, what
# remains belongs to the images, or to this network: ten that no training gets right, or the fewest
# do, whatever the norm. Of images that are wrong equally often, those come first whose wrong
# answers are given with the most confidence.

hard = hardness.most_often_wrong(arms, images)
most = hardness.grid(
    hard,
    images,
    name="hard-images",
    title="Wrong whatever the norm",
    note="Wrong in the most runs of all arms, and with the most confidence.",
)

# %%
# Below each image are its class, the wrong answer that most runs give, and the number of runs that
# get it wrong. Where nearly all give the same answer, look for what the image shares with that
# class.
#
# Are these images labelled correctly? Northcutt et al. (2021) showed five people each of the 275
# test images whose labels their program doubted. The table says what they saw, where they were
# asked about one of the ten; the line below it counts the votes on all images that most seeds of
# every arm get wrong.

print(votes.beside(hard, images))
print(votes.in_short(hardness.doubtful(arms, images), images))

# %%
# That no run gets an image right does not show that its label is wrong: of the images that people
# voted on, most kept their label. The labels of the others were not doubted by that program, and
# nobody was asked.
#
# Wrong with one norm
# -------------------
#
# The clearest sign that norms have errors of their own would be images that one of them gets wrong
# with every seed and no other arm with any. The table counts both kinds. Batch norm with a penalty
# is left out here: it is the same norm, and would hide whatever batch norm alone gets wrong.

print(hardness.kinds(without, images))

# %%
# The last column but one counts what an arm cannot do; the last, what it alone cannot do, and no
# other arm has any trouble with. Ten seeds are a strict test: an image that is wrong nine times in
# ten counts in neither. A softer criterion is the distance: how often one arm is wrong, minus how
# often the worst of the others is. The images where it is largest for group norm, with how often
# the next arm is wrong:

alone = hardness.wrong_only_with("Group norm", without, images)
only = hardness.grid(
    alone,
    images,
    name="only-group-norm",
    title="Wrong with group norm above all",
    note="Largest lead over the next arm.",
)

# %%
# Do not explain what the pictures have in common before knowing what chance gives. Among thousands
# of images, some lead by chance. A simulation shows how many: deal the runs of each seed out anew
# to the arms, as if the names meant nothing, and look for the largest leads again.

print(hardness.leads(without, images))

# %%
# A lead that some arm has in more than one deal of twenty asks for no explanation, and a picture of
# such images shows nothing about the norm. The arm with the largest lead of all:

own = max(
    without, key=lambda arm: hardness.wrong_only_with(arm, without, images)[0].margin
)
of_its_own = hardness.grid(
    hardness.wrong_only_with(own, without, images),
    images,
    name="only-largest-lead",
    title=f"Wrong with {in_sentence(own)} above all",
    note="Largest lead over the next arm, of all arms.",
)

# %%
# This does not show that they are errors of its own: an arm that makes many more mistakes than the
# others leads for that alone, and dealing out the runs anew does not allow for it.
#
# Agreement within and between norms
# ----------------------------------
#
# Cohen's kappa over unequal seeds: 1 for the same errors, 0 for errors that coincide by chance.

print(agreement.table(kappas))

# %%
# Rows with "two seeds" are the measure for all others: two trainings of one norm. The columns on
# the right say by how much two arms agree less; the intervals leave out one seed at a time, and
# hold for all pairs at once. Arms of unequal accuracy lose some agreement for that alone, so those
# of nearly the same accuracy tell most: group and layer norm, which have the same learning rate
# too. Most other pairs differ in their rate as well. That a rate and a penalty alone set two arms
# no further apart than chance can be seen in batch norm with and without a penalty. Compare the
# least alike pair with the rows of two seeds: most of the agreement between two seeds is there
# between any two norms.
#
# Class by class
# --------------
#
# The accuracy of each class, with the 95% interval of its mean over the seeds. Chance is 10%.

print(hardness.class_accuracies(arms, images))

# %%
# The first column of numbers is the distance from the best arm to the worst, for this class. The
# second says what it would be if each arm made its additional mistakes in all classes alike. The
# distance holds the noise of six means, and what is expected does not. Sixty intervals stand here,
# so some three of them miss the true mean by chance. So the question is put anew, without the arm
# with a penalty: does an arm make another part of its errors in a class than the other arms do? The
# intervals hold for all of these arms and classes at once:

print(hardness.class_shares_in_short(without, images))

# %%
# So classes are hard or easy in much the same proportions, whatever the norm. Where the answers go,
# for batch norm, over all its seeds, as scikit-learn draws it:

matrix = hardness.confusion_matrix("Batch norm", arms["Batch norm"], images)

# %%
# And for group norm:

of_group_norm = hardness.confusion_matrix("Group norm", arms["Group norm"], images)

# %%
# A row sums to 100%. Colours end at three times the largest confusion, so that those can be told
# apart. Look for pairs that are darker in both directions. The most frequent confusions of each
# arm, as means over its seeds:

print(mistakes.confusions(arms, images))

# %%
# Confidence
# ----------
#
# How often is an answer of a given confidence right?

trust = pictures.reliability_diagram(arms, images, name="reliability-main")
print(mistakes.calibration(arms, images))

# %%
# Below zero a network is overconfident. The expected calibration error averages the distance over
# all answers (Guo et al. 2017). It is not zero for a network that is right exactly as often as it
# says, since each bin holds some chance: such a network would have the error of the column beside
# it. The signed column says which way an arm errs. Instance norm is underconfident and all others
# overconfident, which the error alone does not tell apart. Of answers given with about 99%
# confidence, one in a hundred should be wrong: the last column says how many are.
#
# Two networks that answer together
# ---------------------------------
#
# If two norms made more different errors than two seeds, they would help each other more. Here two
# runs of unequal seeds answer together, and the surer one counts. (Runs keep the probability of
# their answer alone, so the ten probabilities cannot be averaged.)

print(agreement.ensemble_table(together))

# %%
# A pair of norms is compared with two seeds of each, as a mean of both; the intervals leave out one
# seed at a time, and hold for all pairs at once. For two arms of nearly equal accuracy that mean
# says whether unequal norms help each other. Of two unequal ones the better is mostly the surer as
# well, and its answers count more often: such a pair is ahead of the mean for that alone. Whether
# to use a pair is another question, and the last columns compare it with two seeds of the better
# arm.
#
# What this does not show
# -----------------------
#
# Why an image is hard is not answered by counting. The counts are about one network of fewer than
# 50,000 parameters, and say nothing about larger ones. All intervals are over seeds, on these test
# images; what other images would add, :ref:`sphx_glr_auto_examples_plot_290_findings.py` says. And
# a mean of probabilities might gain more than the surer of two answers.
#
# Exercises
# ---------
#
# All three use the runs above and train nothing.
#
# 1. With fewer seeds, how large are the largest leads by chance?
# 2. How many images are wrong with exactly one run of all?
# 3. In which class do the arms differ by more than their error counts predict?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       for count in (1, 2, len(arms["Group norm"])):
#           fewer = {arm: runs[:count] for arm, runs in without.items()}
#           largest = hardness.chance_leads(fewer, images)[..., 0].max(axis=1)
#           print(f"seeds: {count}, largest leads: {largest.min():.0%} to {largest.max():.0%}")
#           assert count > 1 or (largest == 1).all()
#
#    With one seed, chance alone gives images that only one arm gets wrong: a picture of those shows
#    nothing.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       wrong = sum(
#           mistakes.is_wrong(run, images).astype(int) for runs in arms.values() for run in runs
#       )
#       print(f"{(wrong == 1).sum()} of {len(wrong):,}; in none {(wrong == 0).sum():,}")
#       assert (wrong == len(single)).sum() == all_runs.all_wrong
#
#    Between those that no run gets wrong and those that all do lies everything: hardness is a
#    matter of degree.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       rows = hardness.class_accuracies(arms, images).rows
#       excess = {row[0]: float(row[1]) - float(row[2]) for row in rows}
#       most = max(excess, key=excess.get)
#       print(f"{most}: {excess[most]:+.1f} points")
#
#    The class with the widest range is another one, which has the most errors. And the largest of
#    ten excesses lies above zero by chance as well.
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
