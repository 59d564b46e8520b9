"""A training step as a CUDA graph: recorded once, launched as a whole from then on.

A step of a small network is hundreds of kernels that take microseconds each, and a processor that
launches them one by one is slower than the GPU that computes them. A recorded step is one launch.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from normstudy.study.locks import say
from normstudy.study.recipes import Recipe

WARM_UP = 3
"""Steps before the one that is recorded: libraries set themselves up in the first ones."""


def can_record(recipe: Recipe) -> bool:
    """Whether a step of this recipe does the same each time, but for what its tensors hold.

    A proximal step takes its threshold as a number, and an optimizer that is rebuilt has other
    tensors in each epoch. Dropout could be recorded; nobody has compared it with the plain step.
    """
    proximal = recipe.l1 > 0 and recipe.l1_step == "proximal"
    return not (proximal or recipe.rebuilt or recipe.dropout)


@dataclass(slots=True)
class Recorder:
    """Takes steps: plainly at first, and then by replaying the one that it has recorded.

    The first :data:`WARM_UP` steps and the recorded one are steps of the training like all others:
    to record runs nothing, and each step is taken once, whichever way. A batch of another size, as
    the last one of an epoch is, takes the plain step. If recording fails, that is said once on
    standard error, and all steps are plain.

    References
    ----------
    PyTorch, CUDA semantics, "Whole-network capture",
    https://docs.pytorch.org/docs/stable/notes/cuda.html
    """

    steps: int = field(default=0, init=False)
    """Steps so far of the size that is recorded."""
    failed: bool = field(default=False, init=False)
    """Whether recording was tried and did not work."""
    inputs: dict[str, Tensor] = field(default_factory=dict, init=False)
    """Where the recorded step reads; each step's own are copied there."""
    output: Tensor | None = field(default=None, init=False)
    """Where the recorded step writes."""
    stream: torch.cuda.Stream | None = field(default=None, init=False)
    graph: torch.cuda.CUDAGraph | None = field(default=None, init=False)

    def take(self, step: Callable[..., Tensor], **inputs: Tensor) -> Tensor:
        """Take one step.

        Parameters
        ----------
        step
            A function that reads nothing back from the GPU and whose result has no gradient. It
            does the same at each call, and everything that changes from call to call is an input.
        inputs
            Its arguments, by name, on the GPU.

        Returns
        -------
        Tensor
            What the step returned; the next step may overwrite it.
        """
        if self.failed or not self._fits(inputs):
            return step(**inputs)
        self.steps += 1
        if self.steps <= WARM_UP:
            return self._aside(step, inputs)
        for name, tensor in inputs.items():
            self.inputs[name].copy_(tensor)
        if self.graph is None:
            self._record(step)
        if self.graph is None or self.output is None:
            return step(**inputs)
        self.graph.replay()
        return self.output

    def _fits(self, inputs: dict[str, Tensor]) -> bool:
        """Whether inputs are as large as the first ones were."""
        if not self.inputs:
            self.inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        return all(tensor.shape == self.inputs[name].shape for name, tensor in inputs.items())

    def _aside(self, step: Callable[..., Tensor], inputs: dict[str, Tensor]) -> Tensor:
        """Take a plain step on the stream that will be recorded, on which libraries keep things."""
        here = torch.cuda.current_stream()
        self.stream = self.stream or torch.cuda.Stream()
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            output = step(**inputs)
        here.wait_stream(self.stream)
        return output

    def _record(self, step: Callable[..., Tensor]) -> None:
        """Record the step, which runs nothing, or say why it cannot be recorded."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.output = step(**self.inputs)
        except Exception as error:  # noqa: BLE001 - the plain step shows whether it is one of ours
            self.failed = True
            first = error.__context__ or error  # the end of a recording that broke fails as well
            why = (str(first) or repr(first)).splitlines()[0]
            say(f"the step cannot be recorded as a CUDA graph ({why}); training goes on without")
        else:
            self.graph = graph
