"""Aliases: append-only logs whose last entry is in force.

Moving an alias is creating the next entry if it is absent: a compare-and-swap, and an audit trail, on stores
that have neither.
"""

from collections.abc import Iterator

from nemotron.kit.documents.alias import AliasMove
from nemotron.kit.errors import ConflictError, MisuseError, UnavailableError
from nemotron.kit.names import LATEST, Alias, is_alias
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.older import OlderGenerations
from nemotron.kit.store.protocol import Store

ATTEMPTS_MAX = 1000


class Aliases:
    """Reads and moves the aliases of a store.

    Args:
        store: where they are.
        older: what an index of older tools says of them; the first move here overrules it.
    """

    def __init__(self, store: Store, older: OlderGenerations) -> None:
        self._store = store
        self._older = older

    def current(self, name: str, alias: Alias) -> AliasMove | None:
        """The move that is in force, or None if the alias was never set."""
        sequence = max(self._sequences(name, alias), default=0)
        if sequence:
            return self._read(name, alias, sequence)
        number = self._older.indexed(name).aliases.get(alias.name)
        return None if number is None else AliasMove(sequence=0, version=number)

    def log(self, name: str, alias: Alias) -> list[AliasMove]:
        """All moves, oldest first."""
        return [move for n in sorted(self._sequences(name, alias)) if (move := self._read(name, alias, n))]

    def all(self, name: str) -> dict[str, int]:
        """Each alias and the version it points at, sorted by alias."""
        known = {*self._store.list(layout.aliases(name)), *self._older.indexed(name).aliases} - {LATEST.name}
        moves = {text: self.current(name, Alias(text)) for text in sorted(known) if is_alias(text)}
        return {text: move.version for text, move in moves.items() if move}

    def move(
        self, name: str, alias: Alias, version: int, why: str | None = None, if_current: int | None = None
    ) -> AliasMove:
        """Point an alias at a version; nothing is written if it points there already.

        Args:
            name: the key.
            alias: any but `latest`.
            version: an existing version.
            why: the reason, for the log.
            if_current: move only if it points there now.

        Raises:
            ConflictError: it points elsewhere than `if_current`.
            MisuseError: the alias is `latest`.
        """
        if alias == LATEST:
            raise MisuseError(
                "The alias 'latest' moves by itself: it is the highest version that is not withdrawn"
            )
        write_id = stamps.uuid7()
        for _ in range(ATTEMPTS_MAX):
            current = self.current(name, alias)
            points_at = current.version if current else None
            if if_current is not None and points_at != if_current:
                shown = f"v{points_at}" if points_at else "nothing"
                raise ConflictError(
                    f"{name}:{alias} points at {shown}, not at v{if_current}: somebody moved it; look again"
                )
            if current and points_at == version:
                return current
            move = AliasMove(
                sequence=current.sequence + 1 if current else 1,
                version=version,
                previous=points_at,
                moved_at=stamps.now(),
                moved_by=stamps.who(),
                why=why,
                write_id=write_id,
            )
            if self._store.create(layout.alias_move(name, alias.name, move.sequence), move.to_bytes()):
                return move
            written = self._read(name, alias, move.sequence)
            if written and written.write_id == write_id:  # it was ours: the reply to the first try was lost
                return move
        raise UnavailableError(f"{name}:{alias} is being moved by others all the time; try again")

    def _sequences(self, name: str, alias: Alias) -> Iterator[int]:
        for file_name in self._store.list(layout.alias_log(name, alias.name)):
            sequence = layout.move_sequence(file_name)
            if sequence is not None:
                yield sequence

    def _read(self, name: str, alias: Alias, sequence: int) -> AliasMove | None:
        key = layout.alias_move(name, alias.name, sequence)
        data = self._store.read(key)
        return None if data is None else AliasMove.from_bytes(data, f"{self._store.url}/{key}")
