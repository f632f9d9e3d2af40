"""What was made of a node, in the order of an answer, told from the index without a graph in memory.

The ways are found breadth first by the database, in a table that it keeps on disk when it grows; what is held
here is what was asked for. Each node is then a row: who shows fifty of a hundred thousand reads fifty.

>>> from nemotron.kit.lineage.graph import Node
>>> from nemotron.kit.lineage.index import Index
>>> from nemotron.kit.lineage.reading import Reading
>>> said = dict(kind="artifact", type="T", version=1)
>>> nodes = [Node(uri="art://a:v1", name="a", inputs=("hf://x",), **said)]
>>> nodes += [Node(uri="art://b:v1", name="b", inputs=("art://a:v1",), **said)]
>>> with Index(":memory:") as index:
...     index.add(map(Reading, nodes))
...     descent = Descent(index, "hf://x")
...     descent.count(), descent.count(depth=1), descent.way("art://b:v1")
(2, 1, (('hf://x', 'art://a:v1', 'art://b:v1'), 0))
"""

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.index import Index
from nemotron.kit.lineage.reading import from_text

# A way through more is told by its ends: the ways of a chain together would be the square of its length.
WAY_MAX = 100
_WITHIN = "steps > 0 and (:depth is null or steps <= :depth)"


class Row(NamedTuple):
    """A version that was made of the node.

    Attributes:
        uri: of it.
        name: its key.
        created_at: ISO 8601, or "".
        is_newest: whether the index knows of no higher version of its name.
    """

    uri: str
    name: str
    created_at: str
    is_newest: bool


class Descent:
    """The descendants of a node, as far as the index has read.

    Args:
        index: is asked; it must stay open.
        start: URI of the node.
        without: tells which of those that were made of the node itself don't count as such; they are there
            only if another way leads to them.
    """

    def __init__(self, index: Index, start: str, without: Callable[[Node], bool] | None = None) -> None:
        self._db = index.db
        self._start = start
        self._without = without
        self._spread()

    def _spread(self) -> None:
        """Find a shortest way to each; of several the one by way of the first URI, whatever the ids are."""
        run = self._db.execute
        run("drop table if exists temp.ways")
        run("create temp table ways (id integer primary key, source integer, steps integer not null)")
        run("create index temp.ways_steps on ways (steps)")
        run("begin")  # one state of the index, and no commit for each step
        try:
            uri = self._start.encode("utf-8", "surrogatepass")
            run("insert into temp.ways select id, null, 0 from nodes where uri = ?", (uri,))
            steps = 0
            while self._step(steps):
                steps += 1
                if steps == 1 and self._without is not None:
                    self._leave_out(self._without)
        finally:
            run("commit")

    def _step(self, steps: int) -> bool:
        """Go one step on; False if nothing is there."""
        found = self._db.execute(
            "insert or ignore into temp.ways select edges.target, edges.source, ? from temp.ways"
            " cross join edges on edges.source = ways.id cross join nodes on nodes.id = ways.id"
            " where ways.steps = ? order by nodes.uri",
            (steps + 1, steps),
        )
        return found.rowcount > 0

    def _leave_out(self, without: Callable[[Node], bool]) -> None:
        """Take back the first step to some nodes, before others are made of them."""
        found = self._db.execute(
            "select id, uri, document from temp.ways join nodes using (id)"
            " where steps = 1 and document is not null"
        )
        nodes = ((id_, from_text(uri.decode("utf-8", "surrogatepass"), text)) for id_, uri, text in found)
        left_out = [(id_,) for id_, node in nodes if without(node)]
        self._db.executemany("delete from temp.ways where id = ?", left_out)

    def nearest(self, most: int | None = None, *, depth: int | None = None) -> list[str]:
        """The URIs of the first of them, the nearest before the others.

        Args:
            most: how many, or None for all.
            depth: within so many steps, or None for all.
        """
        found = self._db.execute(
            f"select uri from temp.ways join nodes using (id) where {_WITHIN}"
            " order by steps, nodes.name, nodes.version limit :most",
            {"depth": depth, "most": -1 if most is None else most},
        )
        return [uri.decode("utf-8", "surrogatepass") for (uri,) in found]

    def beyond(self, steps: int) -> list[str]:
        """Of each node that is so many steps away, one that was made of it: whether it goes on there."""
        found = self._db.execute(
            "select uri from nodes where id in (select max(edges.target) from temp.ways"
            " cross join edges on edges.source = ways.id where ways.steps = ? group by ways.id)",
            (steps,),
        )
        return [uri.decode("utf-8", "surrogatepass") for (uri,) in found]

    def count(self, *, depth: int | None = None) -> int:
        """How many there are.

        Args:
            depth: within so many steps, or None for all.
        """
        sql = f"select count(*) from temp.ways where {_WITHIN}"
        (found,) = self._db.execute(sql, {"depth": depth}).fetchone()
        return int(found)

    def names(self, *, depth: int | None = None) -> set[str]:
        """The names of the versions within the depth."""
        sql = f"select distinct name from temp.ways join nodes using (id) where {_WITHIN}"
        return {name for (name,) in self._db.execute(sql, {"depth": depth})}

    def first(self, most: int | None, moved: Mapping[str, str], *, depth: int | None = None) -> list[Row]:
        """The first of them: those that a pointer was moved to, the newest first; then what is newest.

        `latest` is as old as its version.

        Args:
            most: how many, or None for all.
            moved: by URI, when the last alias was moved to it, ISO 8601, or "" if nobody knows; versions
                without aliases are not there.
            depth: within so many steps, or None for all.
        """

        def key(row: Row) -> tuple[str, str]:
            pointed_at = row.is_newest or row.uri in moved
            newest = max(moved.get(row.uri, ""), row.created_at if row.is_newest else "")
            return (newest or row.created_at if pointed_at else "", row.created_at)

        rows = self._rows(depth)
        return sorted(rows, key=key, reverse=True) if most is None else heapq.nlargest(most, rows, key)

    def _rows(self, depth: int | None) -> Iterator[Row]:
        """All of them, the nearest first."""
        found = self._db.execute(
            "select nodes.uri, nodes.name, nodes.document, nodes.version = (select max(other.version)"
            " from nodes as other where other.name = nodes.name and other.document is not null)"
            f" from temp.ways join nodes using (id) where {_WITHIN}"
            " order by steps, nodes.name, nodes.version",
            {"depth": depth},
        )
        for uri, name, document, is_newest in found:
            created_at = json.loads(document)["created_at"] if document else None
            yield Row(uri.decode("utf-8", "surrogatepass"), name, created_at or "", bool(is_newest))

    def steps(self, uri: str) -> int | None:
        """How far a descendant is; None if it is none."""
        sql = "select steps from temp.ways join nodes using (id) where uri = ? and steps > 0"
        row = self._db.execute(sql, (uri.encode("utf-8", "surrogatepass"),)).fetchone()
        return None if row is None else int(row[0])

    def way(self, uri: str) -> tuple[tuple[str, ...], int]:
        """A shortest way from the node to a descendant, both included; and how many of it are left out.

        Of more than `WAY_MAX` the node itself and the last are told.
        """
        sql = "select ways.source, nodes.uri from temp.ways join nodes using (id) where {} = ?"
        row = self._db.execute(sql.format("uri"), (uri.encode("utf-8", "surrogatepass"),)).fetchone()
        steps = self.steps(uri) or 0
        back: list[str] = []
        while row is not None and row[0] is not None and len(back) < WAY_MAX - 1:
            back.append(row[1].decode("utf-8", "surrogatepass"))
            row = self._db.execute(sql.format("ways.id"), (row[0],)).fetchone()
        return (self._start, *reversed(back)), steps - len(back)
