"""
Findings: how much does the norm matter?
========================================

All arms in one table, with intervals, and a verdict on every pair that follows from a test.

**The question.** Which differences between the arms are larger than chance, how large are they, and
what do the runs leave open?
"""

from normstudy.study import figures, findings, summaries
from normstudy.study.compare import differences
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["main"]
arms = run_study(study)
first = run_study(STUDIES["cifar10"])
print(
    "In short, from the best arm down. The date is that of the last training; the first network "
    "is that of an earlier study."
)
print(*findings.steps(arms, first), sep="\n")

# %%
# **You will see** the table of results, the interval of every arm and of every difference, what the
# test decides about each pair, what other settings change, and the settings behind the numbers.
#
# The results
# -----------
#
# Every arm of the study: the same number of epochs, all training images, the last epoch. Behind ±
# stands the standard deviation over the seeds. Training accuracy and training loss are those of all
# training images without augmentation.

print(summaries.results(arms, ["test_accuracy", "train_accuracy", "gap"]))
print()
print(summaries.results(arms, ["test_loss", "train_loss"]))
num_images = arms["Batch norm"][0].num_scored
print(f"Chance level: accuracy 10%, loss 2.303 nats. Test images: {num_images:,}.")

# %%
# First read down the column of test accuracies, where the lines of :numref:`fig-test-accuracy` end,
# then compare the steps in it with the numbers behind ±. Those are of single trainings: for the
# mean, divide them by the root of the number of seeds. The training accuracy and the gap say
# whether an arm that is behind fits worse or generalizes worse.
#
# In pictures
# -----------

intervals = figures.accuracy_intervals(arms)

# %%
# The large mark is the mean, the bar its 95% interval from Student's t distribution, and the small
# dots are the seeds. Do not judge two arms by whether their bars overlap: the next figure compares
# them pair by pair.

shown = figures.difference_intervals(arms)

# %%
# Each row is one pair: the mean of the first arm minus that of the second. Among many comparisons,
# one looks convincing by chance. So these intervals are made wider than those of single
# comparisons, until all of them together cover the true differences in 95 of 100 studies like this
# one (Games & Howell 1976). They do not assume that all arms scatter alike. Three verdicts follow.
# The first arm, or the second, is *ahead* where the interval keeps clear of zero. The two are
# *equal* for practical purposes where it lies inside the grey band. Otherwise the pair is *open*.
#
# What the data decide
# --------------------

pairs = differences(arms)
print(summaries.pairs(pairs))
print(summaries.verdict(pairs))

# %%
# The arms with batch norm differ in their learning rate as well as in the penalty:
# :ref:`sphx_glr_auto_examples_plot_280_penalty.py` sets them side by side at one rate. And the
# first network had a norm in front of the pool, where it might have cost one norm more than
# another: :ref:`sphx_glr_auto_examples_plot_295_head.py` measures that.
#
# Neighbours in the order may be open while their outer arms are decided. And few pairs can be
# called equal at all: with ten seeds of this spread, only arms that are much closer than half a
# point.
#
# An open pair is not a pair of equally good arms. It means that these runs cannot tell. How many
# seeds would it take to know such a difference to within a quarter of a point? With standard
# deviations :math:`s_1` and :math:`s_2` of the two arms, an interval of half-width :math:`h` takes
# roughly :math:`q^2 (s_1^2 + s_2^2) / (2 h^2)` seeds of each, where :math:`q` is a quantile of the
# studentized range. A standard deviation from ten seeds can itself be too small by a factor of
# nearly two, and the number of seeds by the square of that.

still_open = [pair for pair in pairs if pair.verdict == "open"]
print(summaries.seeds_needed(still_open, half_width=0.25))

# %%
# Would pairing by seed help?
# ---------------------------
#
# All arms share their seeds, and so the first weights, the order of the images and their crops. If
# a seed that is lucky for one arm were lucky for the other too, differences taken seed by seed
# would scatter less than the arms do. The correlation over the seeds tells:

from normstudy.study.compare import image_intervals, seed_correlations
from normstudy.study.data import load

correlations = seed_correlations(arms)
print(summaries.correlations(correlations))

print(findings.marginal(arms))

# %%
# The verdicts treat all arms as independent, as the plan says. For a pair with a positive
# correlation the interval is too wide, for one with a negative correlation too narrow. Among
# fifteen correlations one that is far from zero may be chance. The last line names the pairs for
# which it matters: if such a correlation is not chance, *ahead* is a marginal verdict there.
#
# Other test images
# -----------------
#
# The intervals so far are about other seeds, on these same test images. Another set of test images
# would move the accuracies as well. The last column draws both again and again, the seeds of each
# arm and the images, from those that are there (Owen 2007). The column before it counts the seeds
# alone. Both are intervals of each pair alone, and decide nothing. The first are narrower than
# those above for that reason; the second may be wider all the same, since other images are one more
# source of chance. A bootstrap of ten seeds is itself a little too narrow.

print(summaries.both_samples(arms, image_intervals(arms, load(study.data))))

# %%
# All arms are scored on the same images, and they fail on many of the same ones. So what other
# images would do is common to both arms for a good part, and the differences move less than the
# accuracies.
#
# Other settings
# --------------
#
# Would one learning rate for all, twice the epochs, or another place of the norms have told another
# story (:ref:`sphx_glr_auto_examples_plot_297_controls.py`)? Would larger maps
# (:ref:`sphx_glr_auto_examples_plot_298_finer_maps.py`), or a smaller weight decay
# (:ref:`sphx_glr_auto_examples_plot_299_weight_decay.py`)? In short:

from normstudy.study import controls

trained = {
    "One learning rate for all": STUDIES["one-rate"],
    "Twice the epochs": STUDIES["forty-epochs"],
    "Norms after the activations": STUDIES["norm-after-activation"],
    "Maps of twice the side": STUDIES["finer-maps"],
}
for change, control in trained.items():
    answer = controls.answer(arms, run_study(control), control.diverged)
    print(f"{change}: {answer}")

decay = STUDIES["weight-decay"]
for rate, control in controls.by_setting(run_study(decay)).items():
    lost = controls.by_setting(decay.diverged).get(rate)
    print(f"A smaller weight decay, {rate}: {controls.answer(arms, control, lost)}")

# %%
# With three seeds each, a control can show that a distance is fragile, and hardly ever that it is
# not. The intervals hold within each of these lines and not for all of them together: among so
# many changes, one may well be chance.
#
# Beside other reports
# --------------------
#
# This comparison began as the assignment of a course: three norms in one small network. Students
# have published their reports of it. The table sets the highest test accuracies that we found among
# them beside our means.

if study.data == "cifar10":
    print(summaries.beside(study.reference, arms))
    print(study.reference.source)
else:
    print("There are none for the digits.")

# %%
# A positive number on the right says that this network, with this schedule, does better than the
# best of those reports. It does not say that our norm is better than theirs: the norm is the same,
# and the rest of the training is what differs. That is worth seeing: compare it with the
# differences between norms above.
#
# What was trained
# ----------------
#
# The settings that the arms do not share, and those that they do.

print(summaries.settings(arms))
shared = summaries.shared_settings(arms)
print("shared:", ", ".join(f"{name} {value}" for name, value in shared.items()))
devices = {run.environment["device"] for runs in arms.values() for run in runs}
print(f"trained on: {', '.join(sorted(devices))}")

# %%
# What was done otherwise than planned
# ------------------------------------
#
# For the six arms, their search and their test: nothing. Of the planned controls, the smaller
# weight decay was trained last and not third, and where a training diverged, the intervals leave it
# out, while the text counts it as well. Three controls were added after the plan: batch norm at the
# learning rate of batch norm + L1, the norm in front of the pool, and maps of twice the side. And
# the plan calls hardswish faster than SiLU, while its own table of networks has SiLU faster. The
# number of runs that are there, of those that were planned:

from normstudy.study.runs import find

for name in ("one-rate", "forty-epochs", "weight-decay", "norm-after-activation"):
    planned = STUDIES[name]
    wanted = [recipe for tried in planned.recipes().values() for recipe in tried]
    there = sum(find(recipe) is not None for recipe in wanted)
    lost = sum(map(len, planned.diverged.values()))
    print(f"{planned.title}: {there} of {len(wanted) + lost}; {lost} diverged")

# %%
# What this does not show
# -----------------------
#
# One network, one data set, one batch size. Batch norm is known to suffer when there are few images
# per batch, and group norm was proposed for that case (Wu & He 2018); here every batch is large.
# The arm without a norm lacks its scales too, and only there do the weights set the size of the
# signals inside the blocks; what the last two blocks add up to meets no norm in any arm. The
# learning rates come from a search of ten epochs. Weight decay is one number for all and not the
# same thing in each. All arms learn from the same training images; others would be one more source
# of variance (Bouthillier et al. 2021). :ref:`plan` lists what else differs between the arms, and
# was written before the study was trained.
#
# A decided difference says that there is one, not that it matters to anybody.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. Keep the first three seeds. How many pairs are decided, and how far do the differences move?
# 2. How many pairs would be decided if each were tested as if it were alone?
# 3. Give group norm the number of groups that makes it layer norm. Does the network then compute
#    what the arm with layer norm computes, and would it learn the same?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       fewer = differences({arm: runs[:3] for arm, runs in arms.items()})
#       both = list(zip(pairs, fewer, strict=True))
#       moved = max(abs(now.mean - before.mean) for now, before in both)
#       decided = (sum(pair.decided for pair in found) for found in (fewer, pairs))
#       print("decided: {} with three seeds, {} with all".format(*decided))
#       print(f"differences moved by at most {moved:.2f} points")
#       assert moved < 0.5
#
#    No difference moves by as much as the margin of "equal", but with three seeds, the spread of an
#    arm is known so badly that the intervals have to be much wider.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       alone = []
#       for pair in pairs:
#           alone += differences({arm: arms[arm] for arm in pair.pair})
#       counts = (sum(pair.decided for pair in found) for found in (alone, pairs))
#       print("{} alone, and {} together".format(*counts))
#       assert sum(pair.decided for pair in alone) >= sum(pair.decided for pair in pairs)
#
#    Perhaps more, never fewer: what would do for one comparison is not enough for one of fifteen.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       from dataclasses import replace
#       from normstudy.study.data import load
#       from normstudy.study.train import build
#
#       images = load(study.data)
#       recipe, one = arms["Layer norm"][0].recipe, arms["Group norm"][0].recipe
#       batch = images.normalize(images.test.images[:8])
#       nets = (build(each, images) for each in (recipe, replace(one, num_groups=1)))
#       first, second = (net(batch) for net in nets)
#       assert (first - second).abs().max() < 1e-4
#       assert replace(one, norm="layer", num_groups=recipe.num_groups) == recipe
#
#    With ``num_groups=1`` the untrained networks give the same scores but for rounding, and they
#    learn the same but for that: the search chose one learning rate for both.
#
# Where to go next
# ----------------
#
# Run all of it yourself in the notebook :doc:`/notebooks/three_models`, or go back to
# :ref:`sphx_glr_auto_examples_plot_230_three_norms.py` and ask why.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
