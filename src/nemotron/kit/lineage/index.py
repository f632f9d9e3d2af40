"""The lineage index: what manifests say, in SQLite tables that answer without reading them again.

It is derived: who deletes it loses time and nothing else. It knows of what was read; `catch_up` sees to it
that this is everything. Any number of processes may use one file: whatever they add is true for all.

>>> from nemotron.kit.lineage.graph import Node
>>> with Index(":memory:") as index:
...     data = Node(uri="art://data:v1", kind="artifact", type="T", name="data")
...     model = Node(uri="art://model:v1", kind="artifact", type="T", name="model", inputs=(data.uri,))
...     index.add([Reading(data), Reading(model)])
...     index.ancestors("art://model:v1"), index.outputs("art://data:v1")
(('art://data:v1',), ('art://model:v1',))
"""

import fcntl
import itertools
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.errors import KitError
from nemotron.kit.lineage.reading import Reading, from_text, to_text
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Store
from nemotron.kit.store.user_folder import cache_folder

log = logging.getLogger(__name__)

T = TypeVar("T")
MEMORY = ":memory:"
# Part of the file's name: an index of another form is left alone, and a new one is made beside it.
INDEX_FORMAT = 2
PATIENCE_S = 20.0
IDS_REMEMBERED_MAX = 500_000
ASKED_AT_ONCE = 500
_TABLES = """
create table if not exists nodes (
    id integer primary key,
    uri blob not null unique,
    name text,
    version integer,
    write_id text,
    document text  -- null: it was named as an input, and not read
);
create index if not exists versions on nodes (name, version);
create index if not exists writes on nodes (write_id);
create table if not exists edges (
    target integer not null, source integer not null, primary key (target, source)
) without rowid;
create index if not exists outputs on edges (source, target);
create table if not exists names (name text primary key, newest integer not null) without rowid;
create table if not exists unread (name text, version integer, primary key (name, version)) without rowid;
create table if not exists entries (
    write_id text primary key, name text not null, seen_at real not null, pending integer not null
) without rowid;
create index if not exists waiting on entries (name) where pending;
create table if not exists days (day text primary key, mtime_ns integer) without rowid;
create table if not exists facts (key text primary key, value) without rowid;
"""
_UP = """
with recursive reach (id) as (
    select id from nodes where uri = ?
    union
    select edges.source from edges join reach on edges.target = reach.id
)
"""


def ask(store: Store, question: Callable[["Index"], T]) -> T:
    """Put a question to the index of a store, in the user's cache if that can be used, else in memory.

    Args:
        store: whose index.
        question: is put again, to an empty index, if the file turns out to be damaged.
    """
    for place in (*_places(store), MEMORY):
        try:
            with Index(place) as index:
                return question(index)
        except (OSError, sqlite3.OperationalError) as error:  # no place, locked for long, disk full
            if place == MEMORY or isinstance(error, KitError):
                raise
            log.info("The lineage index %s can't be used (%s); everything is read anew", place, error)
        except sqlite3.DatabaseError as error:
            if place == MEMORY:
                raise
            log.warning("The lineage index %s is damaged (%s) and is made anew", place, error)
            _remove(place)
    raise AssertionError("the index in memory neither answered nor failed")


def _places(store: Store) -> Sequence[str]:
    """The file of a store's index, twice: a damaged one is made anew once.

    A root's copy has the same id and goes its own way, and a root may be deleted and founded anew: so the
    index is of an id at a place. It is also of one host, because home folders lie on NFS, and a WAL's memory
    can't be shared between hosts.
    """
    if store.url.startswith("memory:"):  # such stores come and go, and all are called the same
        return ()
    told = (os.uname().nodename.encode(), store.url.encode("utf-8", "surrogatepass"))
    who = hex_of(digest_of(b"\0".join((*told, store.read(layout.FORMAT) or b""))))[:32]
    return (f"{cache_folder()}/nemotron-kit/lineage/{who}-{INDEX_FORMAT}.sqlite",) * 2


def _found(place: str) -> None:
    """See that there is a file. One that is new must not meet the WAL of one that was deleted.

    Raises:
        OSError: there can't be one.
    """
    if place == MEMORY or os.path.exists(place):
        return
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    with open(f"{place}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(place):
            for end in ("-wal", "-shm", "-journal"):
                _remove(f"{place}{end}")
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _remove(place: str) -> None:
    try:
        os.unlink(place)
    except FileNotFoundError:
        return


class Index:
    """Nodes and edges of one store.

    Args:
        place: a file, or `MEMORY`.

    Raises:
        OSError: there is no place for the file.
        sqlite3.Error: by any method, if the file can't be used.
    """

    def __init__(self, place: str) -> None:
        _found(place)
        self._ids: dict[str, int] = {}  # of rows that are there: none is ever deleted
        name = place if place == MEMORY else f"file:{quote(place)}?mode=rw"
        self._db = sqlite3.connect(name, timeout=PATIENCE_S, isolation_level=None, uri=place != MEMORY)
        try:
            # What a power loss takes is read again; nothing is waited for, and nothing is torn.
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._db.execute("pragma cache_size = -65536")
            # Pages that change again and again while an index is built go into the file once, not each time.
            self._db.execute("pragma wal_autocheckpoint = 16384")
            if not self._db.execute("select 1 from sqlite_master where name = 'facts'").fetchone():
                with self.writing():
                    for statement in _TABLES.split(";"):
                        self._db.execute(statement)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._db.close()

    @property
    def db(self) -> sqlite3.Connection:
        """Its tables, for questions that are put together elsewhere."""
        return self._db

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is written inside is there, or nothing of it; inside another such block, with that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.rollback()
            self._ids.clear()
            raise
        self._db.commit()

    # -- questions -----------------------------------------------------------------------------------------

    def ancestors(self, uri: str) -> tuple[str, ...]:
        """Everything that a node was made from, as far as it was read; never the node itself."""
        rows = self._db.execute(f"{_UP} select uri from reach join nodes using (id)", (_blob(uri),))
        return tuple(found for (data,) in rows if (found := _text(data)) != uri)

    def inputs(self, uri: str) -> tuple[str, ...]:
        """What it was made from, one step, as far as it was read."""
        return self._step("target", "source", uri)

    def outputs(self, uri: str) -> tuple[str, ...]:
        """What was made of it, one step, as far as it was read."""
        return self._step("source", "target", uri)

    def _step(self, far: str, near: str, uri: str) -> tuple[str, ...]:
        rows = self._db.execute(
            f"select there.uri from nodes as here join edges on edges.{far} = here.id"
            f" join nodes as there on there.id = edges.{near} where here.uri = ?",
            (_blob(uri),),
        )
        return tuple(_text(data) for (data,) in rows)

    def unread_ancestors(self, uri: str) -> list[str]:
        """Those of the node and its ancestors that were named and not read."""
        rows = self._db.execute(
            f"{_UP} select uri from reach join nodes using (id) where document is null", (_blob(uri),)
        )
        found = [_text(data) for (data,) in rows]
        known = self._db.execute("select 1 from nodes where uri = ?", (_blob(uri),)).fetchone()
        return found if known else [uri]

    def knows(self, uri: str) -> bool:
        """Whether it was read."""
        sql = "select 1 from nodes where uri = ? and document is not null"
        return self._db.execute(sql, (_blob(uri),)).fetchone() is not None

    def reading(self, uri: str) -> Reading | None:
        """What was read of a version, or None."""
        sql = "select document, write_id from nodes where uri = ? and document is not null"
        row = self._db.execute(sql, (_blob(uri),)).fetchone()
        if row is None:
            return None
        return Reading(from_text(uri, row[0]), row[1])

    # -- what was read -------------------------------------------------------------------------------------

    def add(self, readings: Iterable[Reading]) -> None:
        """Put versions in; those that are there are replaced."""
        said = {reading.node.uri: reading for reading in readings}
        edges = [(uri, source) for uri, reading in said.items() for source in reading.node.inputs]
        run = self._db.executemany
        with self.writing():
            ids, new = self._numbered(dict.fromkeys((*said, *(source for _, source in edges))))
            run(
                "insert into nodes (id, uri, name, version, write_id, document) values (?, ?, ?, ?, ?, ?)"
                " on conflict (id) do update set name = excluded.name, version = excluded.version,"
                " write_id = excluded.write_id, document = excluded.document",
                [
                    (ids[uri], _blob(uri), node.name, node.version, write_id, to_text(node))
                    for uri, (node, write_id, _) in said.items()
                ],
            )
            run(
                "insert into nodes (id, uri) values (?, ?)",
                [(ids[one], _blob(one)) for one in new - said.keys()],
            )
            run("delete from edges where target = ?", [(ids[uri],) for uri in said if uri not in new])
            run(
                "insert or ignore into edges (target, source) values (?, ?)",
                [(ids[target], ids[source]) for target, source in edges],
            )
            # Who took them for artifacts of W&B, before they were here, must be read again.
            others = [reading.other_spelling for reading in said.values() if reading.other_spelling]
            self.forget(target for spelling in others for target in self.outputs(spelling))

    def _numbered(self, uris: Iterable[str]) -> tuple[dict[str, int], set[str]]:
        """The ids of URIs, inside `writing`; and those that are new, whose ids are free."""
        if len(self._ids) > IDS_REMEMBERED_MAX:
            self._ids.clear()
        unknown = [uri for uri in uris if uri not in self._ids]
        for at in range(0, len(unknown), ASKED_AT_ONCE):
            some = [_blob(uri) for uri in unknown[at : at + ASKED_AT_ONCE]]
            places = ", ".join("?" * len(some))
            rows = self._db.execute(f"select uri, id from nodes where uri in ({places})", some)
            self._ids.update((_text(data), number) for data, number in rows)
        (highest,) = self._db.execute("select coalesce(max(id), 0) from nodes").fetchone()
        new = [uri for uri in unknown if uri not in self._ids]
        self._ids.update(zip(new, itertools.count(highest + 1), strict=False))
        return {uri: self._ids[uri] for uri in uris}, set(new)

    def forget(self, uris: Iterable[str]) -> None:
        """Versions whose manifest is no longer what was read: they are to be read again."""
        if not (keys := [(_blob(uri),) for uri in uris]):
            return
        run = self._db.executemany
        run("delete from edges where target = (select id from nodes where uri = ?)", keys)
        run(
            "insert or ignore into unread (name, version)"
            " select name, version from nodes where uri = ? and name is not null",
            keys,
        )
        run("update nodes set document = null, write_id = null where uri = ?", keys)

    def forget_name(self, name: str) -> None:
        """A name that is gone, or is another one now."""
        self._db.execute("delete from edges where target in (select id from nodes where name = ?)", (name,))
        self._db.execute("update nodes set document = null, write_id = null where name = ?", (name,))
        self._db.execute("delete from unread where name = ?", (name,))
        self._db.execute("delete from names where name = ?", (name,))

    # -- how far it was read -------------------------------------------------------------------------------

    def newest(self, name: str) -> int:
        """The highest number of a name up to which all were looked at; 0 for none."""
        row = self._db.execute("select newest from names where name = ?", (name,)).fetchone()
        return row[0] if row else 0

    def set_newest(self, name: str, number: int) -> None:
        """All numbers up to this one were looked at."""
        self._db.execute(
            "insert into names values (?, ?)"
            " on conflict (name) do update set newest = max(newest, excluded.newest)",
            (name, number),
        )

    def last_read(self, name: str) -> tuple[int, str] | None:
        """The highest version of a name that was read, and its `write_id`."""
        row: tuple[int, str] | None = self._db.execute(
            "select version, write_id from nodes where name = ? and document is not null"
            " order by version desc limit 1",
            (name,),
        ).fetchone()
        return row

    def names(self) -> set[str]:
        """The names that were looked at."""
        return {name for (name,) in self._db.execute("select name from names")}

    def unread(self) -> list[tuple[str, int]]:
        """The versions that could not be read, or must be read again."""
        return list(self._db.execute("select name, version from unread"))

    def set_unread(self, name: str, number: int, unread: bool) -> None:
        """Note that a version could not be read, or that it was."""
        sql = (
            "insert or ignore into unread values (?, ?)"
            if unread
            else ("delete from unread where name = ? and version = ?")
        )
        self._db.execute(sql, (name, number))

    # -- the journal ---------------------------------------------------------------------------------------

    def see_entries(self, entries: Iterable[tuple[str, str]], now: float) -> None:
        """Note journal entries, `(write_id, name)`; each new one waits for its version."""
        self._db.executemany(
            "insert or ignore into entries values (?, ?, ?, 1)", [(*entry, now) for entry in entries]
        )

    def settle(self, before: float) -> None:
        """Let no entry wait whose version was read, or that was first seen before."""
        self._db.execute(
            "update entries set pending = 0 where pending and (seen_at < ? or exists"
            " (select 1 from nodes where nodes.write_id = entries.write_id and document is not null))",
            (before,),
        )

    def waiting(self) -> set[str]:
        """Names with entries whose version has not been found yet."""
        return {name for (name,) in self._db.execute("select distinct name from entries where pending")}

    def days(self) -> dict[str, int | None]:
        """The days of the journal that were listed, and when the folder was last changed then."""
        return dict(self._db.execute("select day, mtime_ns from days"))

    def set_day(self, day: str, mtime_ns: int | None) -> None:
        """A day was listed."""
        self._db.execute("insert or replace into days values (?, ?)", (day, mtime_ns))

    def fact(self, key: str) -> Any:
        """A value kept by `set_fact`, or None."""
        row = self._db.execute("select value from facts where key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a value."""
        self._db.execute("insert or replace into facts values (?, ?)", (key, value))


def _blob(uri: str) -> bytes:
    """Manifests may hold text that is no UTF-8."""
    return uri.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
