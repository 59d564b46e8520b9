"""The rows are those of the reports, and naming a network loads nothing."""

import ast
import re
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import get_args

import pytest

from normstudy.study import networks
from normstudy.study.networks import (
    NETWORKS,
    Act,
    AveragePool,
    Block,
    Conv,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Norm,
    Row,
    Separable,
)

REPORTS = {  # as the reports' own files have them; * stands for ReLU, norm, dropout
    ("study-b", 1): "c8* c16* max2 1x1-8 c10* c16* c24* avg6 1x1-16* 1x1-10 1x1-10",
    ("study-c", 3): "c16* c16* 1x1-24 max2 c24p* c24p* c24p* 1x1-32 max2 c32* c32* c32* 1x1-10",
    ("study-d", 1): "c8* c10* max2 c12* c14* c16p* c16* avg6 1x1-10",
    ("study-e", 1): "c8p* c16p* max2 1x1-8 c12* c12* c16* c16* avg6 1x1-10",
}


def spell(word, *, maps):
    """Rows of one word of ``REPORTS``."""
    kind, width, padded, treated = re.fullmatch(r"(c|1x1-|max|avg)(\d+)(p?)(\*?)", word).groups()
    size = int(width)
    if kind in ("max", "avg"):
        return (MaxPool(size) if kind == "max" else AveragePool(size),)
    conv = Conv(size, 1 if kind == "1x1-" else 3, 1 if padded else 0)
    return (conv, Act("relu"), Norm(), Dropout(maps)) if treated else (conv,)


@pytest.mark.parametrize("name", [name for name, _ in REPORTS])
def test_networks_of_the_reports_are_written_as_the_reports_have_them(name):
    (in_channels,) = NETWORKS[name]
    words = REPORTS[name, in_channels].split()
    rows = [row for word in words for row in spell(word, maps=name == "study-d")]
    assert NETWORKS[name][in_channels] == (*rows, Flatten())


def test_every_network_but_ours_is_that_of_a_report():
    ours = {name for name in NETWORKS if not name.startswith("study-")}
    assert {name for name, _ in REPORTS} == set(NETWORKS) - ours


@pytest.mark.parametrize(("in_channels", "widths", "blocks"), [(3, (64, 96), 5), (1, (32, 48), 3)])
def test_our_network_is_a_stem_two_stages_and_a_classifier(in_channels, widths, blocks):
    rows = NETWORKS["separable"][in_channels]
    assert rows[:4] == (Conv(widths[0] // 2, padding=1), MaxPool(2), Norm(), Act("silu"))
    assert rows[-5:] == (Norm(), AveragePool(0), Flatten(), Dropout(), Linear())
    assert [row.width for row in rows if isinstance(row, Conv)][1:] == list(widths)
    assert rows.count(Block()) == blocks


@pytest.mark.parametrize(("name", "in_channels"), [("pyramid", 1), ("pyramid", 3)])
def test_no_norm_stands_before_the_average_pool_of_the_main_study(name, in_channels):
    rows = NETWORKS[name][in_channels]
    pool = rows.index(AveragePool())
    assert rows[pool - 1] == Act("hardswish")
    assert isinstance(rows[pool - 2], Block)
    placed = [row for row in rows if isinstance(row, Norm | Block | Separable)]
    assert all(row.shift for row in placed)
    assert {row.act for row in placed if not isinstance(row, Norm)} == {"hardswish"}


def test_the_networks_for_mnist_differ_in_padding_and_pools_alone():
    valid, same, pooled = (NETWORKS[name][1] for name in ("valid", "same", "same-pooled"))
    assert valid == tuple(replace(r, padding=0) if hasattr(r, "padding") else r for r in same)
    assert [r.pool for r in same if isinstance(r, Separable)] == [True, *[False] * 4]
    assert [r.pool for r in pooled if isinstance(r, Separable)] == [True, True, False, True, False]
    for one, other in zip(same, pooled, strict=True):
        assert one == (replace(other, pool=one.pool) if isinstance(one, Separable) else other)
    assert isinstance(valid[-6], Separable), "no norm stands before the pool"
    assert valid[-5] == Act("hardswish")
    assert {row for row in valid if isinstance(row, Norm)} == {Norm(shift=True)}


@pytest.mark.parametrize("in_channels", [1, 3])
def test_the_norms_behind_the_activations_are_all_that_the_control_changes(in_channels):
    main, control = (NETWORKS[name][in_channels] for name in ("pyramid", "pyramid-act-first"))
    norm, act = Norm(shift=True), Act("hardswish")
    assert main[2:4] == (norm, act)
    assert control[2:4] == (act, norm)
    assert control[:2] == main[:2]
    inner = [row for row in main[4:] if isinstance(row, Block | Separable)]
    assert inner
    turned = [replace(r, act_first=True) if r in inner else r for r in main[4:]]
    assert list(control[4:]) == turned


@pytest.mark.parametrize("in_channels", [1, 3])
def test_finer_maps_come_of_a_pool_that_is_left_out_and_of_nothing_else(in_channels):
    main, finer = (NETWORKS[name][in_channels] for name in ("pyramid", "pyramid-fine"))
    assert main[1] == MaxPool()
    assert finer == (*main[:1], *main[2:])


@pytest.mark.parametrize("in_channels", [1, 3])
def test_the_norm_that_stands_last_takes_the_place_of_an_activation(in_channels):
    main, control = (NETWORKS[name][in_channels] for name in ("pyramid", "pyramid-norm-last"))
    (at,) = (at for at, (one, other) in enumerate(zip(main, control, strict=True)) if one != other)
    assert (main[at], control[at]) == (Act("hardswish"), Norm(shift=True))
    assert main[at + 1] == AveragePool()


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize(("name", "times"), [("half", 0.5), ("double", 2), ("quadruple", 4)])
def test_another_depth_is_another_number_of_blocks_and_nothing_else(name, times, in_channels):
    main, other = (NETWORKS[net][in_channels] for net in ("pyramid", f"pyramid-{name}"))
    kept, others = ([r for r in rows if not isinstance(r, Block)] for rows in (main, other))
    assert kept == others
    block = next(row for row in main if isinstance(row, Block))
    assert other.count(block) == times * main.count(block)


def test_rows_cannot_change_and_compare_by_value():
    assert Conv(8) == Conv(8, 3, 0) != Conv(8, 1)
    with pytest.raises(FrozenInstanceError):
        Conv(8).width = 9
    with pytest.raises(TypeError, match="does not support item assignment"):
        NETWORKS["mine"] = {}


def test_rows_are_of_the_kinds_that_are_listed():
    used = {type(row) for forms in NETWORKS.values() for rows in forms.values() for row in rows}
    assert used == set(get_args(Row))


def test_rows_need_nothing_but_the_standard_library():
    tree = ast.parse(Path(networks.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
