"""The run: what one process, or one part of it, has loaded so far."""

import threading

from nemotron.kit.registry.stamps import uuid7


class Run:
    """A scope of work whose inputs are remembered, so that they become inputs of what it saves.

    Attributes:
        id: the kit's own id, a UUIDv7.
        name: as given to `kit.run`, or None for the run that every process has.
    """

    def __init__(self, name: str | None = None) -> None:
        self.id = uuid7()
        self.name = name
        self._used: dict[str, None] = {}
        self._lock = threading.Lock()

    def use(self, uri: str) -> None:
        """Remember an input; the second time changes nothing.

        Args:
            uri: of a fixed version, `art://name:v3`.
        """
        with self._lock:
            self._used[uri] = None

    def forget(self) -> None:
        """Forget what was used."""
        with self._lock:
            self._used.clear()

    @property
    def used(self) -> tuple[str, ...]:
        """Everything used so far, in order of first use."""
        with self._lock:
            return tuple(self._used)

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, name={self.name!r})"
