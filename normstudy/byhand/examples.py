"""Worked examples: every number of a normalization, exact, and what it was computed from.

One small tensor is normalized in six ways, forward and backward (`by_hand`); three batches move the
running statistics (`running_by_hand`); four weights are penalized (`penalties_by_hand`). Each is a
chain of steps held as frozen data, which the pages typeset, the worksheet turns into live formulas
and the diagrams draw. The numbers are fractions and come neither from torch nor from the arithmetic
of `normstudy.byhand.norms`: `normstudy.byhand.reference` compares all three.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

from normstudy.byhand import norms
from normstudy.byhand.steps import Chain, Example, Number, Term, average, total

NORMS = ("batch", "layer", "group", "instance", "layer_chw", "layer_channels")
SHAPE = (2, 4, 2, 2)  # two images, four channels, two rows, two columns
NUM_GROUPS = 2
# X is the result of wholenumbers.search: the means and standard deviations of the first four norms
# are whole. GRAD_Y is that of wholenumbers.search_gradient: both means of their backward pass are
# whole as well.
X = (  # four numbers are one map, row by row
    ((0, 0, 2, 2), (0, 2, 0, 2), (2, 0, 2, 8), (6, 6, 8, 8)),
    ((0, 2, 2, 0), (4, 2, 4, 10), (6, 12, 12, 14), (6, 12, 14, 12)),
)
GRAD_Y = (
    ((-1, 1, 2, 2), (0, -2, 2, -2), (2, -2, 2, 2), (-1, 1, -2, -2)),
    ((-1, 2, 2, 1), (-2, 1, 0, -1), (2, -2, -2, -2), (-1, 2, 1, 2)),
)
GAMMA = (1, 2, 3, -1)
BETA = (0, 1, -1, 2)

BATCHES = ((9, 1, 3, 3), (16, 0, 4, 4), (14, 2, 2, 14))  # three batches of one feature

WEIGHTS = (6, -4, 1, 0)
GRADIENT = (2, -2, 0, 2)  # of the loss without its penalty
LEARNING_RATE = Fraction(1, 2)
L1, L2 = 4, 1


def by_hand(norm: str, eps: Number = Fraction(0)) -> Example:
    """Normalize X with GAMMA and BETA, and take GRAD_Y back through it.

    Parameters
    ----------
    norm
        One of `NORMS`.
    eps
        Added to the variance. With 0 all numbers of the first four norms are fractions.

    Returns
    -------
    Example
        Given: x, gamma, beta, eps, grad_y. Forward: mean, deviation, square, variance, std, xhat,
        y. Backward: grad_beta, grad_y_xhat, grad_gamma, g, mean_g, g_xhat, mean_g_xhat, grad_x.

    Raises
    ------
    ValueError
        The norm is not one of `NORMS`, or eps is negative.

    Examples
    --------
    >>> [str(mean) for mean in by_hand("batch")["mean"].values]
    ['1', '3', '7', '9']
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; there is a worked example for {', '.join(NORMS)}.")
    if eps < 0:
        raise ValueError(f"eps is {eps}; it must be 0 or greater.")
    rule = norms.INDEX_SETS[norm]
    own = _letters("".join(axis for axis in norms.AXES if axis not in rule.over))
    affine = _letters(rule.affine)
    cell = "nchw"
    work = Chain(cell, product(*map(range, SHAPE)), group_size=SHAPE[1] // NUM_GROUPS)
    channels = [index[1] for index in work.cells]
    work.give("x", "x", cell, _flat(X))
    work.give("gamma", r"\gamma", affine, [GAMMA[c] for c in channels])
    work.give("beta", r"\beta", affine, [BETA[c] for c in channels])
    work.give("eps", r"\varepsilon", "", [eps for _ in channels])
    work.give("grad_y", "G", cell, _flat(GRAD_Y))

    add = work.add
    add("mean", r"\mu", own, r"\frac{1}{m} \sum x", ["x"], average)
    add("deviation", "d", cell, r"x - \mu", ["x", "mean"], lambda x, mu: x - mu)
    add("square", "d^2", cell, r"d \cdot d", ["deviation"], Term.squared)
    add("variance", r"\sigma^2", own, r"\frac{1}{m} \sum d^2", ["square"], average)
    formula = r"\sqrt{\sigma^2 + \varepsilon}"
    add("std", "s", own, formula, ["variance", "eps"], lambda v, eps: (v + eps).root())
    add("xhat", r"\hat x", cell, r"\frac{d}{s}", ["deviation", "std"], lambda d, s: d / s)
    formula = r"\gamma \hat x + \beta"
    add("y", "y", cell, formula, ["gamma", "xhat", "beta"], lambda c, x, b: c * x + b)

    add("grad_beta", r"\nabla \beta", affine, r"\sum G", ["grad_y"], total)
    add("grad_y_xhat", r"G \hat x", cell, r"G \cdot \hat x", ["grad_y", "xhat"], Term.__mul__)
    add("grad_gamma", r"\nabla \gamma", affine, r"\sum G \hat x", ["grad_y_xhat"], total)
    add("g", "g", cell, r"\gamma G", ["gamma", "grad_y"], Term.__mul__)
    add("mean_g", r"\overline{g}", own, r"\frac{1}{m} \sum g", ["g"], average)
    add("g_xhat", r"g \hat x", cell, r"g \cdot \hat x", ["g", "xhat"], Term.__mul__)
    formula = r"\frac{1}{m} \sum g \hat x"
    add("mean_g_xhat", r"\overline{g \hat x}", own, formula, ["g_xhat"], average)
    add(
        "grad_x",
        r"\nabla x",
        cell,
        r"\frac{g - \overline{g} - \hat x \, \overline{g \hat x}}{s}",
        ["g", "mean_g", "xhat", "mean_g_xhat", "std"],
        lambda g, mean, x, moment, s: (g - mean - x * moment) / s,
    )
    return work.example()


def running_by_hand(momentum: Fraction | None = Fraction(1, 10)) -> Example:
    """Follow the running statistics of one feature through BATCHES, then evaluate the first again.

    Parameters
    ----------
    momentum
        Weight of the newest batch. With None it is 1 / (number of batches); then the running
        variance ends as a square, and evaluation mode has only fractions.

    Returns
    -------
    Example
        running_mean_0 and running_var_0, then for t = 1, 2, 3 the steps x_t, mean_t, deviation_t,
        square_t, variance_t, std_t, xhat_t, correction_t, unbiased_t, momentum_t, running_mean_t
        and running_var_t; at the end running_std and xhat_eval.

    Raises
    ------
    ValueError
        momentum outside [0, 1].

    Examples
    --------
    >>> running = running_by_hand()
    >>> [str(running[f"running_var_{t}"].values[0]) for t in range(4)]
    ['1', '21/10', '669/100', '10821/1000']
    """
    if momentum is not None and not 0 <= momentum <= 1:
        raise ValueError(f"momentum is {momentum}; it must be from 0 to 1, or None.")
    size = len(BATCHES[0])
    work = Chain("i", ((i,) for i in range(size)))
    add, one = work.add, Term(Fraction(1))
    work.give("running_mean_0", "M_0", "", [Fraction(0)] * size)
    work.give("running_var_0", "V_0", "", [Fraction(1)] * size)

    def towards(new: Term, old: Term, a: Term) -> Term:
        return (one - a) * old + a * new

    for t, batch in enumerate(BATCHES, start=1):
        work.give(f"x_{t}", rf"x^{{({t})}}", "i", batch)
        a = Fraction(1, t) if momentum is None else momentum
        work.give(f"momentum_{t}", f"a_{t}", "", [a] * size)
        work.give(f"correction_{t}", r"\frac{m}{m-1}", "", [Fraction(size, size - 1)] * size)
        mean, var, unbiased = rf"\mu_{t}", rf"\sigma^2_{t}", rf"u^2_{t}"
        add(f"mean_{t}", mean, "", r"\frac{1}{m} \sum x", [f"x_{t}"], average)
        add(f"deviation_{t}", "d", "i", rf"x - {mean}", [f"x_{t}", f"mean_{t}"], Term.__sub__)
        add(f"square_{t}", "d^2", "i", r"d \cdot d", [f"deviation_{t}"], Term.squared)
        add(f"variance_{t}", var, "", r"\frac{1}{m} \sum d^2", [f"square_{t}"], average)
        add(f"std_{t}", f"s_{t}", "", rf"\sqrt{{{var}}}", [f"variance_{t}"], Term.root)
        names = [f"deviation_{t}", f"std_{t}"]
        add(f"xhat_{t}", r"\hat x", "i", rf"\frac{{d}}{{s_{t}}}", names, Term.__truediv__)
        names, formula = [f"correction_{t}", f"variance_{t}"], rf"\frac{{m}}{{m-1}} {var}"
        add(f"unbiased_{t}", unbiased, "", formula, names, Term.__mul__)
        for buffer, symbol, new, new_symbol in (
            ("running_mean", "M", f"mean_{t}", mean),
            ("running_var", "V", f"unbiased_{t}", unbiased),
        ):
            formula = rf"(1 - a_{t}) {symbol}_{t - 1} + a_{t} {new_symbol}"
            names = [new, f"{buffer}_{t - 1}", f"momentum_{t}"]
            add(f"{buffer}_{t}", f"{symbol}_{t}", "", formula, names, towards)
    last = len(BATCHES)
    add("running_std", "S", "", rf"\sqrt{{V_{last}}}", [f"running_var_{last}"], Term.root)
    add(
        "xhat_eval",
        r"\hat x",
        "i",
        rf"\frac{{x - M_{last}}}{{S}}",
        ["x_1", f"running_mean_{last}", "running_std"],
        lambda x, mean, s: (x - mean) / s,
    )
    return work.example()


def penalties_by_hand() -> Example:
    """Penalize WEIGHTS by L1, as a sum and as a mean, and by L2, and take one step with each.

    Returns
    -------
    Example
        Given: w, grad, lr, l1, l2, count. L1: size, size_sum, penalty, sign, subgradient, step;
        then plain_step and proximal, the step that makes exact zeros. L1 as a mean: mean_penalty,
        mean_subgradient. L2: square, square_sum, l2_penalty, l2_gradient, l2_step.

    Examples
    --------
    >>> [str(w) for w in penalties_by_hand()["proximal"].values]
    ['3', '-1', '0', '0']
    """
    n = len(WEIGHTS)
    work = Chain("i", ((i,) for i in range(n)))
    add = work.add
    work.give("w", "w", "i", WEIGHTS)
    work.give("grad", r"\nabla", "i", GRADIENT)
    for name, symbol, value in (
        ("lr", r"\eta", LEARNING_RATE),
        ("l1", r"\lambda", Fraction(L1)),
        ("l2", r"\lambda_2", Fraction(L2)),
        ("count", "n", Fraction(n)),
    ):
        work.give(name, symbol, "", [value] * n)

    def down(w: Term, lr: Term, grad: Term, penalty: Term) -> Term:
        return w - lr * (grad + penalty)

    add("size", "|w|", "i", "|w|", ["w"], abs)
    add("size_sum", r"\lVert w \rVert_1", "", r"\sum |w|", ["size"], total)
    add("penalty", "P", "", r"\lambda \sum |w|", ["l1", "size_sum"], Term.__mul__)
    add("sign", "z", "i", r"\operatorname{sign}(w)", ["w"], Term.sign)
    add("subgradient", "p", "i", r"\lambda z", ["l1", "sign"], Term.__mul__)
    formula = r"w - \eta (\nabla + p)"
    add("step", "w'", "i", formula, ["w", "lr", "grad", "subgradient"], down)

    formula = r"w - \eta \nabla"
    add("plain_step", "u", "i", formula, ["w", "lr", "grad"], lambda w, lr, grad: w - lr * grad)
    add(
        "proximal",
        r"w^*",
        "i",
        r"\operatorname{sign}(u) \max(|u| - \eta \lambda, 0)",
        ["plain_step", "lr", "l1"],
        lambda u, lr, l1: u.sign() * (abs(u) - lr * l1).positive(),
    )

    for name, symbol, letters in (("penalty", "P", ""), ("subgradient", "p", "i")):
        mean, formula = rf"\overline{{{symbol}}}", rf"\frac{{{symbol}}}{{n}}"
        add(f"mean_{name}", mean, letters, formula, [name, "count"], Term.__truediv__)

    two = Term(Fraction(2))
    add("square", "w^2", "i", r"w \cdot w", ["w"], Term.squared)
    add("square_sum", r"\lVert w \rVert_2^2", "", r"\sum w^2", ["square"], total)
    formula = r"\frac{\lambda_2}{2} \sum w^2"
    add("l2_penalty", "Q", "", formula, ["l2", "square_sum"], lambda l2, s: l2 / two * s)
    add("l2_gradient", "q", "i", r"\lambda_2 w", ["l2", "w"], Term.__mul__)
    formula = r"w - \eta (\nabla + q)"
    add("l2_step", "w''", "i", formula, ["w", "lr", "grad", "l2_gradient"], down)
    return work.example()


def _flat(images: Sequence[Sequence[Sequence[int]]]) -> list[Fraction]:
    return [Fraction(number) for image in images for numbers in image for number in numbers]


def _letters(axes: str) -> str:
    """Translate axes of norms.AXES into the letters of an example's cells: "GK" is "c"."""
    channels = {"": "", "G": "g", "GK": "c"}["".join(axis for axis in axes if axis in "GK")]
    return "n" * ("N" in axes) + channels + "hw" * ("S" in axes)
