"""Runs that nobody trained, for tests of what is computed from runs; a GPU that is not there."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import torch

from normstudy.study.data import ImageSet, Split, load
from normstudy.study.recipes import Recipe
from normstudy.study.runs import Run


def fake_run(recipe: Recipe, accuracy, *, num=1000, **changes) -> Run:
    """Make a run whose test accuracy, a fraction, takes these values epoch by epoch.

    Everything else follows from them, unless it is given: another column of the history, or a
    field of the run.
    """
    accuracy = np.asarray(accuracy, dtype=np.float64)
    epochs = len(accuracy)
    history = {
        "epoch": list(range(1, epochs + 1)),
        "lr": (
            recipe.lr * np.interp(np.arange(epochs) / epochs, [0, 0.2, 1], [0.1, 1, 0])
        ).tolist(),
        "train_loss": (2.1 - 2 * accuracy).tolist(),
        "train_accuracy": (accuracy + 0.01).tolist(),
        "test_loss": (2.0 - accuracy).tolist(),
        "test_accuracy": accuracy.tolist(),
        "penalty": np.linspace(recipe.l1 * 4000, recipe.l1 * 2000, epochs).tolist(),
        "seconds": [10.0] * epochs,
    }
    history |= {name: changes.pop(name) for name in list(changes) if name in history}
    values = {
        "num_scored": num,
        "predictions": np.zeros(num, dtype=np.int64),
        "confidences": np.ones(num, dtype=np.float32),
        "clean_train": {"loss": 0.1, "accuracy": float(accuracy[-1]) + 0.03},
        "weight_quantiles": np.linspace(0, 1, 1001, dtype=np.float32),
        "environment": {},
    }
    return Run(recipe=recipe, history=history, **(values | changes))


def made(accuracy, seed=0, *, penalty=0.0, **fields) -> Run:
    """Make a run of two epochs that ends at this test accuracy, in percent."""
    recipe = Recipe(**{"data": "digits", "seed": seed, **fields})
    columns = {"train_loss": [0.9, 0.3], "penalty": [penalty, penalty / 2]}
    return fake_run(recipe, [0.5, accuracy / 100], **columns)


def arm(*accuracies, **fields) -> list[Run]:
    """Make an arm of runs that end at these test accuracies, in percent: one seed each."""
    return [made(accuracy, seed, **fields) for seed, accuracy in enumerate(accuracies)]


def near(mean, spread, **fields) -> list[Run]:
    """Make an arm of ten seeds with this mean and about this spread, without chance."""
    return arm(*(mean + spread * np.linspace(-1.5, 1.5, 10)), **fields)


def batch_size(recipe) -> int:
    """Read the setting that ``SIZES`` is about."""
    return recipe.batch_size


def runs_at(size, *accuracies, **fields) -> list[Run]:
    """Make runs with batches of a size that end at these accuracies, in percent: one seed each."""
    return arm(*accuracies, batch_size=size, **fields)


SIZES = {
    "Batch norm": [*runs_at(128, 80, 82), *runs_at(2, 50, 54), *runs_at(8, 70, 70)],
    "Group norm": [*runs_at(8, 75, 77, norm="group"), *runs_at(2, 74, 76, norm="group")],
}
"""A sweep over the batch size."""


def answering(predictions, confidences=None, **fields) -> Run:
    """Make a run that gives these answers to the images of :func:`image_set`."""
    num = len(predictions)
    return fake_run(
        Recipe(**{"data": "digits", **fields}),
        [0.5],
        num=num,
        predictions=np.array(predictions, dtype=np.int64),
        confidences=np.array([0.5] * num if confidences is None else confidences, dtype=np.float32),
    )


def image_set(labels=(0, 1, 2, 0, 1, 2), name="digits") -> ImageSet:
    """Make images of ants, bees and cats on which nothing is to be seen."""
    split = Split(torch.zeros(len(labels), 4, 4, 1, dtype=torch.uint8), torch.tensor(labels))
    zero = torch.zeros(1)
    return ImageSet(name, split, split, ("ant", "bee", "cat"), zero, zero + 1)


class Card:
    """Stands in for a GPU: what is recorded runs nothing until it is replayed.

    Its own step can be recorded; an error has every recording fail.
    """

    def __init__(self, monkeypatch, error=None):
        self.error, self.recording, self.program = error, False, None
        self.plain, self.replays = 0, 0
        stream = SimpleNamespace(wait_stream=lambda other: None)
        monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda of: nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=self.replay))
        monkeypatch.setattr(torch.cuda, "graph", self.record)

    @contextmanager
    def record(self, graph, stream):
        self.recording = True
        try:
            if self.error:
                raise self.error
            yield
        except RuntimeError:
            msg = "operation failed due to a previous error during capture"
            raise RuntimeError(msg)  # noqa: B904 - as torch has it
        finally:
            self.recording = False

    def replay(self):
        self.replays += 1
        self.program()

    def double(self, *, x):
        if self.recording:
            output = torch.zeros_like(x)
            self.program = lambda: output.copy_(2 * x)
            return output
        self.plain += 1
        return 2 * x


DIGITS = load("digits")
TRUTH = DIGITS.test.labels.numpy()
N = len(TRUTH)


def wrong_on(wrong, norm="batch", seed=0, *, answer=1, sure=0.9):
    """Make a run that is wrong on these images: its answer is so many classes further on."""
    predictions = TRUTH.copy()
    predictions[list(wrong)] = (TRUTH[list(wrong)] + answer) % 10
    confidences = np.full(N, sure, np.float32)
    accuracy = (predictions == TRUTH).mean()
    recipe = Recipe(data="digits", norm=norm, seed=seed)
    return fake_run(recipe, [accuracy], num=N, predictions=predictions, confidences=confidences)
