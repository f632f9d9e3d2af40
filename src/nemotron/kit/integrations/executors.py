"""Executors for what outgrows one machine: Ray and Dask read, hash and copy the files.

Every heavy step of the kit takes a `concurrent.futures.Executor`: `save(executor=…)`, `verify(executor=…)`,
`Registry.publish(…, executor=…)`. The workers must see the same paths, and have the kit installed; they reach
a store in a bucket with their own credentials, unless `storage_options` gave some, which then travel along.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import Any

from nemotron.kit.errors import MissingExtraError


def dask_executor(client: Any, **options: Any) -> Executor:
    """An executor over a Dask cluster.

    Args:
        client: a `distributed.Client`.
        **options: of `Client.get_executor`: `workers`, `resources`, `retries`.

    Returns:
        An executor; shutting it down leaves the client as it is.
    """
    # Dask takes equal calls for the same work, whose result it may have already; files can change in between.
    executor: Executor = client.get_executor(**{"pure": False} | options)
    return executor


class RayExecutor(Executor):
    """An executor over a Ray cluster, which is joined, or started on this machine, if it was not yet.

    Args:
        **options: of a Ray task, such as `num_cpus`, `resources`, `scheduling_strategy`.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, **options: Any) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("RayExecutor needs Ray: pip install 'nemotron-kit[ray]'") from error
        if not ray.is_initialized():
            ray.init()
        task = ray.remote(_call)
        self._task = task.options(**options) if options else task
        self._pending: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._is_shut = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have a function called by a worker.

        Returns:
            Its future; cancelling it cancels the task in Ray, where it is not running yet.

        Raises:
            RuntimeError: the executor is shut down.
        """
        with self._lock:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future = _RayFuture(self._task.remote(fn, args, kwargs))
            self._pending.add(future)
        future.add_done_callback(self._forget)
        future.follow()
        return future

    def _forget(self, future: "Future[Any]") -> None:
        with self._lock:
            self._pending.discard(future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; Ray itself goes on.

        Args:
            wait: for what was submitted.
            cancel_futures: cancel what has not begun.
        """
        with self._lock:
            self._is_shut = True
            pending = set(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if wait:
            _wait(pending)


_wait = wait


class _RayFuture(Future[Any]):
    """The future of a Ray task that takes a cancellation back to Ray, and has the error that was raised."""

    def __init__(self, ref: Any) -> None:
        super().__init__()
        self._ref = ref

    def follow(self) -> None:
        """Have the outcome of the task once that is there."""
        self._ref.future().add_done_callback(self._take)

    def _take(self, done: "Future[Any]") -> None:
        if not self.set_running_or_notify_cancel():
            return
        error = done.exception()
        if error is None:
            self.set_result(done.result())
        else:  # Ray wraps what the function raised
            cause = getattr(error, "cause", None)
            self.set_exception(cause if isinstance(cause, BaseException) else error)

    def cancel(self) -> bool:
        """Cancel it, in Ray as well."""
        import ray

        cancelled = super().cancel()
        if cancelled:
            ray.cancel(self._ref)
        return cancelled


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)
