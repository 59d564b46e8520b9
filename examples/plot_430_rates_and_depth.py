"""
Rates, depth, and the loss along its gradient
=============================================

How wide the range of good learning rates is under each norm, what happens with half, twice and four
times the blocks, and what the loss does along its gradient.

**The question.** A norm is said to allow larger steps and deeper networks. Does it here, and does
the loss look smoother along the gradient, as the explanation goes?
"""

from normstudy.study import contrasts, measured, responses
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES
from normstudy.study.sweeps import BLOCKS, MAIN

searched, study = STUDIES["learning-rates"], STUDIES["depths"]
tried, deep = run_study(STUDIES["learning-rates"]), run_study(STUDIES["depths"])
probed = run_study(STUDIES["probed"])
rates = responses.by(tried, lambda r: r.lr, searched.diverged)
top = max(rates["Batch norm"])
print(
    f"In short, highest learning rate that both seeds survive, in steps of 2 up to {top:g}:"
)
for arm, lr in responses.highest(rates).items():
    print(f"{arm}: {lr:g}")
at_main = {recipe.lr for recipe in MAIN.values()}
depths = responses.by(
    deep, lambda r: BLOCKS[r.net], study.diverged, only=lambda r: r.lr in at_main
)
print("Best number of residual blocks, in short trainings:")
for arm in depths:
    print(f"{arm}: {contrasts.behind_best({arm: depths[arm]}, arm)}")
main, deepest = STUDIES["main-on-cifar10"], STUDIES["depths-full"]
lengthened = responses.joined(run_study(main), run_study(deepest))
long = responses.by(lengthened, lambda r: BLOCKS[r.net], deepest.diverged)
print("At full length, 16 blocks less 4:")
for arm, of in long.items():
    print(f"{arm}: {contrasts.compared({arm: of}, (arm, 16), (arm, 4))}")
print(measured.least_turned(probed))

# %%
# For batch norm yes; for norms in general hardly. Batch norm bears the highest rate that was tried,
# and its gradient changes less than that of any other arm over a step of the same length. Group and
# layer norm survive one rate more than no norm, and their gradients change as much as without a
# norm. But with them 16 blocks can be trained, and without a norm only one training of four could.
# More blocks help batch norm in short trainings already; at full length they help group norm about
# as much, with one seed of each. No table here can say whether the smoother gradient is the reason
# for the rest.
#
# **You will see** validation accuracy over seven learning rates for six arms, test accuracy over
# the depth for four, and loss and gradient after steps of five sizes.
#
# How forgiving is each norm?
# ---------------------------
#
# These are the runs of the main study's search: ten epochs, all images but 5,000 that are held out
# for validation, two seeds. Each arm tried the same rates: group norm with the 8 groups that it
# kept, L1 with a strength three times that which was chosen later. A rate whose loss stopped being
# finite with either seed is left out.

forgiving = responses.figure(
    rates, "learning rate", name="tolerance", title="How forgiving is each norm?"
)

# %%
# The height of a line says how good an arm is; how far it reaches to the right says how much too
# high a rate may be:

print(responses.ceilings(rates, "learning rate"))
print("Chance level: 10%. Two seeds; validation images.\n")
print(responses.losses(tried, searched.diverged, lambda r: f"at {r.lr:g}"))

# %%
# Batch norm is first: nothing that was tried broke it. The others are one to three rates behind,
# with two seeds; a single seed decides some of those ends, and a longer training at 0.4 has lost a
# seed of layer norm (:ref:`sphx_glr_auto_examples_plot_297_controls.py`). To survive means a finite
# loss, and not a useful one. How wide is the range of good rates?

print(responses.tolerances(rates, (2, 5)))

# %%
# The rates are a factor of two apart, so a range may be wider by nearly that much at either end; ×
# 1 says that neither neighbour is within. A range that ends with the grid may go on beyond it.
# Means of two seeds differ by chance too, by how much is told below, so the last column bears more
# weight: the range is widest for batch norm, with the penalty or without, and narrowest for group,
# layer and no norm.
#
# Bjorck et al. (2018) hold that batch norm helps because it allows larger steps, and that at equal
# small rates it has no advantage. At which equal rates is it ahead here? These intervals hold for
# all rates of a pair at once, and the four that follow for the four pairs:

others = ("Group norm", "Layer norm", "Instance norm", "No norm")
for arm in others:
    print(contrasts.in_short(rates, "Batch norm", arm))
smallest = min(rates["Batch norm"])
for arm in others:
    pair = ("Batch norm", smallest), (arm, smallest)
    found = contrasts.between(rates, *pair, family=len(others))
    print(f"{found.title}, at {smallest:g}: {contrasts.size(found)}")
print(contrasts.pooled(rates))

# %%
# So it is ahead at every rate that both arms survive, the smallest included, and larger rates alone
# are not its advantage here. That does not contradict Bjorck et al., whose small rate was far below
# the smallest one here. The weights of two arms need not turn equally far at an equal rate, and at
# the smallest one all arms are still far from what they can reach: it shows who is faster there.
#
# Does a deeper network need a norm?
# ----------------------------------
#
# The network of the main study has four residual blocks. Others have 2, 8 and 16, and with them
# other numbers of parameters. To afford them, each training takes a fixed fifth of the images and
# ten epochs, with two seeds, at the rate of the main study: 0.4 for batch norm, 0.2 for the others,
# searched for four blocks and all images, and for no other depth. The two deep ones were trained at
# a quarter of it as well. All begin from He's weights, under which a signal keeps its size through
# a convolution. But a residual block adds to it, so without a norm it grows with the number of
# blocks. These are standard deviations of the scores of untrained networks:

import torch

from normstudy.study.model import Net
from normstudy.tables import Table

torch.manual_seed(0)
images = torch.randn(16, 3, 32, 32)
rows = []
for net, blocks in BLOCKS.items():
    nets = [Net(norm, net=net) for norm in ("batch", "group", "none")]
    with torch.no_grad():
        sizes = [layers(images).std().item() for layers in nets]
    count = sum(p.numel() for p in nets[0].parameters())
    rows.append((f"{blocks}", f"{count:,}", *(f"{size:.2f}" for size in sizes)))
print(
    Table(("blocks", "parameters", "batch norm", "group norm", "no norm"), tuple(rows))
)
assert sizes[-1] > 10 * max(sizes[:2])

# %%
# One draw of the weights each, so small differences mean nothing. And this is what trained networks
# reach:

depth = responses.figure(
    depths, "residual blocks", name="depth", title="Test accuracy over the depth"
)
quarter = responses.by(
    deep, lambda r: BLOCKS[r.net], study.diverged, only=lambda r: r.lr not in at_main
)
print(responses.table(depths, "blocks, at the main study's rate"))
print()
print(responses.table(quarter, "blocks, at a quarter of it"))
print()
print(
    responses.losses(
        deep, study.diverged, lambda r: f"{BLOCKS[r.net]} blocks at {r.lr:g}"
    )
)

# %%
# "Lost" is a setting whose loss stopped being finite with any of its seeds. Without a norm, 16
# blocks were lost at the full rate with both seeds, and at a quarter of it with one of two; up to 8
# blocks no norm is level with group and layer norm. So a norm makes 16 blocks safe at these rates,
# and with 8 it is not needed. The quarter of the rate decides nothing more: every arm is slower
# there. The first lines of this page compare the depths of an arm by the spread of that arm, since
# the seeds of some arms scatter more than those of others: of batch norm they scatter least, so
# there a gain is decided most easily.
#
# These are short trainings, and so a question of who is faster as well. At full length, on all
# images for twenty epochs, the main study has networks of four blocks, and two arms were trained
# with sixteen blocks too, with one seed. The intervals take the spread of the arms that are
# compared:

print(responses.table(long, "blocks, at full length"))
short = {arm: depths[arm] for arm in long}
for arm in long:
    gains = [
        contrasts.compared({arm: of[arm]}, (arm, 16), (arm, 4)) for of in (long, short)
    ]
    print(f"{arm}, 16 blocks less 4: {gains[0]}; in short trainings {gains[1]}")
for blocks in (4, 16):
    pair = ("Batch norm", blocks), ("Group norm", blocks)
    apart = [contrasts.compared(of, *pair) for of in (long, short)]
    print(
        f"Batch norm less group norm, {blocks} blocks: {apart[0]}; in short trainings {apart[1]}"
    )

# %%
# With four blocks as with sixteen, batch norm is ahead of group norm by a fraction of what the
# short trainings show. And sixteen blocks are worth about as much to group norm as to batch norm,
# which the short trainings do not show: they say who is faster, and of group norm their seeds
# scatter widely. The long ones have five times the images and ten times the steps, so this does
# not say which of the two makes the difference. Sixteen blocks also have three times the
# parameters of four: what they gain is that of a larger network, not of depth alone. Whether a
# longer training would end where a short one was lost was not tried.
#
# Steps along the gradient
# ------------------------
#
# Santurkar et al. (2018) explain batch norm by a smoother loss: after a step along the gradient,
# loss and gradient are still much what they were, so that the step can be trusted. It can be
# measured. After each epoch of ten, on all images, the loss of four training batches is followed
# along its gradient: the weights less a step size times the gradient, for five step sizes. Along a
# straight slope the loss would fall by step size times squared length of the gradient. How much of
# that is kept? After a fifth of the training, when the learning rate is at its highest:

peak = measured.peak(probed["Batch norm"])
epochs = probed["Batch norm"][0].recipe.epochs
print(f"after epoch {peak} of {epochs}:")
print(measured.landscape_table(probed, peak))

# %%
# Below zero the step is so long that the loss rises. And after the last epoch:

print(measured.landscape_table(probed, epochs))
print("\nMeans ± standard deviations of two seeds.")

# %%
# Equal step sizes are not equal lengths of a step: multiply them by the length of the gradient. A
# fair comparison takes equal lengths, interpolated between the sizes that were measured; the
# weights, which a step is to be compared with, are about equally long under all four arms. How much
# of the gradient is still there after such a step? A change of 0 is a straight slope. At 1 the new
# gradient differs from the old one by as much as its own length.

print(f"after epoch {peak}:")
print(measured.turn_table(probed, peak))
print(f"after epoch {epochs}:")
print(measured.turn_table(probed, epochs))
print(measured.least_turned(probed))

# %%
# So batch norm has the smallest change at every length after every epoch. That is one thing seen in
# two trainings of each arm, and not a number of independent trials. And it had the lowest loss
# after that epoch as well, so a part of its smoothness may be that it was further on. Long weights
# in front of a norm turn less over a step of equal length, a smoothness that needs no property of
# batches; group and layer norm have that as well, and the arms differ all the same.
#
# What this does not show
# -----------------------
#
# Sixteen blocks do not make a deep network: others have hundreds, and their authors needed norms,
# or careful first weights instead (Zhang, Dauphin & Ma 2019), to train them at all. A fifth of the
# images is little for a larger network, and one seed at full length shows no more than whether the
# reading turns around. The slope was measured on four fixed batches at rest, after each epoch, and
# Santurkar et al. measured it at every step. The arms were trained at their own rates, batch norm
# at the highest, and training at a higher rate leads to flatter places by itself: none was measured
# at the rate of another. And correlation is not cause: that the slope is smoother where training is
# better does not say which comes from which.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. By what factor does a block lengthen the signal if its two parts are independent and of equal
#    size? And 16 of them?
# 2. Multiply the weights in front of a batch norm by 10. How do output and gradient change?
# 3. How many points does each arm lose at the highest rate that it could be trained at?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       x, change = torch.randn(2, 100_000)
#       factor = ((x + change).std() / x.std()).item()
#       print(f"{factor:.3f} and {factor**16:.0f}")
#       assert abs(factor - 2**0.5) < 0.02
#
#    The square root of 2, and 16 blocks make 256 of it. Variances add where parts are independent.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       norm = torch.nn.BatchNorm1d(1, affine=False)
#       data, weight = torch.randn(64, 5), torch.randn(1, 5)
#       lengths = []
#       for scale in (1.0, 10.0):
#           w = (scale * weight).requires_grad_()
#           out = norm(data @ w.T)
#           (out.flatten() @ torch.arange(64.0)).backward()
#           lengths.append((out.detach(), w.grad.norm().item()))
#       assert torch.allclose(lengths[0][0], lengths[1][0], atol=1e-3)
#       assert abs(lengths[0][1] / lengths[1][1] - 10) < 0.1
#
#    The output stays, and the gradient shrinks to a tenth. Long weights take small turns.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       from normstudy.study.measures import summarize
#
#       for arm, of in rates.items():
#           means = {lr: summarize(runs).mean for lr, runs in responses.held(of).items()}
#           cost = max(means.values()) - means[max(means)]
#           print(f"{arm}: {cost:.2f} points at {max(means):g}")
#
#    What an arm loses there is the price of a bad guess that it survives; at a higher rate that was
#    tried, it was lost. Compare it with the distances between the best accuracies of the arms.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_188_invariances.py` shows what norms do not notice, and
# :ref:`sphx_glr_auto_examples_plot_240_search.py` how the settings of the main study were found.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
