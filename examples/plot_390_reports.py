"""
What the public reports say together
====================================

Thirty-six networks trained by others, one seed each, and what can be learned from all of them at
once that none of them could show.

**The question.** Do the reports agree on which norm is ahead, and does their agreement, or their
quarrel, come from the norms?
"""

from normstudy.study import consensus
from normstudy.study.reports import REPORTS, reports_on
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES
from normstudy.tables import number

found = reports_on("cifar10")
pairs = [
    consensus.paired(found, "Batch norm", "Group norm"),
    consensus.paired(found, "Batch norm", "Layer norm"),
    consensus.paired(found, "Group norm", "Layer norm"),
]
print("In short, on CIFAR-10:")
print(*pairs, sep="\n")
print(consensus.in_short(pairs, run_study(STUDIES["main"])))

# %%
# **You will see** how often each norm is ahead, how far the reports scatter beside the seeds of one
# network, how much of it goes with size, and the list of reports itself.
#
# Where the numbers come from
# ---------------------------
#
# This study is the assignment of a course: one small network, fewer than 50,000 parameters on
# CIFAR-10 or 10,000 on MNIST, at most 20 epochs, and versions that differ in the norm. Students
# have published theirs. In November 2026 we searched public repositories for the text of the
# assignment and took down what each report printed: the highest test accuracy of each version, and
# the size of the network. Names are left out. Nothing was trained again for this page.
#
# Every number in the list is one seed, at the epoch that was best on the test images. A network
# that did not get beyond chance is left out of everything below.

print(f"networks: {len(REPORTS)}; on CIFAR-10, trained: {len(found)}")
print(f"left out: {', '.join(report.name for report in REPORTS if not report.trained)}")

# %%
# Who is ahead, and how often
# ---------------------------
#
# The sign test asks nothing but who is ahead: if a coin decided, how often would it favour one side
# as clearly as this? It needs no normal distribution, and one wild report cannot sway it.

print(consensus.summary(pairs))

# %%
# Read the column of the sign test first. That batch norm is ahead of the other two is too one-sided
# for a coin, even if some networks are copies of others. Between group norm and layer norm the
# reports, taken together, do not decide. Those who found group norm ahead and those who found layer
# norm ahead may have seen the same thing: one draw from a wide distribution. The intervals of the
# means hold for one pair each, and for independent reports.
#
# How wide is it for one network?
# -------------------------------
#
# Reports differ in network, learning rate, groups, augmentation and seed. How much of the scatter
# do seeds alone make? Our runs of one network say so: take one seed of the one norm and another
# seed of the other, as two people would have done, and subtract.

study = STUDIES["main"]
arms = run_study(study)
spreads = consensus.spreads(pairs, arms)

# %%
# Each pair has two lines: above, a dot for every report; below, a dot for every two seeds of ours.
# The bar of the reports is the interval of their mean, for that pair alone; ours holds for all
# pairs of our study at once. The numbers at the right give the mean and the standard deviation of
# the dots, and the table below says how many times wider the reports scatter.

print(consensus.scatter(pairs, arms))

# %%
# If their seeds scatter as ours do, luck with the seed is the smaller part: the variance that it
# explains is one over the square of the number in the table. The rest is everything else: the
# network, the settings, whether each norm got a learning rate of its own, how the epoch was picked,
# and errors. Which of these it is, the list cannot say. The same norm is a different arm in every
# report. An average over them is an answer to the question "what will a student see who tries
# both?", and not to "which norm is better?".
#
# Does size explain it?
# ---------------------

from normstudy.study.data import load
from normstudy.study.model import layer_table
from normstudy.study.train import build

images = load(study.data)
net = build(arms["Batch norm"][0].recipe, images)
parameters = sum(row.parameters for row in layer_table(net, images.size))
figure = consensus.sizes(found, arms, parameters)

print(consensus.by_size(found, ("Batch norm", "Group norm", "Layer norm")))

# %%
# With batch norm, accuracy goes with size. With group and layer norm that is not shown; whether the
# norms differ in it was not tested. Even among the larger half, networks with the same norm differ
# by several points, and with layer norm three of the very same number of parameters do:

same = [r for r in found if r.parameters.get("Layer norm") == 47_818]
print(consensus.listing(same))

# %%
# Our own means are no report: they are averages over seeds after the last epoch, which nobody
# picked. Between the large marks and the small ones lies everything but size and norm: network,
# augmentation, a search for each norm, the rate's course.
#
# MNIST: group against layer norm, a few images
# ---------------------------------------------

on_mnist = reports_on("mnist")
print(consensus.listing(on_mnist))
both = consensus.paired(on_mnist, "Group norm", "Layer norm")
values = ", ".join(number(value, 2, sign=True) for value in both.values)
print(f"\nGroup minus layer norm: {values} points.")
print("One test image of 10,000 is 0.01 points.")

# %%
# Of ten thousand test images, group norm and layer norm differ by six at most in five of these
# reports. From one seed of each, nothing can be concluded at this distance.
#
# The reports on CIFAR-10
# -----------------------

print(consensus.listing(found))

# %%
# What a report is worth with other seeds can be tried. Four more reports, which are not in the
# list, are repeated layer by layer and with their own settings: on MNIST B, whose schedule never
# rises, on :ref:`sphx_glr_auto_examples_plot_310_report_b.py`, D on
# :ref:`sphx_glr_auto_examples_plot_330_report_d.py`, and E, whose norms do not have the same
# penalties, on :ref:`sphx_glr_auto_examples_plot_340_report_e.py`; and on CIFAR-10 C, which trained
# one network under three names, on :ref:`sphx_glr_auto_examples_plot_320_report_c.py`. What the
# budget of the reports on MNIST allows is on :ref:`sphx_glr_auto_examples_plot_350_same_budget.py`.
# Report A names its arms, group norm, layer norm and batch norm with L1, but neither its network
# nor its settings. What can be repeated of it are the arms: they are three of our main study's
# (``normstudy study study-a``).

# %%
# What this does not show
# -----------------------
#
# Reports that were never published, or that our search did not find. People publish what looks
# finished, and a version that failed may have been tuned until it did not. The reports are not
# independent: a course shares its code, and some networks are copies of each other, which makes the
# sign test too sure of itself. Every number is the best epoch on the test images, so all of them
# are too high; by how much depends on how restless the curve is. Sizes and accuracies are as
# printed and were not checked.
#
# Exercises
# ---------
#
# 1. Leave out every report that has a remark. Does any verdict change?
# 2. How many reports would it take for a sign test to decide between group norm and layer norm, if
#    group norm went on to be ahead in the same share of them?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       plain = [report for report in found if not report.remark]
#       for pair in pairs:
#           again = consensus.paired(plain, *pair.pair)
#           assert (again.p < 0.05) == (pair.p < 0.05)
#           print(again)
#
#    No: batch norm stays ahead, and group norm against layer norm stays open.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from scipy.stats import binomtest
#
#       ahead, behind = pairs[2].counts
#       share, now = ahead / (ahead + behind), ahead + behind
#       open_at = [
#           n for n in range(now, 10 * now) if binomtest(round(share * n), n).pvalue >= 0.05
#       ]
#       print(f"from {max(open_at) + 1} reports on, where there are {now}")
#       assert now in open_at and max(open_at) + 1 < 10 * now
#
#    Counts are whole numbers, so p falls in a zigzag, and is below 0.05 for some smaller numbers
#    already. And then we would know that group norm is ahead more often than not in reports like
#    these, which is less than knowing that it is the better norm.
#
# Where to go next
# ----------------
#
# The same comparisons with one network, several seeds and a search for each norm:
# :ref:`sphx_glr_auto_examples_plot_290_findings.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
