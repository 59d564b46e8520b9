"""
Which norm should I use?
========================

One screen of advice, each line with the size that supports it and the page that shows it; where the
evidence stops, and what the literature says about larger networks.

**The question.** You know your batch size, your network and your data. Which norm should stand in
it?
"""

from normstudy.study import measured, responses
from normstudy.study.advice import between, screen
from normstudy.study.compare import differences
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

main = run_study(STUDIES["main"])
in_main = f"the main study, {len(main['Batch norm'])} seeds"
pairs = {d.pair: d for d in differences(main)}
batches = responses.by(run_study(STUDIES["batch-sizes"]), lambda r: r.batch_size)
small = {
    n: responses.between(batches, ("Batch norm", n), ("Group norm", n)) for n in (4, 32)
}
of_groups = run_study(STUDIES["group-counts"])["Channels per group"]
widths = responses.by({"Group norm": of_groups}, lambda r: r.channels_per_group)
four, one = (widths["Group norm"][n] for n in (4, 1))
(alone,) = differences({"4 channels a group": four, "1 channel a group": one})
probed = run_study(STUDIES["probed"])
shifted = {arm: responses.mean(runs, measured.SHIFTED) for arm, runs in probed.items()}
best_two = {*sorted(shifted, key=shifted.get)[-2:]}
(on_shifted,) = (
    d for d in differences(probed, measured.SHIFTED) if {*d.pair} == best_two
)

advice = [
    between(
        "batches are large",
        pairs["Batch norm", "Group norm"],
        in_main,
    ),
    between("32 images come together", small[32], "How small may a batch be?"),
    between("4 images come together", small[4], "How small may a batch be?"),
    between(
        "the norm may not look at other images",
        pairs["Group norm", "Layer norm"],
        in_main,
    ),
    between("it is group norm", alone, "How many groups?"),
    between(
        "you would rather do without",
        pairs["Batch norm", "No norm"],
        f"{in_main}; Rates, depth and the way downhill",
    ),
    between(
        "test images look different",
        on_shifted,
        "Batch norm in training and in use",
    ),
]
print(screen(advice))

# %%
# **You will see** how to read these lines, where each of them is shown, what the runs here say
# nothing about, and the numbers of others for larger networks, marked as theirs.
#
# How to read the lines
# ---------------------
#
# Take the first line that fits. "Take" is not an opinion: it names the arm whose interval is clear
# of zero, and where the interval holds zero, it names both and says that the runs do not decide.
# The numbers are differences of test accuracies in points, with 95% intervals. Those of the main
# study have ten seeds and hold for all fifteen pairs at once; those of the sweeps have two seeds
# and hold for one pair. The last line sets the two arms beside each other that are best on shifted
# images, batch norm scored with its moving averages; its interval holds for all six pairs.
#
# Where each line is shown
# ------------------------
#
# - Lines 1, 4 and 6: the main study, :ref:`sphx_glr_auto_examples_plot_460_hard_images.py`; depth
#   and learning rates: :ref:`sphx_glr_auto_examples_plot_430_rates_and_depth.py`.
# - Lines 2 and 3: :ref:`sphx_glr_auto_examples_plot_410_batch_sizes.py`.
# - Line 5: :ref:`sphx_glr_auto_examples_plot_420_groups.py`.
# - Line 7: :ref:`sphx_glr_auto_examples_plot_440_statistics_and_shifts.py`.
# - An L1 penalty, and when to penalize scales instead of weights:
#   :ref:`sphx_glr_auto_examples_plot_450_penalties.py`.
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
# - *Speed in use.* Batch norm can be folded into the convolution in front of it and costs nothing;
#   the others cannot: :ref:`sphx_glr_auto_examples_plot_510_costs.py`.
# - *Fine-tuning on few images.* Batch norm has statistics that can be frozen:
#   :ref:`sphx_glr_auto_examples_plot_540_frozen.py`.
# - *Half precision.* What eps and large means do there:
#   :ref:`sphx_glr_auto_examples_plot_550_half_precision.py`.
#
# One reason is plain arithmetic: what a norm may look at. An image alone is not changed by its
# neighbours under group norm, and it is under batch norm:

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
# The decision in a few lines
# ---------------------------
#
# How accurate is each arm of the main study? The list above is about differences, and a difference
# may be sure and small.

from normstudy.study import summaries

print(summaries.accuracies(main))
print(f"Chance level: 10%. Test images: {main['Batch norm'][0].num_scored:,}.")

# %%
# Read the intervals first. Where two of them lie far apart, the choice matters on this network;
# where they touch, take whichever fits your batches, your hardware and your code.
#
# Theirs: larger networks
# -----------------------
#
# The runs here stop at a small network of fewer than 50,000 parameters, images of 32x32 pixels, and
# 20 epochs. These are numbers of others, for ResNet-50 on ImageNet:

from normstudy.study.literature import PRECISE, WU_HE_BATCHES, WU_HE_NORMS

for published in (WU_HE_NORMS, WU_HE_BATCHES, PRECISE):
    print(published.table(), published.source, sep="\n", end="\n\n")
print(WU_HE_BATCHES.sentence("32", "4"))

# %%
# Set the second table beside line 3. Both ask what is lost with four images; the networks differ
# five hundredfold in size. Transformers are outside of all of this: they have layer norm over the
# features of each token, which is another set of numbers than layer norm on feature maps.
#
# What this does not show
# -----------------------
#
# Advice from one network on one data set is a beginning. Other data, longer trainings, other
# optimizers and larger networks can change the order; the literature above is there to show where.
# Each arm has its own learning rate, searched in the same way, and no other setting of its own. And
# a list of lines hides that a case may fit two of them.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. Which lines of the list are decided by these runs?
# 2. How many seeds would line 3 need for an interval of half a point either way?
# 3. Your batches hold 8 images on each of 4 devices. Which line is yours, with and without
#    synchronized statistics?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       decided = [n for n, a in enumerate(advice, 1) if "not decided" not in a.take]
#       print(decided)
#       assert set(decided) <= set(range(1, len(advice) + 1))
#
#    The others say what is not known, and leave you free.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       needed = summaries.seeds_needed([small[4]], 0.5)
#       print(needed)
#       assert len(needed.rows) == 1
#
#    The number rests on the spread of two seeds, which is itself hardly known. And where a
#    difference is much larger than its interval is wide, no narrower one is needed.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       own, together = 8, 4 * 8
#       nearest = {n: min(batches["Batch norm"], key=lambda x: abs(x - n)) for n in (own, together)}
#       print(nearest)
#       assert nearest == {8: 8, 32: 32}
#
#    Without synchronization, that of 8 images, between lines 2 and 3; with it, line 2. The learning
#    rate is that of 32 images both times.
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
