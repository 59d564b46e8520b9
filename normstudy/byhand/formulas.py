"""What the lines of the worksheet say and compute: one table for each kind of sheet.

A line shows one step of a worked example of `normstudy.byhand.examples`. Its formula is written
with the step's sources, so that the same line serves every norm.
"""

from typing import NamedTuple


class Line(NamedTuple):
    """How one step is shown: a line of cells, or two where the step has rows of pixels."""

    name: str  #: of the step
    symbol: str
    words: str
    formula: str = ""  #: {0}, {1}: the step's sources in order; {all}: as ranges; none for an input


class Title(NamedTuple):
    """What stands above a sheet."""

    sheet: str
    sets: str  #: who shares a mean
    torch: str  #: the layer that computes the same


TITLES = {
    "batch": Title("Batch norm", "all cells of one channel, over both images", "BatchNorm2d(4)"),
    "group": Title("Group norm", "all cells of two channels of one image", "GroupNorm(2, 4)"),
    "layer": Title("Layer norm", "all cells of one image", "GroupNorm(1, 4)"),
    "instance": Title(
        "Instance norm", "the four cells of one channel of one image", "InstanceNorm2d(4)"
    ),
    "layer_chw": Title(
        "LayerNorm(C, H, W)",
        "all cells of one image; a scale and a shift for every cell",
        "LayerNorm([4, 2, 2])",
    ),
    "layer_channels": Title(
        "LayerNorm(C), channels last",
        "the four channels of one pixel of one image",
        "LayerNorm(4), channels last",
    ),
}

FORWARD = (
    Line("x", "x", "input: two images, four channels, 2 × 2 pixels"),
    Line("gamma", "γ", "input: scale"),
    Line("beta", "β", "input: shift"),
    Line("eps", "ε", "input: added to the variance (torch's default is 0.00001)"),
    Line("mean", "μ", "mean of x over the cells of one colour", "AVERAGE({all})"),
    Line("deviation", "d", "x − μ", "{0}-{1}"),
    Line("square", "d²", "d times d", "{0}^2"),
    Line("variance", "σ²", "mean of d² over the cells of one colour", "AVERAGE({all})"),
    Line("std", "s", "square root of σ² + ε", "SQRT({0}+{1})"),
    Line("xhat", "x̂", "d / s: mean 0 and variance 1 in each colour", "{0}/{1}"),
    Line("y", "y", "γ x̂ + β: the result", "{0}*{1}+{2}"),
)
UPSTREAM = Line("grad_y", "G", "input: gradient of the loss with respect to y, for all norms")
BACKWARD = (
    Line("grad_beta", "∇β", "sum of G over the cells that share β", "SUM({all})"),
    Line("grad_y_xhat", "G x̂", "G times x̂", "{0}*{1}"),
    Line("grad_gamma", "∇γ", "sum of G x̂ over the cells that share γ", "SUM({all})"),
    Line("g", "g", "γ times G", "{0}*{1}"),
    Line("mean_g", "mean g", "mean of g over the cells of one colour", "AVERAGE({all})"),
    Line("g_xhat", "g x̂", "g times x̂", "{0}*{1}"),
    Line("mean_g_xhat", "mean g x̂", "mean of g x̂ over one colour", "AVERAGE({all})"),
    Line("grad_x", "∇x", "(g − mean g − x̂ · mean g x̂) / s", "({0}-{1}-{2}*{3})/{4}"),
)
START = (
    Line("momentum", "a", "input: torch's momentum; empty means None, the plain average"),
    Line("running_mean_0", "M", "input: running mean before the first batch"),
    Line("running_var_0", "V", "input: running variance before the first batch"),
)
BATCH = (  # {t} is the number of the batch
    Line("x_{t}", "x", "input: batch {t}, the values of one feature"),
    Line(
        "momentum_{t}",
        "a",
        "weight of this batch",
        "IF(ISNUMBER(batches_momentum),batches_momentum,1/{t})",
    ),
    Line("mean_{t}", "μ", "mean of x", "AVERAGE({all})"),
    Line("deviation_{t}", "d", "x − μ", "{0}-{1}"),
    Line("square_{t}", "d²", "d times d", "{0}^2"),
    Line("variance_{t}", "σ²", "mean of d² (biased: it divides by m)", "AVERAGE({all})"),
    Line("std_{t}", "s", "square root of σ²", "SQRT({0})"),
    Line("xhat_{t}", "x̂", "d / s: the result in training", "{0}/{1}"),
    Line(
        "correction_{t}",
        "m/(m−1)",
        "makes the variance unbiased",
        "COUNT(batches_x_{t})/(COUNT(batches_x_{t})-1)",
    ),
    Line("unbiased_{t}", "u²", "m/(m−1) times σ², for the running variance", "{0}*{1}"),
    Line("running_mean_{t}", "M", "(1 − a) M + a μ", "(1-{2})*{1}+{2}*{0}"),
    Line("running_var_{t}", "V", "(1 − a) V + a u²", "(1-{2})*{1}+{2}*{0}"),
)
EVALUATION = (
    Line("running_std", "S", "square root of the last V", "SQRT({0})"),
    Line("xhat_eval", "x̂", "(x − M) / S: batch 1 again, in evaluation", "({0}-{1})/{2}"),
)
PENALTIES = (
    Line("w", "w", "input: four weights"),
    Line("grad", "∇", "input: gradient of the loss without its penalty"),
    Line("lr", "η", "input: learning rate"),
    Line("l1", "λ", "input: strength of L1"),
    Line("l2", "λ₂", "input: strength of L2 (torch's weight_decay)"),
    Line("size", "|w|", "magnitude", "ABS({0})"),
    Line("size_sum", "Σ|w|", "sum of the magnitudes", "SUM({all})"),
    Line("penalty", "P", "λ Σ|w|: the L1 penalty", "{0}*{1}"),
    Line("sign", "z", "sign of w: −1, 0 or 1", "SIGN({0})"),
    Line("subgradient", "p", "λ z", "{0}*{1}"),
    Line("step", "w'", "w − η (∇ + p): one step of SGD", "{0}-{1}*({2}+{3})"),
    Line("plain_step", "u", "w − η ∇: a step without penalty", "{0}-{1}*{2}"),
    Line(
        "proximal",
        "w*",
        "sign(u) max(|u| − ηλ, 0): the step that makes zeros",
        "SIGN({0})*MAX(ABS({0})-{1}*{2},0)",
    ),
    Line("count", "n", "number of weights", "COUNT(weights_w)"),
    Line("mean_penalty", "P/n", "the penalty as a mean: weaker", "{0}/{1}"),
    Line("mean_subgradient", "p/n", "its subgradient", "{0}/{1}"),
    Line("square", "w²", "w times w", "{0}^2"),
    Line("square_sum", "Σw²", "sum of the squares", "SUM({all})"),
    Line("l2_penalty", "Q", "λ₂/2 Σw²: the L2 penalty", "{0}/2*{1}"),
    Line("l2_gradient", "q", "λ₂ w", "{0}*{1}"),
    Line("l2_step", "w''", "w − η (∇ + q): one step of SGD", "{0}-{1}*({2}+{3})"),
)
PENALTY_TITLES = {  # what computes the same in torch
    "penalty": "l1 * w.abs().sum()",
    "subgradient": "autograd",
    "step": "optim.SGD",
    "plain_step": "optim.SGD",
    "proximal": "softshrink",
    "mean_penalty": "l1 * w.abs().mean()",
    "mean_subgradient": "autograd",
    "l2_penalty": "l2 / 2 * w.square().sum()",
    "l2_gradient": "autograd",
    "l2_step": "optim.SGD, weight_decay",
}
LIMITS = {"eps": (0, 1e9), "momentum": (0, 1), "lr": (0, 1e9), "l1": (0, 1e9), "l2": (0, 1e9)}
