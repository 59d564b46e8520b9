"""Worked examples as mathematics: every line of LaTeX is evaluated, and compared with torch."""

import html
import math
import re
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from normstudy.byhand.examples import (
    BATCHES,
    NORMS,
    NUM_GROUPS,
    SHAPE,
    by_hand,
    penalties_by_hand,
    running_by_hand,
)
from normstudy.byhand.norms import index_sets
from normstudy.byhand.reference import assert_close, by_torch, penalties_by_torch, running_by_torch
from normstudy.byhand.steps import Example, Step
from normstudy.byhand.typeset import TERMS, working


def unbroken(latex: str) -> str:
    """Join the lines of a long sum."""
    for mark in (
        r" \\[-0.1em] {}",
        r" \\ &\quad \textstyle {}",
        r"\begin{array}{r} ",
        r" \end{array}",
        r"\textstyle ",
    ):
        latex = latex.replace(mark, "")
    return latex


def evaluate(latex: str) -> float:
    """Compute what a line of LaTeX says, without knowing where it came from."""
    text = unbroken(latex)
    while match := re.search(r"\\frac\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}", text):
        text = text.replace(match[0], f"(({match[1]})/({match[2]}))")
    for old, new in (
        (r"\cdot", "*"),
        (r"\left|", "abs("),
        (r"\right|", ")"),
        (r"\left", ""),
        (r"\right", ""),
        (r"\sqrt", "sqrt"),
        (r"\operatorname{sign}", "sign"),
        (r"\max", "max"),
        ("^", "**"),
        ("{", "("),
        ("}", ")"),
    ):
        text = text.replace(old, new)
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    known = {"sqrt": math.sqrt, "sign": lambda v: (v > 0) - (v < 0), "max": max, "abs": abs}
    return float(eval(text, {"__builtins__": {}}, known))


def shown(step: Step) -> list[float]:
    """Read the values back from what a page shows, and check each line against itself."""
    page = html.unescape(working(step)._repr_html_())
    body = re.search(r"\\begin\{aligned\} (.*) \\end\{aligned\}", page)[1]
    lines = body.split(r" \\[0.4em] ")[bool(step.formula) :]
    values = []
    for line in lines:
        _, *parts = re.split(r"&?(?:=|\\approx)", line)
        numbers = [evaluate(part) for part in parts]
        assert max(numbers) - min(numbers) <= 2e-7 * max(1, abs(numbers[0])), line
        values.append(numbers[-1])
    return values


def compare(example: Example, expected: dict[str, Tensor]) -> None:
    for name, tensor in expected.items():
        values = torch.tensor(shown(example[name]), dtype=torch.double)
        assert_close(values, tensor.flatten(), atol=2e-7, name=name)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", [Fraction(0), 1e-5])
def test_every_displayed_number_of_a_norm_is_that_of_torch(norm: str, eps: float) -> None:
    example = by_hand(norm, eps)
    x, gamma, beta, upstream = (example[name].tensor for name in ("x", "gamma", "beta", "grad_y"))
    one, zero = torch.ones_like(gamma), torch.zeros_like(beta)
    xhat = by_torch(norm, x, one, zero, upstream, eps=float(eps))["y"]
    owners = index_sets(SHAPE, norm, num_groups=NUM_GROUPS)
    sets = [owners == k for k in owners.unique()]

    def over_sets(values: Tensor) -> Tensor:
        return torch.stack([values[cells].mean() for cells in sets])

    mean = over_sets(x)
    variance = torch.stack([x[cells].var(correction=0) for cells in sets])
    wide = gamma if gamma.dim() == 3 else gamma[:, None, None]
    g = upstream * wide
    expected = {
        "mean": mean,
        "deviation": x - mean[owners],
        "square": (x - mean[owners]).square(),
        "variance": variance,
        "std": (variance + float(eps)).sqrt(),
        "xhat": xhat,
        "grad_y_xhat": upstream * xhat,
        "g": g,
        "mean_g": over_sets(g),
        "g_xhat": g * xhat,
        "mean_g_xhat": over_sets(g * xhat),
        **by_torch(norm, x, gamma, beta, upstream, eps=float(eps)),
    }
    given = {"x", "gamma", "beta", "eps", "grad_y"}
    assert {step.name for step in example.steps} == expected.keys() | given
    compare(example, expected)


@pytest.mark.parametrize("momentum", [Fraction(1, 10), None])
def test_every_displayed_running_statistic_is_that_of_torch(momentum: Fraction | None) -> None:
    example = running_by_hand(momentum)
    batches = [torch.tensor(batch).double() for batch in BATCHES]
    expected = running_by_torch(batches, None if momentum is None else float(momentum))
    expected["running_std"] = expected[f"running_var_{len(BATCHES)}"].sqrt()
    compare(example, expected)


def test_every_displayed_penalty_is_that_of_torch() -> None:
    example = penalties_by_hand()
    w, grad = (example[name].tensor for name in ("w", "grad"))
    strengths = {name: float(example[name].values[0]) for name in ("lr", "l1", "l2")}
    compare(example, penalties_by_torch(w, grad, **strengths))


def test_a_notebook_gets_the_same_mathematics() -> None:
    shown = working(by_hand("batch")["mean"], (2,))
    assert shown._repr_latex_() == (
        r"$$\begin{aligned} \mu &= \frac{1}{m} \sum x \\[0.4em] "
        r"\mu_{2} &= \frac{\begin{array}{r} 2 + 0 + 2 + 8 \\[-0.1em] {} + 6 + 12 + 12 + 14 "
        r"\end{array}}{8} = 7 \end{aligned}$$"
    )
    assert html.unescape(shown._repr_html_()).count(shown._repr_latex_()[2:-2]) == 1


def test_long_sums_are_broken_and_nothing_is_lost() -> None:
    steps = [step for norm in NORMS for step in by_hand(norm).steps]
    steps += [*running_by_hand().steps, *penalties_by_hand().steps]
    broken = 0
    for step in steps:
        lines = working(step).lines[bool(step.formula) :]
        for line, worked in zip(lines, step.worked, strict=True):
            middle = unbroken(line.split("&", 1)[1])
            assert not worked or middle.startswith((f"= {worked} =", rf"= {worked} \approx"))
            assert all(row.count(" + ") <= TERMS for row in line.split(r"\\"))
            broken += r"\\" in line
    means = sum(len(by_hand(norm)["mean"].values) for norm in ("batch", "group", "layer"))
    assert broken > 4 * means  # of x, d squared, g and g times x hat, and the sums for gamma, beta


def test_given_values_need_no_formula_and_rounded_ones_say_so() -> None:
    assert working(by_hand("batch")["beta"], (2,)).lines == (r"\beta_{2} &= -1",)
    assert working(by_hand("batch", 1e-5)["std"], (2,)).lines[1] == (
        r"s_{2} &= \sqrt{25 + 1 \cdot 10^{-5}} \approx 5.000001"
    )


def test_refuses_a_value_that_the_step_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"mean has no value \(4,\); .* from \(0,\) to \(3,\)"):
        working(by_hand("batch")["mean"], (4,))
