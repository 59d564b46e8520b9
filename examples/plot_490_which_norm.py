"""
Which norm should I use?
========================

One screen of advice, each line with the size that supports it and the page that shows it; where the
evidence stops, and what the literature says about larger networks.

**The question.** You know your batch size, your network and your data. Which norm should stand in
it?
"""

from normstudy.study import contrasts, measured, responses
from normstudy.study.advice import Advice, at_point, between, screen
from normstudy.study.compare import differences
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES
from normstudy.study.sweeps import BLOCKS, MAIN
from normstudy.tables import in_sentence


def sweep(study, setting, only=lambda _: True):
    """Sort the runs of a sweep by a setting, with what was lost."""
    return responses.by(run_study(study), setting, study.diverged, only=only)


main, probed = run_study(STUDIES["main"]), run_study(STUDIES["probed"])
pairs = {d.pair: d for d in differences(main)}
batches = sweep(STUDIES["batch-sizes"], lambda r: r.batch_size)
whole, small = STUDIES["main-on-cifar10"], STUDIES["batch-sizes-full"]
lengthened = responses.joined(run_study(whole), run_study(small))
long = responses.by(lengthened, lambda r: r.batch_size, small.diverged)
many = run_study(STUDIES["norm-last"])["Group norm, 24 groups, activation last"]
groups = {"Groups": {1: main["Layer norm"], 8: main["Group norm"], 24: many}}
survived = responses.highest(sweep(STUDIES["learning-rates"], lambda r: r.lr))
toughest = [arm for arm, lr in survived.items() if lr == max(survived.values())]
others = [lr for arm, lr in survived.items() if arm not in toughest]
at_main = {recipe.lr for recipe in MAIN.values()}
depths = sweep(STUDIES["depths"], lambda r: BLOCKS[r.net], lambda r: r.lr in at_main)
BATCHES, SHORT = "plot_410_batch_sizes", "short trainings only"


def shifted(when, measure):
    """Advise for test images that differ from those of the training."""
    found = {d.pair: d for d in contrasts.pairs(probed, measure)}
    pair, shown = ("Batch norm", "Group norm"), "plot_440_statistics_and_shifts"
    return between(f"test images {when}", found[pair], shown, runs=SHORT)


def at_size(n, arms=("Batch norm", "Group norm")):
    """Advise by trainings of full length, or by short ones, and say which."""
    there = n in long[arms[0]]
    points = long if there else batches
    when = f"{n} image{'s come' if n > 1 else ' comes'} together"
    family = len(points[arms[0]])  # as in the tables of the page
    seeds = min(len(points[arm][n]) for arm in arms)
    runs = f"{seeds} seed{'s' * (seeds > 1)}" if there else SHORT
    return at_point(when, points, arms, n, BATCHES, family=family, runs=runs)


advice = [
    between(
        "128 images come together",
        pairs["Batch norm", "Group norm"],
        "plot_290_findings",
    ),
    *(at_size(n) for n in sorted(batches["Batch norm"], reverse=True) if n < 128),
    between(
        "the norm may not look at other images",
        pairs["Group norm", "Layer norm"],
        "plot_290_findings",
    ),
    Advice(
        when="it is group norm",
        take=" or ".join(f"{x:g}" for x in sorted(contrasts.unbeaten(groups, "Groups")))
        + " groups",
        evidence=f"{contrasts.behind_best(groups, 'Groups')}; 8 groups less one of each channel: "
        f"{contrasts.size(pairs['Group norm', 'Instance norm'])}",
        shown="plot_420_groups",
    ),
    between(
        "you would rather do without a norm",
        pairs["Batch norm", "No norm"],
        "plot_290_findings",
    ),
    between(
        "the same, and it may not look at other images",
        pairs["Group norm", "No norm"],
        "plot_290_findings",
    ),
    at_point(
        "you would rather do without one, with 16 residual blocks and the rates of 4",
        depths,
        ("Batch norm", "No norm"),
        16,
        "plot_430_rates_and_depth",
        runs=SHORT,
    ),
    Advice(
        when="the learning rate cannot be searched, and may be too high",
        take=" or ".join(map(in_sentence, toughest)),
        evidence=f"no seed lost up to {max(survived.values()):g}, the highest tried; "
        f"the others up to {max(others):g} at most",
        shown="plot_430_rates_and_depth",
        runs=SHORT,
    ),
    shifted("come singly, of less contrast", measured.shifted("contrast")),
    shifted("come singly, and are brighter", measured.shifted("brightness")),
    shifted("come singly, and are noisier", measured.shifted("noise")),
    shifted(
        "are any of these, in batches that batch norm takes its statistics from",
        measured.SHIFTED_TOGETHER,
    ),
]
print(screen(advice))

# %%
# **You will see** how to read these lines, what the runs here say nothing about, and the numbers of
# others for larger networks, marked as theirs.
#
# How to read the lines
# ---------------------
#
# Every line that fits your case counts. "Take" is not an opinion: it names the arm whose interval
# is clear of zero, and where the interval holds zero, it names both and says that the runs do not
# decide, or that the two are equal within half a point. Three kinds of line have no interval: an
# arm that was lost is no choice, the rates are read off those that were tried, and the numbers of
# groups are compared on their own page.
#
# The numbers are differences of test accuracies in points, with 95% intervals. Those of the main
# study hold for all fifteen pairs at once, and those of the batch sizes for all sizes of that
# length. In the sweeps, the spread is pooled over all points that are not near chance. Short
# trainings have ten epochs and two seeds, those of batch sizes and depths on a fifth of the images.
#
# In such short trainings batch norm is further ahead than at full length, so where a short one
# takes batch norm, a long one need not. With 8 images and with 4, short ones set it ahead, and the
# long ones do not. One group is layer norm: in a short training it is behind, and at full length it
# is not.
#
# The line of single images scores batch norm with its moving averages; with the statistics of the
# image at hand it is level with group norm, on the page that is named. A line of shifted images is
# a mean over several levels; its interval takes the spread of all four arms that were scored on
# such images, and holds for their six pairs.
#
# Penalties are a question of their own, how many zeros for how much accuracy:
# :ref:`sphx_glr_auto_examples_plot_450_penalties.py`. So is who fails where:
# :ref:`sphx_glr_auto_examples_plot_460_hard_images.py`.
#
# What does not depend on accuracy
# --------------------------------
#
# Some reasons are stronger than a point of accuracy, and they are not a matter of chance.
#
# - *Several processes.* Batch norm on each process sees its own images only; group, layer and
#   instance norm compute what one process with all images would:
#   :ref:`sphx_glr_auto_examples_plot_520_several_processes.py`.
# - *Accumulated gradients.* They make no large batch for batch norm:
#   :ref:`sphx_glr_auto_examples_plot_530_accumulation.py`.
# - *Speed in use.* Batch norm can be folded into the convolution in front of it, and then costs
#   nothing; the others cannot. By how much, see below, and why:
#   :ref:`sphx_glr_auto_examples_plot_510_costs.py`.
# - *Half precision.* What eps and large means do there:
#   :ref:`sphx_glr_auto_examples_plot_550_half_precision.py`.
#
# Whether to freeze batch norm's statistics in fine-tuning is not such a reason, but a question for
# a trial: where it was tried here, moving ones were ahead
# (:ref:`sphx_glr_auto_examples_plot_540_frozen.py`). The first reason is plain arithmetic: what a
# norm may look at. Under group norm, what an image becomes is not changed by its neighbours; under
# batch norm it is:

import torch

from normstudy.study.model import make_norm

torch.manual_seed(0)
images = torch.randn(4, 24, 8, 8)
for norm in ("batch", "group", "layer", "instance"):
    layer = make_norm(norm, 24, num_groups=8)
    same = torch.allclose(layer(images)[:1], layer(images[:1]), atol=1e-5)
    print(f"{norm}: one image alone gives the same as in a batch: {same}")
    assert same == (norm != "batch")

# %%
# The times were taken on one machine, case by case in turn (median, lowest and highest of the
# rounds):

from normstudy.study import timings

loops = timings.read(timings.TIMINGS / "loops.json")
for what, ours, theirs in (
    ("a training step in float32", "normstudy", "normstudy"),
    ("a training step in bfloat16", "normstudy in bfloat16", "normstudy in bfloat16"),
    ("a float32 answer, batch norm folded", "evaluation", "evaluation, folded"),
):
    over, under = (ours, "Group norm"), (theirs, "Batch norm")
    if over in loops.seconds:  # bfloat16 is timed where a processor is fast in it
        ratio, low, high = loops.ratio(over, under)
        print(f"{what}: group / batch norm {ratio:.2f} ({low:.2f} to {high:.2f})")

# %%
# The decision in a few lines
# ---------------------------
#
# How accurate is each arm of the main study? The list above is about differences, and a difference
# may be sure and small.

from normstudy.study import summaries

print(summaries.accuracies(main))
print(f"Chance level: 10%. Test images: {main['Batch norm'][0].num_scored:,}.")

# %%
# Whether two of these intervals overlap says nothing of the difference between two arms;
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` has the pairs, with intervals of their own. And
# a difference of a few tenths, though it may be decided, is small beside what fits your batches,
# your hardware and your code. Batch norm with an L1 penalty is not in the list above, since at its
# learning rate batch norm without one is equal to it within half a point
# (:ref:`sphx_glr_auto_examples_plot_450_penalties.py`).
#
# Theirs: larger networks
# -----------------------
#
# The runs here stop at small networks (fewer than 50,000 parameters, with 16 blocks three times as
# many), images of 32x32 pixels, and 20 epochs. These are numbers of others, for ResNet-50 on
# ImageNet:

from normstudy.study.literature import PRECISE, WU_HE_BATCHES, WU_HE_NORMS

for published in (WU_HE_NORMS, WU_HE_BATCHES, PRECISE):
    print(published.table(), published.source, sep="\n", end="\n\n")
print(WU_HE_BATCHES.sentence("32", "4"))

# %%
# In the second table, group norm is ahead from 8 images down; at full length here it is with 4, by
# less than there. The networks differ five hundredfold in size, and theirs add up the gradients of
# eight devices, so that ghost batches come nearer to them
# (:ref:`sphx_glr_auto_examples_plot_410_batch_sizes.py`). Transformers are outside of all of this:
# they have layer norm over the features of each token, that is, over a different set of numbers
# from layer norm on feature maps.
#
# What this does not show
# -----------------------
#
# Advice from one network on one data set is a beginning. Other data, longer trainings, other
# optimizers and larger networks can change the order; the literature above is there to show where.
# Each arm has its own learning rate, searched in the same way; the number of groups and the
# strength of the L1 penalty were searched besides. And a list of lines hides that a case may fit
# two of them.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. Which lines of the list are decided by these runs?
# 2. How many seeds would the line of four images need for an interval of half a point either way?
# 3. Your batches hold 8 images on each of 4 devices. Which table is yours, with and without
#    synchronized statistics?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       open_ones = [a.when for a in advice if "not decided" in a.take]
#       print(f"{len(advice) - len(open_ones)} of {len(advice)}; open: {open_ones}")
#       assert not any(a.take.endswith(" norm") for a in advice if a.when in open_ones)
#
#    The others say what is not known, and leave you free.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from math import ceil
#
#       from scipy.stats import norm
#
#       sd = contrasts.pooled(long).sd
#       quantile = norm.ppf(1 - 0.05 / (2 * len(long["Batch norm"])))  # for all sizes
#       needed = ceil(2 * (quantile * sd / 0.5) ** 2)
#       print(f"about {needed} of each arm, at a standard deviation of {sd:.2f}")
#       assert quantile * sd * (2 / needed) ** 0.5 <= 0.5
#
#    That takes the spread of all sizes, most of it from batches of 128; with four it may be
#    another. And where a difference is much larger than its interval is wide, no narrower one is
#    needed.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       ghosts = sweep(STUDIES["ghost-batches"], lambda r: r.ghost_batch)["Batch norm"]
#       print(f"over 8 of 128 images: {responses.said(ghosts[8])}")
#       print(f"over all of 32: {responses.said(batches['Batch norm'][32])}")
#       assert 8 in ghosts and 32 in batches["Batch norm"]
#
#    With synchronization, that of batches of 32. Without it, each mean runs over 8 images inside a
#    step of 32: that is a ghost batch, and not a batch of 8, whose steps are smaller. The nearest
#    one here has parts of 8 in a step of 128.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_110_one_formula.py` has all norms in one formula, and
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` the findings of the main study.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
