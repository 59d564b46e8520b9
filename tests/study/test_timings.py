"""Benchmarks are rounds of cases in turn, and are told as ratios within a round."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from normstudy.study import timings
from normstudy.study.timings import Timings, interleave, ratios, read

SLOW, FAST = ("textbook", "Batch norm"), ("normstudy", "Batch norm")
MADE = Timings(
    name="loops",
    per="image",
    seconds={SLOW: [6.0, 8.0, 30.0], FAST: [2.0, 4.0, 3.0], ("textbook", "No norm"): [1, 2, 3]},
    environment={"device": "AVX2 CPU, x86_64"},
    date="2026-11-25",
)


def test_ratios_are_taken_within_a_round():
    assert MADE.ratio(SLOW, FAST) == (3.0, 2.0, 10.0)  # medians of the seconds would give 8 / 3
    assert MADE.median(SLOW) == 8.0
    assert MADE.whats() == ["textbook", "normstudy"]
    assert MADE.arms() == ["Batch norm", "No norm"]


def test_the_table_tells_speeds_or_times_and_leaves_gaps():
    table = ratios(MADE, "textbook")
    assert table.header == ("speed / textbook", "normstudy")
    assert table.rows == (("Batch norm", "3.00 (2.00 to 10.00)"), ("No norm", "–"))
    assert ratios(MADE, "normstudy", ["textbook"]).header == ("speed / normstudy", "textbook")


def test_every_case_is_timed_once_a_round_and_the_first_round_warms_up():
    calls = []

    def case(name):
        def work():
            calls.append(name)
            return float(len(calls))

        return work

    cases = {(str(i), "arm"): case(i) for i in range(6)}
    seconds = interleave(cases, 3)
    rounds = [calls[i : i + 6] for i in range(0, 24, 6)]
    assert all(sorted(of_one) == list(range(6)) for of_one in rounds)
    assert len({tuple(of_one) for of_one in rounds}) > 1
    assert all(len(times) == 3 and min(times) > 6 for times in seconds.values())
    assert list(seconds) == list(cases)


def test_a_file_holds_what_was_saved(tmp_path):
    path = MADE.save(tmp_path / "timings")
    assert [file.name for file in path.parent.iterdir()] == ["loops.json"]
    assert read(path) == MADE
    measured = replace(MADE, memory={"Batch norm": 1 << 30})
    assert read(measured.save(path.parent)).memory == {"Batch norm": 1 << 30}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seconds": [["a", "b"]]}', "null"])
def test_a_file_without_timings_is_refused(tmp_path, text):
    path = tmp_path / "loops.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"loops\.json holds no timings .* nox -s bench"):
        read(path)
    with pytest.raises(ValueError, match="holds no timings"):
        read(tmp_path / "none.json")


def test_cases_of_unequal_rounds_are_refused(tmp_path):
    path = replace(MADE, seconds={SLOW: [1.0], FAST: [1.0, 2.0]}).save(tmp_path)
    with pytest.raises(ValueError, match=r"has cases of \[1, 2\] rounds"):
        read(path)
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"seconds": []}))
    with pytest.raises(ValueError, match=r"has cases of \[\] rounds"):
        read(path)


def test_what_a_layer_keeps_is_counted_once():
    x = torch.randn(8, 6, 5, 5)
    assert timings.kept(nn.Identity(), x) == 0
    assert timings.kept(nn.ReLU(), x) == x.nbytes  # its output
    assert timings.kept(nn.Flatten(), x) == 0
    norm = nn.BatchNorm2d(6)
    held = x.nbytes + 4 * norm.weight.nbytes  # weight, running mean and variance are there anyway
    assert x.nbytes < timings.kept(norm, x) <= held + 4 * norm.weight.nbytes


def test_costs_are_drawn_and_tabulated_relative_to_an_arm():
    values = {("step", "Batch norm"): [3.0, 4.0, 6.0], ("step", "No norm"): [2.0, 2.0, 2.0]}
    made = replace(MADE, seconds=values, environment=MADE.environment | {"threads": 2})
    fig = timings.cost(made, "step", "No norm")
    (row,) = [text.get_text() for text in fig.axes[0].get_yticklabels()]
    assert row == "Batch norm"
    assert "Batch norm 2.00" in fig.normstudy["alt"]
    assert "median of 3 rounds" in fig.normstudy["caption"]
    table = timings.beside(made, {"a step": "step", "another": "none"}, "No norm")
    assert table.header == ("time / no norm", "Batch norm")
    assert table.rows == (("a step", "2.00"), ("another", "–"))
    same = {("one", "Group norm"): [4.0], ("two", "Group norm"): [8.0], ("one", "copy"): [2.0]}
    whats = {"first": "one", "second": "two"}
    made = replace(MADE, seconds=same)
    table = timings.beside(made, whats, "copy", what_under="one")
    assert table.rows == (("first", "2.00"), ("second", "4.00"))


ON_GPU = Timings(
    name="gpu",
    per="case",
    seconds={
        ("one run, after a first one", "Batch norm"): [3.0, 3.5, 3.25],
        ("60 runs, from cold", "all arms"): [110.0, 100.0, 120.0],
    },
    environment={"device": "NVIDIA H100"},
    date="2026-11-25",
    accuracy={
        "on the GPU": {"Batch norm": [0.91, 0.93], "No norm": [0.8, 0.8]},
        "published": {"Batch norm": [0.92, 0.92, 0.92], "No norm": [0.8]},
    },
)


def test_what_a_gpu_takes_is_told_with_accuracies_beside_or_not_at_all(tmp_path):
    assert timings.on_gpu(tmp_path) == []
    ON_GPU.save(tmp_path)
    assert read(tmp_path / "gpu.json") == ON_GPU
    seconds, scores = timings.on_gpu(tmp_path)
    assert seconds.header == ("NVIDIA H100, 2026-11-25", "of", "seconds", "3 rounds")
    assert seconds.rows == (
        ("one run, after a first one", "Batch norm", "3.2", "3.0 to 3.5"),
        ("60 runs, from cold", "all arms", "110.0", "100.0 to 120.0"),
    )
    assert scores.header == ("test accuracy (chance 10%)", "on the GPU", "published")
    assert scores.rows == (
        ("Batch norm", "92.00 ± 1.41% (2)", "92.00 ± 0.00% (3)"),
        ("No norm", "80.00 ± 0.00% (2)", "–"),
    )
