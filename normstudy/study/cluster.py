"""The way to a cluster: joblib's backend for Dask, without its waits for ever.

Nothing here distributes work: Dask does, and joblib hands it over. The module is loaded when it is
asked for, since Dask is an extra and takes a second.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import joblib
from joblib._dask import DaskDistributedBackend

from normstudy.study import workers
from normstudy.study.locks import say
from normstudy.study.workers import ClusterError

PATIENCE = 10
"""Seconds in which a scheduler must answer."""


class Dask(DaskDistributedBackend):  # type: ignore[misc] # joblib ships no types
    """Joblib's backend for Dask, for trainings; :func:`on_dask` makes it the active one."""

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Never name one worker alone: joblib would then do the work itself, in this process."""
        number: int = super().configure(n_jobs, parallel, **options)
        return max(2, number)

    def submit(self, func: Any, callback: Any = None) -> Any:
        """Hand over one training; what Dask gives up comes back as text, like what went wrong.

        Dask gives up what has killed four workers; joblib would wait for it for ever.
        """
        future = super().submit(func, callback)
        [(_, (recipe, *_), _)] = func.items

        def tell(done: Any) -> None:
            if (error := done.exception()) is not None:
                callback([(recipe.name, str(error) or repr(error))])

        future.add_done_callback(tell)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """Unpack what a worker returned; an error in its place is Dask's own.

        Raises
        ------
        ClusterError
            If the scheduler is gone.
        """
        if isinstance(out, BaseException):
            msg = (
                f"the scheduler {self.address} is gone; what was finished is kept, and the same "
                "command goes on once there is one"
            )
            raise ClusterError(msg) from out
        return super().retrieve_result_callback(out)

    @property
    def address(self) -> str:
        """Where the scheduler is."""
        return str(self.client.scheduler.address)

    def prepare(self, datasets: Sequence[str], precisions: Sequence[str], device: str) -> None:
        """Wait for a worker, and let each that is there load what will be needed, or download it.

        Raises
        ------
        ClusterError
            If one of them cannot train.
        """
        if not self.client.nthreads():
            say(f"waiting for workers; one begins with: dask worker {self.address} --nthreads 1")
            self.client.wait_for_workers(1)
        threads: dict[str, int] = self.client.nthreads()
        arguments = workers.look, datasets, precisions, device
        where = {"allow_other_workers": True, "pure": False}  # one that dies now is not waited for
        asked = {
            worker: self.client.submit(*arguments, workers=worker, **where) for worker in threads
        }
        found = [_answer(worker, future) for worker, future in asked.items()]
        differs = [name for name in found[0] if len({str(about[name]) for about in found}) > 1]
        if differs:
            say(f"the workers differ in {', '.join(differs)}, and so will the last bits of numbers")
        if max(threads.values()) > 1:
            say("a worker trains one run at a time, on one thread: start more, with --nthreads 1")


def _answer(worker: str, future: Any) -> dict[str, Any]:
    """What a worker told, if it can train what is asked here."""
    try:
        about: dict[str, Any] = future.result()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        msg = f"the worker {worker} cannot train ({why}); mend this there, or end that worker"
        raise ClusterError(msg) from error
    here = workers.code()
    if there := {name: about[name] for name in here if about[name] != here[name]}:
        msg = f"the worker {worker} has another normstudy: {there}, not {here}; install this one"
        raise ClusterError(msg)
    return about


@contextmanager
def on_dask(scheduler: Any) -> Iterator[None]:
    """Let :func:`normstudy.study.runs.run_all` train on the workers of a Dask cluster.

    Parameters
    ----------
    scheduler
        Address of its scheduler, as in ``"tcp://10.0.0.1:8786"``, or a cluster object, such as
        ``distributed.LocalCluster`` and those of dask-jobqueue.

    Raises
    ------
    ClusterError
        If Dask is not installed, or no scheduler answers within :data:`PATIENCE` seconds.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = "Dask is not installed; install it with: pip install 'normstudy[cluster]'"
        raise ClusterError(msg) from error
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        msg = (
            f"no scheduler answers at {scheduler}, which was tried for {PATIENCE} s; one begins "
            "with: dask scheduler"
        )
        raise ClusterError(msg) from error
    with client, joblib.parallel_config(Dask(client=client)):
        yield
