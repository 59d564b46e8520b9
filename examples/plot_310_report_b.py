"""
Report B: what a broken schedule hid
====================================

A class report on MNIST that builds its optimizer and its schedule anew in every epoch, repeated as
it was built and as it was meant, with five seeds of each, and with a weaker penalty.

**The question.** Its networks stay far below what reports D and E print for networks of this size.
Was it the schedule, or something that the schedule hid? Both: one cycle helps batch norm, a weaker
penalty layer norm as well, and group norm needs larger groups.
"""

from normstudy.study import replications
from normstudy.study.data import load
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study, images = STUDIES["study-b"], load("mnist")
arms, meant = run_study(study), run_study(STUDIES["study-b-one-cycle"])
weaker = run_study(STUDIES["study-b-penalty"])
wide = run_study(STUDIES["study-b-two-groups"])["Two groups"]
beside = replications.beside(study.original, arms)
judged = replications.judge(study.original, arms)
print("In short:", replications.in_short(beside, judged))
for arm in arms:
    print(replications.towards(99, arm, arms[arm], meant[arm], "one cycle"))
    less = "one cycle with a weaker penalty"
    print(replications.towards(99, arm, arms[arm], weaker[arm], less))
of_group, change = arms["Group norm"], f"{less} and larger groups"
print(replications.towards(99, "Group norm", of_group, wide, change))

# %%
# **You will see** the settings and the network, both learning rates and what they do, the penalty,
# the report's numbers beside ours, a group norm that says little but plus or minus one, and a wrong
# divisor in a worksheet.
#
# What it set out to do
# ---------------------
#
# The assignment asks for one small network in three versions: batch norm with L1, group norm and
# layer norm. This report trained two of them for 25 epochs and layer norm for 20.

print(replications.settings(study))

# %%
# The names of the arms are those of the report, and two of them say too little: the L1 penalty is
# on in *all* arms, on every parameter, the scales and shifts of the norms included. Groups hold two
# channels in every place.
#
# The network
# -----------

from normstudy.study import summaries
from normstudy.study.blueprint import network
from normstudy.study.model import layer_table
from normstudy.study.train import build

nets = {arm: build(runs[0].recipe, images) for arm, runs in arms.items()}
counts = {arm: sum(p.numel() for p in net.parameters()) for arm, net in nets.items()}
assert counts == study.original.parameters
drawing = network(layer_table(nets["Group norm"], images.size))

# %%
# The count is the one that the report printed. Look at the lower end: after the average, maps have
# one pixel, and there is a norm on them. We come back to it. The last column is the side, in pixels
# of the image, of what one number can see.

print(summaries.layers(nets["Group norm"], images.size))

# %%
# The images
# ----------

from normstudy.study import pictures

digits = pictures.samples(images)

# %%
# A guess is right in 10% of ten thousand test images. In training, this report turns, shears,
# shifts and scales them, and changes brightness and contrast.
#
# The defect: a cycle that begins anew every epoch
# ------------------------------------------------
#
# A one-cycle schedule raises the learning rate over the first part of a training and lowers it over
# the rest. Here optimizer and schedule are built inside the function that trains one epoch. So the
# weights are carried over, but every epoch starts again at the lowest rate, with a momentum that
# remembers nothing.

from normstudy.study import demonstrations

recipe, one = arms["Layer norm"][0].recipe, meant["Layer norm"][0].recipe
steps = -(-len(images.train) // recipe.batch_size)
rates = demonstrations.rates({"as meant": one, "as built": recipe}, steps)

# %%
# The curve that was meant rises to its peak in six epochs and falls to nearly nothing. What was
# built is a saw with small teeth. It lacks high rates, which the sum of all rates measures, and the
# fall at the end.

from normstudy.study.optimize import learning_rates

meant_lr, built_lr = (learning_rates(r, steps) for r in (one, recipe))
assert max(built_lr) < max(meant_lr) / 9
print(f"highest rate: {max(built_lr):.4f} as built, {max(meant_lr):.4f} as meant")
print(f"sum of all rates: {sum(built_lr):.1f} as built, {sum(meant_lr):.1f} as meant")

# %%
# Both, trained; but for rates and momentum, all else is the same, down to the seed.

ways = {"as built": arms, "one cycle": meant}
both = {f"{arm}, {way}": of[arm] for arm in arms for way, of in ways.items()}
print(summaries.results(both, ("test_accuracy", "test_loss")))

# %%
# With one cycle, batch norm makes up most of what it lacks. Of layer norm one seed is lost to
# chance, and the others gain little. Group norm collapses: the small rates that were built by
# mistake had spared both. There are two suspects: the penalty, and for group norm its groups.
#
# The penalty
# -----------
#
# In the table of settings the penalty stands out: a hundred times as strong as that of report E,
# on every parameter, and on in all arms. Here is what a hundredth of it does, with one cycle and
# three seeds of each arm.

print(summaries.results(weaker, ("test_accuracy", "test_loss")))
print(summaries.penalties({**both, **{f"{arm}, weaker": weaker[arm] for arm in arms}}))

# %%
# With the lambda of the report, most of the loss is penalty in the first epoch, and most weights
# end next to zero; with a hundredth, neither. Then batch norm and layer norm are where they should
# be: with one cycle, what was still missing was a weaker penalty. But group norm collapses all the
# same. We come to it below.
#
# Graphs 1 and 2, and the training curves
# ---------------------------------------

from normstudy.study import figures

test_loss = figures.history(arms, "test_loss")
test_accuracy = figures.history(arms, "test_accuracy", reference=study.reference)
train_loss = figures.history(arms, "train_loss")
train_accuracy = figures.history(arms, "train_accuracy")

# %%
# Graph 1 and Graph 2 of the assignment, for the report as it was built: means over five seeds,
# bands from the lowest to the highest, and dotted lines for what the report printed of its best
# epoch. In the report, all arms write into one shared list, so two of its panels show the same
# curve; here every arm has its own. The training curves are measured while the network learns, from
# distorted images, so they look worse than those of the test.
#
# What it printed, and what we measure
# ------------------------------------

print(replications.results(beside))
print(*beside, sep="\n")
print(replications.findings(judged))

# %%
# A finding is confirmed where the interval of our difference lies above zero, refuted where it lies
# below, and open where it holds zero: all three are. They come from the report's best epochs,
# picked on the test images. In its last epochs, layer norm is last and not first.
#
# Two values a group
# ------------------
#
# The last norm stands on maps of one pixel, with 16 channels in 8 groups. A group is then two
# numbers. Their mean lies at the same distance from both, and that distance is also their standard
# deviation: unless both are nearly equal, the results are plus one and minus one.

import torch

from normstudy.study.model import make_norm

x = torch.randn(1_000, 16, 1, 1, generator=torch.Generator().manual_seed(0))
y = make_norm("group", 16, num_groups=8)(x).view(1_000, 8, 2)
apart = x.view(1_000, 8, 2).diff().abs().squeeze(-1) > 0.2
assert torch.allclose(y[apart].abs(), torch.ones(1), atol=2e-3)
print(
    f"plus or minus one: {(y.abs() > 0.99).float().mean():.0%} of {y.numel():,} results"
)

# %%
# All that a group can still tell is which of its numbers is the larger. In the network a ReLU
# stands in front, so both can be zero, and then so are the results. This is what the layer after
# it is given for 24 test images, by networks with their first weights, before any training:

plain = {"Batch norm": nets["Batch norm + L1"], "Group norm": nets["Group norm"]}
inputs = {k: demonstrations.classifier_inputs(n, images, 24) for k, n in plain.items()}
given = demonstrations.inputs(inputs)

# %%
# Batch norm compares a channel with the same channel of other images, and keeps shades. Group norm
# with two values a group leaves three answers, but for pairs so close that ``eps`` outweighs them.
# Eight such groups, which 16 channels give, are enough to tell ten digits apart. But a layer that
# nearly always answers plus or minus one has nearly no derivative, and a large one where two values
# are close: layers in front may learn from few images, in jumps. Is the size of the groups why
# group norm collapses? The same norm in two groups, of 8 values each on such maps, all else equal:

sizes = {"2 values a group": weaker["Group norm"], "8 values a group": wide}
print(summaries.results(sizes, ("test_accuracy", "test_loss")))

# %%
# It is: with larger groups, group norm gets as far as the others, at the same rates and with the
# same penalty. They are larger in all layers, so that the last norm is to blame, and in this way,
# is not shown.
#
# The wrong divisor in its worksheet
# ----------------------------------
#
# The report has a worksheet in which a batch is normalized by hand. It subtracts the mean and
# divides by the variance, where its root belongs.

values = torch.tensor([1.0, 3.0, 5.0, 7.0])
centred, variance = values - values.mean(), values.var(correction=0)
print(f"by the variance: {(centred / variance).numpy()}")
print(f"by its root:     {(centred / variance.sqrt()).numpy().round(2)}")
assert torch.isclose((centred / variance).var(correction=0), 1 / variance)

# %%
# Divided by the variance, the result has a variance of one over it: numbers that scatter little are
# blown up, and others vanish. The worksheet also mixes sample and population variance, and draws
# new random numbers whenever it is opened, so that nobody can check it.
#
# Ten mistakes of each
# --------------------

batch = pictures.mistakes("Batch norm + L1", arms["Batch norm + L1"][0], images)

# %%
# The ten wrong answers of highest confidence, after the last epoch of the first seed, as built.

group = pictures.mistakes("Group norm", arms["Group norm"][0], images)

# %%
# Group norm, and below it layer norm, trained for five epochs fewer.

layer = pictures.mistakes("Layer norm", arms["Layer norm"][0], images)

# %%
# What this does not show
# -----------------------
#
# The weaker penalty was not tried with the schedule as built, so how much is due to the schedule
# alone is not known. The report's two rotations are one of ours, by an angle of the same variance;
# it fills in black where we repeat the edge. That its cycle rises for six of 25 epochs is our
# reading: it was meant for 20. And its batches come in another order.
#
# Exercises
# ---------
#
# 1. How many epochs would the schedule that was built need, for the sum of its rates to be that of
#    the one that was meant?
# 2. Of two values in a group, what is the derivative of a result by its own value, for any distance
#    between the two?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       needed = recipe.epochs * sum(meant_lr) / sum(built_lr)
#       print(f"{needed:.0f} epochs")
#       assert needed > 5 * recipe.epochs
#
#    Each epoch has the same small rates, so the sum grows in proportion to the epochs. That is more
#    than six times as many as it had, and whether so many would do as well is another matter: the
#    training curves as built are flat in the end.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       eps = 1e-5
#       for distance in (2.0, 0.2, 0.02, 0.002, 0.0):
#           pair = torch.tensor([[[[distance]], [[0.0]]]], requires_grad=True)
#           make_norm("group", 2, num_groups=1)(pair)[0, 0].backward()
#           slope = pair.grad[0, 0].item()
#           formula = eps / (2 * (distance**2 / 4 + eps) ** 1.5)
#           assert abs(slope - formula) < 1e-3 * max(formula, 1e-2)
#           print(f"{distance:g} apart: {slope:.3g}")
#
#    With :math:`d` for half the distance, it is :math:`\varepsilon / (2 (d^2 +
#    \varepsilon)^{3/2})`: next to nothing for most pairs, and :math:`1 / (2 \sqrt{\varepsilon})`
#    where both are equal.
#
# Where to go next
# ----------------
#
# Group norm worked by hand: :ref:`sphx_glr_auto_examples_plot_130_group_norm.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
