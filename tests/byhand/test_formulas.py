"""The lines of the worksheet name every step of the worked examples, and use what it is made of."""

import re

import pytest

from normstudy.byhand.examples import (
    BATCHES,
    NORMS,
    NUM_GROUPS,
    SHAPE,
    by_hand,
    penalties_by_hand,
    running_by_hand,
)
from normstudy.byhand.formulas import (
    BACKWARD,
    BATCH,
    EVALUATION,
    FORWARD,
    LIMITS,
    PENALTIES,
    PENALTY_TITLES,
    START,
    TITLES,
    UPSTREAM,
    Line,
)
from normstudy.byhand.reference import torch_layer
from normstudy.byhand.steps import Example

BATCH_BY_BATCH = [
    Line(*(part.format(t=t) if "_{t}" in part else part for part in line))
    for t in range(1, len(BATCHES) + 1)
    for line in BATCH
]
SHEETS = {norm: ((*FORWARD, UPSTREAM, *BACKWARD), by_hand(norm)) for norm in NORMS}
SHEETS["batches"] = ((*START, *BATCH_BY_BATCH, *EVALUATION), running_by_hand())
SHEETS["weights"] = (PENALTIES, penalties_by_hand())
each_sheet = pytest.mark.parametrize(("lines", "example"), SHEETS.values(), ids=SHEETS)


@each_sheet
def test_every_step_has_a_line_and_every_line_a_step(
    lines: tuple[Line, ...], example: Example
) -> None:
    named = [line.name for line in lines if line.name != "momentum"]  # which each batch repeats
    assert sorted(named) == sorted(step.name for step in example.steps)


@each_sheet
def test_a_formula_uses_all_sources_of_its_step(lines: tuple[Line, ...], example: Example) -> None:
    formulas = {line.name: line.formula for line in lines}
    for step in example.steps:
        formula = formulas[step.name]
        used = {int(place) for place in re.findall(r"{(\d)}", formula)}
        for sources in step.sources:
            if formula and "{all}" not in formula:
                assert used == set(range(len(sources))), step.name


def test_there_is_a_title_for_each_norm_and_each_comparison() -> None:
    assert set(TITLES) == set(NORMS)
    assert set(PENALTY_TITLES) < {line.name for line in PENALTIES}
    inputs = {line.name for line in (*FORWARD, *START, *PENALTIES) if not line.formula}
    assert set(LIMITS) < inputs


def test_the_names_of_torchs_layers_are_theirs() -> None:
    for norm, title in TITLES.items():
        layer = torch_layer(norm, SHAPE, num_groups=NUM_GROUPS)
        theirs = repr(getattr(layer, "layer", layer)).split(", eps")[0]
        assert re.findall(r"\w+", theirs) == re.findall(r"\w+", title.torch.split(", ch")[0]), norm
