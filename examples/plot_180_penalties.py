"""
L1 and L2 by hand
=================

Two penalties on four weights: the loss they add, the step they cause, and which one makes zeros.

**The question.** Both penalties pull weights towards zero. Why does only one of them switch weights
off, and why does it need a special step to do so?

**The answer.** L1 pushes a weight equally hard however small it is, while the push of L2 fades out.
But an ordinary gradient step jumps over zero. Only the proximal step stops there: it makes 2 of our
4 weights exactly zero, and the other steps none.

**You will see** penalty and gradient of both on four weights, one step of gradient descent with
each of them, the step that makes exact zeros, and why the sum must not be replaced by a mean.
"""

# %%
# Four weights
# ------------
#
# A loss :math:`L` has a gradient :math:`\nabla` with respect to four weights. The learning rate is
# :math:`\eta`. All letters are explained in :doc:`/notation`.

from normstudy.byhand.examples import penalties_by_hand
from normstudy.byhand.typeset import working

example = penalties_by_hand()
working(example["w"])

# %%
# The gradient of the loss, without any penalty:

working(example["grad"])

# %%
# With the learning rate

working(example["lr"])

# %%
# a step without a penalty gives

working(example["plain_step"])

# %%
# L1: the sum of the magnitudes
# -----------------------------
#
# The L1 penalty adds :math:`P = \lambda \sum_i |w_i|` to the loss. Here :math:`\lambda` is large,
# so that its effect is easy to see:

working(example["penalty"])

# %%
# Its slope is :math:`\lambda` to the right of zero and :math:`-\lambda` to the left. At zero there
# is a kink and no slope; every number between the two is a *subgradient* there, and by convention
# one takes 0.

working(example["subgradient"])

# %%
# All weights but the last are pushed by the same amount, however large they are. One step of
# gradient descent:

working(example["step"])

# %%
# The third weight was 1 and is −1 now: the push was larger than its distance from zero, and so it
# jumped to the other side. The next step will push it back. So the subgradient step keeps small
# weights hopping around zero, and they hardly ever land on it.
#
# The proximal step
# -----------------
#
# The remedy is to take the step without a penalty first, and then to shrink the result :math:`u` by
# :math:`\eta \lambda`, but never past zero:

working(example["proximal"])

# %%
# Now two weights are exactly zero. This is called soft thresholding. Its result is the point that
# minimizes :math:`\frac{1}{2} (w - u)^2 + \eta \lambda |w|`: half the squared distance to :math:`u`
# and :math:`\eta` times the penalty, together.
#
# L2: half the sum of the squares
# -------------------------------
#
# The L2 penalty is :math:`Q = \frac{\lambda_2}{2} \sum_i w_i^2`. The half makes its gradient simply
# :math:`\lambda_2 w`, which is what PyTorch's ``weight_decay`` adds:

working(example["l2_penalty"])

# %%
# The gradient is large for large weights and fades out near zero:

working(example["l2_gradient"])

# %%
# So the step shrinks large weights most:

working(example["l2_step"])

# %%
# All steps in one picture
# ------------------------

from normstudy.byhand.diagrams import penalty_steps

picture = penalty_steps(example)

# %%
# Follow the green dot, weight number 2. Without a penalty it stays at 1. The subgradient of L1
# throws it to the other side, the proximal step puts it on the zero line, and L2 halves it. Of the
# rows after a step, only the proximal one has dots on that line: this weight, and the last one,
# which began there and was held.

zeros = {
    name: example[name].values.count(0)
    for name in ("plain_step", "step", "proximal", "l2_step")
}
print(zeros)
assert zeros == {"plain_step": 0, "step": 0, "proximal": 2, "l2_step": 0}

# %%
# Does PyTorch agree?
# -------------------
#
# We let PyTorch's optimizer take the steps, with the L1 penalty in the loss, without it, and with
# ``weight_decay``. PyTorch calls soft thresholding ``softshrink``.

import torch

from normstudy.byhand.reference import assert_close

w, grad = example["w"].tensor, example["grad"].tensor
lr, l1, l2 = (example[name].values[0] for name in ("lr", "l1", "l2"))

for name, strength, decay in (
    ("step", l1, 0),
    ("plain_step", 0, 0),
    ("l2_step", 0, l2),
):
    weight = w.clone().requires_grad_()
    optimizer = torch.optim.SGD([weight], lr=float(lr), weight_decay=float(decay))
    loss = (weight * grad).sum() + float(strength) * weight.abs().sum()
    loss.backward()
    optimizer.step()
    assert_close(example[name].tensor, weight, name=name)

plain = example["plain_step"].tensor
shrunk = torch.nn.functional.softshrink(plain, float(lr * l1))
assert_close(example["proximal"].tensor, shrunk)
print("All four steps are those of torch.")

# %%
# A sum and not a mean
# --------------------
#
# Some programs write ``w.abs().mean()``. On four weights that divides the penalty by four:

working(example["mean_penalty"])

# %%
# and with it every push:

working(example["mean_subgradient"])

# %%
# In a network, where a layer has thousands of weights, the penalty all but vanishes, and the more
# so the larger the layer. The sum treats every weight alike, and so this study takes the sum.

mean_grad = torch.autograd.grad(float(l1) * weight.abs().mean(), weight)[0]
sum_grad = torch.autograd.grad(float(l1) * weight.abs().sum(), weight)[0]
assert_close(sum_grad, 4 * mean_grad)

many = torch.ones(16 * 16 * 3 * 3, requires_grad=True)  # of a small convolution
many.abs().mean().backward()
push = many.grad[0].item()
print(f"push on each of {len(many):,} weights: {push:.6f} times lambda, not 1")
assert_close(many.grad, torch.full_like(many, 1 / len(many)), atol=1e-9)

# %%
# What this does not show
# -----------------------
#
# The step of this page is plain gradient descent. Momentum carries the push of a penalty over into
# later steps, and Adam rescales it together with the gradient of the loss. AdamW therefore shrinks
# the weights separately, so its ``weight_decay`` is no longer an L2 penalty. The training of this
# study uses the subgradient, with momentum, and so makes weights small but hardly ever exactly
# zero.
#
# Exercises
# ---------
#
# 1. How large can :math:`\lambda` be before the third weight jumps over zero?
# 2. Take a second subgradient step with the same gradient. Where is the third weight then?
# 3. At which :math:`\lambda` does the proximal step set all four weights to zero?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       for strength in (1.9, 2.0, 2.1):
#           landed = w[2] - float(lr) * (grad[2] + strength)
#           assert (landed < -0.01) == (strength > 2)
#
#    Up to 2. The loss does not push this weight, so it moves by :math:`\eta \lambda = \lambda /
#    2`, and its distance from zero is 1.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       once = example["step"].tensor
#       twice = once - float(lr) * (grad + float(l1) * once.sign())
#       assert (w[2], once[2], twice[2]) == (1, -1, 1)
#
#    Back at 1. It will jump to and fro forever.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       for strength, zeros in ((9.9, 3), (10.0, 4)):
#           held = torch.nn.functional.softshrink(plain, float(lr) * strength)
#           assert (held == 0).sum() == zeros
#
#    At 10. The largest weight after a plain step is 5, and it becomes zero once :math:`\eta
#    \lambda = \lambda / 2` reaches that.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_185_mistakes_in_norms.py` collects what goes wrong in programs.
# What the penalty does to a trained network is measured in
# :ref:`sphx_glr_auto_examples_plot_280_penalty.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
