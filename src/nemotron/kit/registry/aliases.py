"""Aliases: append-only logs whose last entry is in force.

Moving an alias is creating the next entry if it is absent: a compare-and-swap, and an audit trail, on stores
that have neither.
"""

import logging
from collections.abc import Iterator

from nemotron.kit.documents import moments
from nemotron.kit.documents.alias import AliasMove
from nemotron.kit.errors import (
    ConflictError,
    CorruptError,
    FormatTooNewError,
    MisuseError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.names import LATEST, Alias, is_alias
from nemotron.kit.redaction import clean
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.older import OlderGenerations
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

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
        return self._state(name, alias)[0]

    def log(self, name: str, alias: Alias) -> list[AliasMove]:
        """All moves, oldest first."""
        sequences = sorted(self._sequences(name, alias))
        return [move for n in sequences if (move := self._read_whole(name, alias, n))]

    def damage(self, name: str, alias: Alias) -> CorruptError | None:
        """What is wrong with the newest entry, or None if it is whole."""
        sequence = max(self._sequences(name, alias), default=0)
        try:
            self._read(name, alias, sequence)
        except CorruptError as error:
            return error
        return None

    def all(self, name: str) -> dict[str, int]:
        """Each alias and the version it points at, sorted by alias."""
        known = {*self._store.list(layout.aliases(name)), *self._older.indexed(name).aliases} - {LATEST.name}
        moves = {text: self.current(name, Alias(text)) for text in sorted(known) if is_alias(text)}
        return {text: move.version for text, move in moves.items() if move}

    def check(self, alias: Alias) -> None:
        """See that somebody may move it.

        Raises:
            MisuseError: the alias is `latest`.
        """
        if alias == LATEST:
            raise MisuseError(
                "The alias 'latest' moves by itself: it is the highest version that is not withdrawn"
            )

    def move(
        self,
        name: str,
        alias: Alias,
        version: int,
        why: str | None = None,
        if_current: int | None = None,
        *,
        force: bool = False,
        protect: bool | None = None,
        undoes: int | None = None,
    ) -> AliasMove:
        """Point an alias at a version; nothing is written if it points there already.

        Args:
            name: the key.
            alias: any but `latest`.
            version: an existing version.
            why: the reason, for the log.
            if_current: move only if it points there now.
            force: move it although it is protected.
            protect: whether it is protected from now on; None leaves that as it is.
            undoes: the sequence of the move that this takes back.

        Raises:
            ConflictError: it points elsewhere than `if_current`.
            RefusedError: it is protected, and would move.
            MisuseError: the alias is `latest`.
        """
        self.check(alias)
        write_id, taken = stamps.uuid7(), 0
        for _ in range(ATTEMPTS_MAX):
            current, highest = self._state(name, alias, taken)
            points_at = current.version if current else None
            if if_current is not None and points_at != if_current:
                shown = f"v{points_at}" if points_at else "nothing"
                raise ConflictError(
                    f"{name}:{alias} points at {shown}, not at v{if_current}: somebody moved it; look again"
                )
            was_protected = current is not None and current.protected
            protected = was_protected if protect is None else protect
            if was_protected and points_at != version and not force:
                raise self._protected(name, alias)
            if current and points_at == version and protected == was_protected:
                if not self._store.exists(layout.alias_move(name, alias.name, highest + 1)):
                    return current
                taken = highest + 1  # the listing was stale
                continue
            move = AliasMove(
                sequence=highest + 1,
                version=version,
                previous=points_at,
                moved_at=stamps.now(),
                moved_by=stamps.who(),
                why=clean(why),
                write_id=write_id,
                protected=protected,
                undoes=undoes,
            )
            if self._store.create(layout.alias_move(name, alias.name, move.sequence), move.to_bytes()):
                return move
            written = self._read_whole(name, alias, move.sequence)
            if written and written.write_id == write_id:  # it was ours: the reply to the first try was lost
                return move
            taken = move.sequence  # for certain, whatever a stale listing says
        raise UnavailableError(f"{name}:{alias} is being moved by others all the time; try again")

    def last_move(self, name: str, alias: Alias) -> AliasMove | None:
        """The last move that was not taken back, or None if there is nowhere to go back to."""
        done: list[AliasMove] = []
        for move in self.log(name, alias):
            if move.undoes is not None:
                done = [earlier for earlier in done if earlier.sequence < move.undoes]
            elif move.version != move.previous:  # else it only protected it, or lifted that
                done.append(move)
        return done[-1] if done and done[-1].previous is not None else None

    def _protected(self, name: str, alias: Alias) -> RefusedError:
        """The error for who would move a protected alias: since when it is, by whom and why."""
        since: AliasMove | None = None
        for move in reversed(self.log(name, alias)):
            if not move.protected:
                break
            since = move
        said = f" by {since.moved_by} at {moments.shown(since.moved_at)}" if since else ""
        why = f": {since.why}" if since and since.why else ""
        return RefusedError(
            f"{name}:{alias} is protected{said}{why}. To move it all the same, use --force (force=True); to "
            "lift the protection, --unprotect (protect=False)"
        )

    def _state(self, name: str, alias: Alias, taken: int = 0) -> tuple[AliasMove | None, int]:
        """The move in force, and the highest sequence that is taken.

        An entry that a crash left torn (possible without hard links) was never promised to anybody:
        its sequence is taken, and it moves nothing.
        """
        sequences = sorted({*self._sequences(name, alias), taken} - {0}, reverse=True)
        highest = sequences[0] if sequences else 0
        for sequence in sequences:
            if move := self._read_whole(name, alias, sequence):
                return move, highest
        number = self._older.indexed(name).aliases.get(alias.name)
        return None if number is None else AliasMove(sequence=0, version=number), highest

    def _sequences(self, name: str, alias: Alias) -> Iterator[int]:
        for file_name in self._store.list(layout.alias_log(name, alias.name)):
            sequence = layout.move_sequence(file_name)
            if sequence is not None:
                yield sequence

    def _read_whole(self, name: str, alias: Alias, sequence: int) -> AliasMove | None:
        """Like `_read`, but None for a torn entry, which it reports."""
        try:
            return self._read(name, alias, sequence)
        except FormatTooNewError:
            raise
        except CorruptError as error:
            log.warning("%s. This move is stepped over; run `nemotron kit doctor`", error)
            return None

    def _read(self, name: str, alias: Alias, sequence: int) -> AliasMove | None:
        key = layout.alias_move(name, alias.name, sequence)
        data = self._store.read(key)
        if data is None:
            return None
        where = f"{self._store.url}/{key}"
        move = AliasMove.from_bytes(data, where)
        if move.sequence != sequence:
            raise CorruptError(f"{where} is damaged: it says it is move {move.sequence}; was it renamed?")
        return move
