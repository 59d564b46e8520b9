"""Processes that take a step together: they share sums in both directions, and end together."""

import os
import signal
import time

import psutil
import pytest
import torch
import torch.distributed as dist
from joblib.externals.loky.process_executor import TerminatedWorkerError
from torch import nn

from normstudy.study import replicas

pytestmark = pytest.mark.processes


def test_every_process_has_its_rank_and_the_arguments():
    found = replicas.together(lambda rank, a, b: (rank, dist.get_world_size(), a + b), 2, 1, 2)
    assert found == [(0, 2, 3), (1, 2, 3)]
    assert not dist.is_initialized(), "this process is no part of the group"


def test_the_example_of_the_reference():
    total = replicas.total
    sums = replicas.together(lambda rank: total(torch.tensor(rank + 1.0)).item(), 2)
    assert sums == [3.0, 3.0]


def test_a_sum_and_its_gradient_are_those_of_one_process():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 5).double(), torch.randn(2, 5).double()

    def loss_and_gradient(rank):
        mine = x[rank].clone().requires_grad_()
        loss = (replicas.total(mine.square()).exp() * weight[rank]).sum()
        return loss.item(), *torch.autograd.grad(loss, mine)

    losses, gradients = zip(*replicas.together(loss_and_gradient, 2), strict=True)
    whole = x.clone().requires_grad_()
    loss = (whole.square().sum(0).exp() * weight).sum()
    loss.backward()
    assert sum(losses) == pytest.approx(loss.item(), rel=1e-12)
    assert torch.allclose(torch.stack(gradients), whole.grad, rtol=1e-12)


def test_a_sum_has_second_derivatives():
    def second(rank):
        x = torch.tensor(rank + 1.0, requires_grad=True)
        (first,) = torch.autograd.grad(replicas.total(x) ** 3, x, create_graph=True)
        return torch.autograd.grad(first, x)[0].item()

    # the gradients of both losses, 3 s^2 with s = 3, are added up: 6 s^2; and so are theirs
    assert replicas.together(second, 2) == [4 * 6 * 3.0] * 2


def test_outside_of_a_group_a_sum_is_the_tensor_itself():
    x = torch.ones(3)
    assert replicas.total(x) is x


@pytest.mark.parametrize("num", [-1, 0, 1])
def test_one_process_is_no_group(num):
    with pytest.raises(ValueError, match=rf"num={num} is no group of processes; give 2 or more"):
        replicas.together(print, num)


def test_an_error_ends_the_processes_that_wait():
    def fail(rank):
        if rank == 1:
            raise ArithmeticError("of rank 1")
        return replicas.total(torch.ones(1))

    begin = time.monotonic()
    with pytest.raises((ArithmeticError, RuntimeError)):
        replicas.together(fail, 2)
    assert time.monotonic() - begin < replicas._PATIENCE.total_seconds()
    assert replicas.together(lambda rank: rank, 2) == [0, 1], "the next call is not harmed"


def test_a_death_ends_all_and_leaves_no_process():
    def die(rank):
        if rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return replicas.total(torch.ones(1))

    replicas.together(lambda rank: rank, 2)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(TerminatedWorkerError):
        replicas.together(die, 2)
    left = [c for c in psutil.Process().children(recursive=True) if c.pid in before]
    _, alive = psutil.wait_procs([c for c in left if "loky" in " ".join(c.cmdline())], timeout=20)
    assert not [c for c in alive if "resource_tracker" not in " ".join(c.cmdline())]
    assert replicas.together(lambda rank: rank, 2) == [0, 1], "the next call starts new processes"


def test_data_parallel_training_works_in_the_group():
    def gradient(rank):
        net = nn.Linear(1, 1, bias=False)
        nn.init.ones_(net.weight)
        replica = nn.parallel.DistributedDataParallel(net)
        replica(torch.tensor([[rank + 1.0]])).sum().backward()
        return net.weight.grad.item()

    assert replicas.together(gradient, 2) == [1.5, 1.5]


def test_a_process_with_nothing_to_say_does_not_leave_before_the_others_are_there():
    for _ in range(60):  # without a barrier about one in a hundred fails
        assert replicas.together(lambda rank: rank, 2) == [0, 1]
