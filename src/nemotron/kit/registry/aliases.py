"""Aliases: each is an append-only log of moves, whose last entry is in force; see `numbered_log`."""

from functools import partial
from typing import TYPE_CHECKING

from nemotron.kit.errors import (
    ConflictError,
    CorruptError,
    MisuseError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.names import LATEST, Alias, is_alias
from nemotron.kit.redaction import clean
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.numbered_log import NumberedLog
from nemotron.kit.registry.older import OlderGenerations
from nemotron.kit.store.protocol import Store

if TYPE_CHECKING:
    from nemotron.kit.documents.alias import AliasMove

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

    def current(self, name: str, alias: Alias) -> "AliasMove | None":
        """The move that is in force, or None if the alias was never set."""
        return self._moves(name, alias).last()[0] or self._older_move(name, alias)

    def log(self, name: str, alias: Alias) -> "list[AliasMove]":
        """All moves, oldest first."""
        return self._moves(name, alias).all()

    def damage(self, name: str, alias: Alias) -> CorruptError | None:
        """What is wrong with the newest entry, or None if it is whole."""
        moves = self._moves(name, alias)
        try:
            moves.read(max(moves.numbers(), default=0))
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
    ) -> "AliasMove":
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
        from nemotron.kit.documents.alias import AliasMove
        from nemotron.kit.registry.flags import check_flag, check_flags

        self.check(alias)
        check_flags(force=force)
        check_flag("protect", protect, may_be_none=True)
        moves, write_id, taken = self._moves(name, alias), stamps.uuid7(), 0
        for _ in range(ATTEMPTS_MAX):
            last, highest = moves.last(taken, patient=True)
            current = last or self._older_move(name, alias)
            points_at = current.version if current else None
            if if_current is not None and points_at != if_current:
                shown = "nothing" if points_at is None else f"v{points_at}"
                raise ConflictError(
                    f"{name}:{alias} points at {shown}, not at v{if_current}: somebody moved it; look again"
                )
            was_protected = current is not None and current.protected
            protected = was_protected if protect is None else protect
            if was_protected and points_at != version and not force:
                raise self._protected(name, alias)
            if current and points_at == version and protected == was_protected:
                if not moves.is_taken(highest + 1):
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
            if moves.append(move):
                return move
            taken = move.sequence  # for certain, whatever a stale listing says
        raise UnavailableError(f"{name}:{alias} is being moved by others all the time; try again")

    def last_move(self, name: str, alias: Alias) -> "AliasMove | None":
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
        from nemotron.kit.documents import moments

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

    def _moves(self, name: str, alias: Alias) -> "NumberedLog[AliasMove]":
        from nemotron.kit.documents.alias import AliasMove

        key = partial(layout.alias_move, name, alias.name)
        return NumberedLog(self._store, layout.alias_log(name, alias.name), AliasMove.from_bytes, key)

    def _older_move(self, name: str, alias: Alias) -> "AliasMove | None":
        """Where an index of older tools has it."""
        number = self._older.indexed(name).aliases.get(alias.name)
        if number is None:
            return None
        from nemotron.kit.documents.alias import AliasMove

        return AliasMove(sequence=0, version=number)
