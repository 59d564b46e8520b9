"""Several processes that take one step together: started, joined, and able to add up tensors.

Data parallel training in small, on one machine and without a GPU: each process calls the same
function with a rank of its own, and takes its share of the batch by that rank.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch.distributed as dist
from joblib import Parallel, delayed
from torch import Tensor
from torch.autograd import Function

_PATIENCE = dt.timedelta(seconds=60)  # with a process that neither answers nor has died


def together(work: Callable[..., Any], num: int, *arguments: Any) -> list[Any]:
    """Call ``work(rank, *arguments)`` in ``num`` processes at once; return what each returned.

    The processes are a group of ``torch.distributed`` over gloo, so that `work` may call
    :func:`total`, any other collective, or ``DistributedDataParallel``. They are joblib's, which
    take functions of scripts and notebooks as they are, and end together if one of them dies.

    Parameters
    ----------
    work
        What every process does; what it returns must be picklable, and tensors detached.
    num
        Number of processes, 2 or more.
    arguments
        Handed on to each.

    Raises
    ------
    ValueError
        If there are fewer than two processes.
    Exception
        What was raised in one of the processes; joblib's ``TerminatedWorkerError`` if one died.

    Examples
    --------
    Two processes, with 1 and with 2, add up::

        together(lambda rank: total(torch.tensor(rank + 1.0)).item(), 2)  # [3.0, 3.0]
    """
    if num < 2:
        msg = f"num={num} is no group of processes; give 2 or more, or call {work} itself"
        raise ValueError(msg)
    with TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()  # a file through which they find each other
        # each task waits for the others, so each needs a process of its own
        crew = Parallel(n_jobs=num, backend="loky", batch_size=1, pre_dispatch="all")
        tasks = (delayed(_member)(work, rank, num, meeting, arguments) for rank in range(num))
        return list(crew(tasks))


def _member(
    work: Callable[..., Any], rank: int, num: int, meeting: str, arguments: tuple[Any, ...]
) -> Any:
    """Join the group, work, and leave it: whoever still waits for this process then hears so."""
    dist.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=num, timeout=_PATIENCE
    )
    try:
        dist.barrier()  # who has little to do must not leave before the others have connected
        return work(rank, *arguments)
    finally:
        dist.destroy_process_group()


def total(x: Tensor) -> Tensor:
    """Add x up over all processes of the group; outside of a group, return x itself.

    Every process gets the sum. Its gradient with respect to the x of one process is the sum of the
    gradients that all of them have for it, since each of them used it: backward adds up as well.

    Parameters
    ----------
    x
        Any shape, the same in all processes.
    """
    if not dist.is_initialized():
        return x
    y: Tensor = _Total.apply(x)
    return y


class _Total(Function):
    """``all_reduce`` in both directions; torch's own such function is deprecated since 2.15."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        """Add up a copy of x."""
        y = x.clone()
        dist.all_reduce(y)
        return y

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> Tensor:
        """Add up the gradients."""
        return total(grad.contiguous())
