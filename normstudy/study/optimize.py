"""What moves the weights: the L1 penalty, the optimizer, and the schedule of its learning rate."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

from normstudy.study.recipes import Recipe


def weights(net: nn.Module) -> list[Tensor]:
    """List the weights of convolutions and linear layers: no biases, no parameters of norms."""
    return [m.weight for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def scales(net: nn.Module) -> list[nn.Parameter]:
    """List the scales of norms, gamma."""
    kinds = nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm
    return [m.weight for m in net.modules() if isinstance(m, kinds)]


def penalized(net: nn.Module, recipe: Recipe) -> dict[str, tuple[Tensor, float]]:
    """Look up what the L1 penalty acts on, by name: each tensor, and how hard it pulls its values.

    That is what the penalty adds to the gradient of each value, in magnitude: lambda, or with
    ``l1_of="mean"`` lambda divided by the number of values.

    Raises
    ------
    ValueError
        If the scales of norms are to be penalized where there is no norm.
    """
    covered = {id(p) for p in (scales(net) if recipe.l1_on == "scales" else weights(net))}
    if not covered:
        msg = f'norm={recipe.norm!r} has no scales to penalize; give l1_on="weights", or l1=0'
        raise ValueError(msg)
    return {
        name: (p, recipe.l1 / (p.numel() if recipe.l1_of == "mean" else 1))
        for name, p in net.named_parameters()
        if recipe.l1_on == "all" or id(p) in covered
    }


def l1_penalty(net: nn.Module, recipe: Recipe) -> Tensor:
    """Lambda times the sum of ``|w|`` over the parameters that the recipe names, a scalar.

    The sum, not the mean, unless the recipe says so: the mean divides lambda by the number of
    weights.
    """
    tensors = [p for p, _ in penalized(net, recipe).values()]
    mean = recipe.l1_of == "mean"
    parts = [p.abs().mean() if mean else p.abs().sum() for p in tensors]
    return recipe.l1 * torch.stack(parts).sum()


@torch.no_grad()
def shrink(net: nn.Module, recipe: Recipe, lr: float) -> None:
    """Take the proximal step of the L1 penalty: move every value towards zero, and never across.

    The soft threshold is ``sign(w) max(|w| - t, 0)`` with ``t = lr lambda / (1 - momentum)``.
    Momentum adds up the gradients of many steps to ``1 / (1 - momentum)`` times one of them, so
    that only with this factor does lambda weigh as much beside the loss as it does as a part of it:
    both ways come to rest at the same weights.

    Parameters
    ----------
    net
        Whose parameters, after a step of the optimizer.
    recipe
        Its fields ``l1``, ``l1_on``, ``l1_of`` and ``momentum``.
    lr
        Learning rate of this step.

    References
    ----------
    N. Parikh and S. Boyd, Proximal Algorithms, 2014, sections 4.2 and 6.5.2.
    """
    for values, strength in penalized(net, recipe).values():
        values.copy_(F.softshrink(values, lr * strength / (1 - recipe.momentum)))


def descend(
    net: nn.Module,
    optimizer: SGD,
    recipe: Recipe,
    loss: Tensor,
    lr: float | Tensor,
) -> Tensor:
    """Move the weights by one step, down the gradient of the loss and as the penalty wants them.

    Parameters
    ----------
    net
        Whose parameters.
    optimizer
        What :func:`make_optimizer` built for it.
    recipe
        Its fields about the penalty, and ``momentum``.
    loss
        Mean cross-entropy of the batch in nats, a scalar.
    lr
        Learning rate of this step, of all parameters. A tensor of float32 on the GPU is read there,
        at every replay of a recorded step again; a proximal step takes a number only.

    Returns
    -------
    Tensor
        The penalty before the step, a scalar; 0 without one.
    """
    penalty = l1_penalty(net, recipe) if recipe.l1 else loss.new_zeros(())
    proximal = recipe.l1 > 0 and recipe.l1_step == "proximal"
    optimizer.zero_grad()
    (loss if proximal else loss + penalty).backward()
    numbers = [group["lr"] for group in optimizer.param_groups]
    try:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
    finally:  # the schedule goes on from numbers, and checkpoints keep them
        for group, number in zip(optimizer.param_groups, numbers, strict=True):
            group["lr"] = number
    if proximal:
        shrink(net, recipe, float(lr))
    return penalty


def make_optimizer(net: nn.Module, recipe: Recipe) -> SGD:
    """Build SGD with momentum; weight decay covers what the recipe says.

    On a GPU its step is one kernel for all parameters, which takes the learning rate as a tensor.
    On the CPU one call takes all parameters, and gives the numbers of one after the other; its
    single kernel would round differently. A step may leave other numbers in the gradients.
    """
    decayed, on_all = weights(net), recipe.weight_decay_on == "all"
    on_gpu = next(net.parameters()).is_cuda
    others = set(net.parameters()) - set(decayed)
    return SGD(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {
                "params": [p for p in net.parameters() if p in others],
                "weight_decay": recipe.weight_decay if on_all else 0.0,
            },
        ],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        fused=on_gpu,
        foreach=not on_gpu,
    )


def make_schedule(optimizer: SGD, recipe: Recipe, total_steps: int) -> LRScheduler:
    """Build the schedule of the learning rate, which is stepped once a batch.

    ``"one-cycle"`` rises on a straight line from a tenth of the highest rate and falls on one to a
    ten-thousandth; ``"one-cycle-cosine"`` follows half a cosine from 1/25 up and down to 1/250,000,
    which are PyTorch's own settings.
    """
    if recipe.schedule == "constant":
        return ConstantLR(optimizer, factor=1.0)
    one_step = recipe.warmup * total_steps == 1  # by whose length, 0, OneCycleLR would divide
    linear = recipe.schedule == "one-cycle"
    return OneCycleLR(
        optimizer,
        recipe.lr,
        total_steps=total_steps,
        pct_start=recipe.warmup + 1e-9 * one_step,
        anneal_strategy="linear" if linear else "cos",
        cycle_momentum=False,
        div_factor=10 if linear else 25,
        final_div_factor=1_000 if linear else 10_000,
    )


def learning_rates(recipe: Recipe, steps: int) -> list[float]:
    """List the learning rate of every step of a training, without training.

    Parameters
    ----------
    recipe
        Whose schedule, and whether it is begun anew with every epoch.
    steps
        Steps of an epoch.

    Returns
    -------
    list of float
        One value for each of ``recipe.epochs * steps`` steps.

    Examples
    --------
    >>> constant = Recipe(schedule="constant", lr=0.1, epochs=2)
    >>> learning_rates(constant, steps=3) == [0.1] * 6
    True
    """
    rates: list[float] = []
    for epoch in range(recipe.epochs):
        if recipe.rebuilt or not epoch:
            optimizer = make_optimizer(nn.Linear(1, 1), recipe)
            schedule = make_schedule(optimizer, recipe, recipe.epochs * steps)
        for _ in range(steps):
            rates.append(float(schedule.get_last_lr()[0]))
            optimizer.step()
            schedule.step()
    return rates
