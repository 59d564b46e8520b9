"""A recorded step is taken once at each call, whichever way, and never when it cannot be."""

from dataclasses import replace

import pytest
import torch
from fakes import Card

from normstudy.study.cudagraphs import WARM_UP, Recorder, can_record
from normstudy.study.recipes import Recipe


def test_after_some_plain_steps_one_is_recorded_and_replayed_with_new_inputs(monkeypatch):
    card, recorder = Card(monkeypatch), Recorder()
    for number in range(7):
        x = torch.full((4,), float(number))
        assert torch.equal(recorder.take(card.double, x=x), 2 * x)
        assert torch.equal(x, torch.full((4,), float(number))), "inputs are the caller's"
    assert (card.plain, card.replays) == (WARM_UP, 7 - WARM_UP)


def test_a_batch_of_another_size_takes_the_plain_step(monkeypatch):
    card, recorder = Card(monkeypatch), Recorder()
    for num in (4, 4, 1, 4, 4, 1, 4):
        assert recorder.take(card.double, x=torch.ones(num)).tolist() == [2.0] * num
    assert (card.plain, card.replays) == (WARM_UP + 2, 2)
    assert recorder.steps == 5


def test_what_cannot_be_recorded_is_said_once_and_goes_on_plainly(monkeypatch, capsys):
    error = RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors ...")
    card, recorder = Card(monkeypatch, error), Recorder()
    for number in range(7):
        x = torch.full((4,), float(number))
        assert torch.equal(recorder.take(card.double, x=x), 2 * x)
    assert (card.plain, card.replays) == (7, 0)
    assert capsys.readouterr().err == (
        "normstudy: the step cannot be recorded as a CUDA graph (operation not permitted when "
        "stream is capturing); training goes on without\n"
    )


def test_steps_that_differ_by_more_than_their_inputs_are_not_recorded():
    assert can_record(Recipe())
    assert can_record(Recipe(norm="batch", ghost_batch=32, l1=1e-4, probe="statistics", jitter=0.1))
    proximal = Recipe(l1=1e-4, l1_step="proximal")
    assert can_record(replace(proximal, l1=0.0))
    for recipe in (proximal, Recipe(rebuilt=True), Recipe(dropout=0.1)):
        assert not can_record(recipe)


# -- on a GPU --------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_a_gpu_replays_a_step_with_new_inputs_and_keeps_what_it_moved():
    recorder, total = Recorder(), torch.zeros(4, device="cuda")

    def add(*, x):
        return total.add_(x).sum()

    for number in range(8):
        told = recorder.take(add, x=torch.full((4,), float(number), device="cuda"))
        assert told.item() == 4 * sum(range(number + 1))
    assert recorder.graph is not None


@pytest.mark.gpu
def test_a_gpu_goes_on_where_a_step_reads_back(capsys):
    recorder, total = Recorder(), torch.zeros(4, device="cuda")

    def add(*, x):
        total.add_(x * float(x.sum().item() > -1))
        return total.sum()

    for number in range(8):
        told = recorder.take(add, x=torch.full((4,), float(number), device="cuda"))
        assert told.item() == 4 * sum(range(number + 1))
    assert recorder.failed
    assert capsys.readouterr().err.count("cannot be recorded as a CUDA graph") == 1
