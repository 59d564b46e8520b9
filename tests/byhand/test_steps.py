"""Numbers and their LaTeX, and chains of steps."""

from fractions import Fraction

import pytest

from normstudy.byhand.examples import NORMS, by_hand, penalties_by_hand, running_by_hand
from normstudy.byhand.steps import Chain, Term, average, latex, total


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(7), "7"),
        (Fraction(-7), "-7"),
        (Fraction(-1, 3), r"-\frac{1}{3}"),
        (0.5, "0.5"),
        (1 / 3, "0.33333333"),
        (1e-5, r"1 \cdot 10^{-5}"),
    ],
)
def test_latex(value: Fraction | float, text: str) -> None:
    assert latex(value) == text


def test_terms_put_parentheses_where_they_are_needed() -> None:
    one, minus, half = Term(Fraction(1)), Term(Fraction(-1)), Term(Fraction(1, 2))
    assert (one + minus).text == "1 + (-1)"
    assert (minus - minus).text == "-1 - (-1)"
    assert (minus * (one + one)).text == r"(-1) \cdot (1 + 1)"
    assert (one * half - one).text == r"1 \cdot \frac{1}{2} - 1"
    assert ((one - half) * one).text == r"\left(1 - \frac{1}{2}\right) \cdot 1"
    assert minus.squared().text == "(-1)^2"
    assert half.squared().text == r"\left(\frac{1}{2}\right)^2"
    assert abs(minus).text == r"\left|-1\right|"
    assert average(one, minus).text == r"\frac{1 + (-1)}{2}"


def test_terms_compute() -> None:
    two, three = Term(Fraction(2)), Term(Fraction(-3))
    values = [t.value for t in (two + three, two - three, two * three, two / three)]
    assert values == [-1, 5, -6, Fraction(-2, 3)]
    assert [t.value for t in (abs(three), three.squared(), three.positive())] == [3, 9, 0]
    assert [Term(Fraction(n)).sign().value for n in (-2, 0, 2)] == [-1, 0, 1]
    assert total(two, three, two).value == 1
    assert average(two, three).value == Fraction(-1, 2)


def test_root_is_exact_where_it_can_be() -> None:
    assert Term(Fraction(9, 4)).root().value == Fraction(3, 2)
    assert isinstance(Term(Fraction(9, 4)).root().value, Fraction)
    assert Term(Fraction(2)).root().value == 2**0.5
    assert isinstance(Term(4.0).root().value, float)


def test_a_value_comes_from_all_values_that_share_a_cell_with_it() -> None:
    chain = Chain("nc", [(n, c) for n in range(2) for c in range(4)], group_size=2)
    chain.give("x", "x", "nc", [Fraction(n) for n in range(8)])
    chain.add("mean", "m", "ng", "", ["x"], average)
    chain.add("back", "b", "nc", "", ["x", "mean"], lambda x, mean: x - mean)
    step = chain.example()["mean"]
    assert step.indices == ((0, 0), (0, 1), (1, 0), (1, 1))
    assert step.values == (Fraction(1, 2), Fraction(5, 2), Fraction(9, 2), Fraction(13, 2))
    assert step.sources[1] == (("x", (0, 2)), ("x", (0, 3)))
    assert step.cells[3] == ((1, 2), (1, 3))
    assert step.tensor.tolist() == [[0.5, 2.5], [4.5, 6.5]]
    assert step.label((1, 0)) == "m_{1,0}"
    assert chain.example()["back"].sources[3] == (("x", (0, 3)), ("mean", (0, 1)))
    assert chain.example()["back"].worked[3] == r"3 - \frac{5}{2}"


def test_sources_name_earlier_steps() -> None:
    examples = [by_hand(norm) for norm in NORMS]
    for example in [*examples, running_by_hand(), running_by_hand(None), penalties_by_hand()]:
        known: set[tuple[str, tuple[int, ...]]] = set()
        for step in example.steps:
            assert all(source in known for used in step.sources for source in used)
            assert bool(step.formula) == all(step.sources) == all(step.worked)
            known |= {(step.name, index) for index in step.indices}
        assert len({step.name for step in example.steps}) == len(example.steps)
