"""Tables on terminals of any width: what tells least goes first, and no name is broken."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from nemotron.kit.console import output
from nemotron.kit.console.adoptions import AdoptionsView
from nemotron.kit.console.impact import HitsView, HoldingsView
from nemotron.kit.console.inspected import InspectedView
from nemotron.kit.console.outbox import Line, OutboxView
from nemotron.kit.console.output import View
from nemotron.kit.console.questions import EventsView, SharedView
from nemotron.kit.console.runs import RunsView
from nemotron.kit.console.tables import LONG, Facts, FittingTable
from nemotron.kit.console.verification import VerificationView
from nemotron.kit.console.views import MovesView
from nemotron.kit.console.weighing import CompositionView
from nemotron.kit.documents.alias import AliasMove
from nemotron.kit.documents.outbox import Destination, Failure, Maker, OutboxRecord, RunIdentity
from nemotron.kit.documents.run import Process, RunFinish, RunRecord, RunStart
from nemotron.kit.formats.detect import Detected, Kind
from nemotron.kit.lineage.composition import Composition, Source
from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.impact import Found, Hit, Holding
from nemotron.kit.lineage.query import Shared
from nemotron.kit.lineage.questions import Event
from nemotron.kit.registry.adopting import Adoption
from nemotron.kit.registry.differences import Difference
from nemotron.kit.registry.verify import Verification

WORDS = st.text("abcdefghij-:", min_size=1, max_size=20)


def drawn(what: "str | RenderableType", width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(what)
    return [line.rstrip() for line in capture.get().splitlines()]


def a_run(number: int, name: str, *made: str) -> RunRecord:
    process = Process(user="somebody", host="node-0123.cluster")
    run_id, began = f"01a228e6-b27{number}-72bd-9eeb-c1512513f129", "2025-01-01T00:00:00+00:00"
    start = RunStart(id=run_id, name=name, started_at=began, process=process)
    finish = RunFinish(ended_at="2025-01-01T00:03:20+00:00", status="finished")
    return RunRecord(
        start=start, finish=finish, status="finished", made=tuple(f"art://{one}" for one in made)
    )


RUNS = [
    a_run(1, "data_prep", "nano-pretrain-data:v2"),
    a_run(2, "sft", "nano-sft-data:v2", "nano-sft-model:v12"),
]


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (160, ["ID", "RUN", "STATUS", "BEGAN", "TOOK", "MADE", "BY"]),
        (100, ["ID", "RUN", "STATUS", "BEGAN", "TOOK", "MADE"]),
        (50, ["ID", "RUN", "STATUS", "BEGAN"]),
    ],
)
def test_runs_leave_out_what_tells_least_and_break_no_reference(width: int, head: list[str]) -> None:
    lines = drawn(RunsView(RUNS).render(), width)
    assert lines[0].split() == head
    assert max(map(len, lines)) <= width
    seen = [word.strip(",") for line in lines for word in line.split()]
    for run in RUNS:
        assert {run.id[:13], run.start.name, *(uri.removeprefix("art://") for uri in run.made)} <= set(seen)


def test_what_stands_below_a_row_stands_below_that_row() -> None:
    lines = drawn(RunsView(RUNS).render(), 50)
    assert lines[2] == "  nano-pretrain-data:v2"
    assert lines[4] == "  nano-sft-data:v2, nano-sft-model:v12"


@given(st.lists(st.lists(WORDS, min_size=4, max_size=4), min_size=1, max_size=4), st.integers(26, 90))
def test_every_word_of_the_columns_that_stay_is_whole(rows: list[list[str]], width: int) -> None:
    table = FittingTable(("A", "B", "C", "D"), folding=("B", "D"), dropped=("C",), below=("D",))
    for row in rows:
        table.add_row(*row)
    lines = drawn(table, width)
    assert max(map(len, lines)) <= width
    widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
    if sum(widths) + 2 <= width:
        seen = {word for line in lines for word in line.split()}
        assert {row[at] for row in rows for at in (0, 1, 3)} <= seen


def test_where_nothing_fits_words_are_folded_and_none_is_lost() -> None:
    table = FittingTable(("NAME", "WHY"), folding=("WHY",))
    table.add_row("n" * 40, "w" * 40)
    lines = drawn(table, 20)
    assert max(map(len, lines)) <= 20
    text = "".join(lines)
    assert (text.count("n"), text.count("w")) == (40, 40)


@pytest.mark.parametrize("width", [80, 10_000])
def test_a_long_label_pads_no_other_and_is_whole(width: int) -> None:
    long = "/".join(["train"] * 500)
    rows = [("a.txt", "1 B"), (long, "2 B"), ("train/b.txt", "→ a.txt"), ("l" * LONG, "last")]
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(Facts(rows), crop=False)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    pad = " " * ((LONG if width > LONG else len("train/b.txt")) - len("train/b.txt"))
    assert lines == [
        f"a.txt      {pad}  1 B",
        f"{long}  2 B",
        f"train/b.txt{pad}  → a.txt",
        f"{'l' * LONG}  last",
    ]


def test_a_long_cell_pads_no_row_of_a_pipe() -> None:
    long = "/data" * 200
    table = FittingTable(("OLD", "NEW", "WHY"), folding=("WHY",), dropped=("NEW",))
    for old, new, why in (("a", "bb", "moved"), (long, "c", "long"), ("dd", "e", "w" * (2 * LONG))):
        table.add_row(old, new, why)
    assert drawn(table, 10_000) == [
        "OLD  NEW  WHY",
        "a    bb   moved",
        f"{long}  c  long",
        f"dd   e    {'w' * (2 * LONG)}",
    ]
    assert max(map(len, drawn(table, 80))) <= 80


def made_of_it(number: int) -> Hit:
    uri = f"art://nano3-pretrain-model:v{number}"
    node = Node(
        uri=uri, kind="artifact", type="PretrainBlendsArtifact", name="nano3-pretrain-model", created_at=BEGAN
    )
    return Hit(node, ("art://web:v1", "art://nano3-pretrain-data:v2", uri), ("latest",), 0.25, "claimed")


BEGAN = "2025-01-01T00:00:00+00:00"
RUN = "01a228e6-b271-72bd-9eeb-c1512513f129"
MOVES = [AliasMove(sequence=2, version=2, moved_at=BEGAN, moved_by="somebody@node-0123", why="it is better")]
EVENTS = [Event(BEGAN, "published", "art://nano3-pretrain-model:v2", RUN, "it is better")]
HITS: Found[Hit] = Found([made_of_it(1), made_of_it(2)])
HELD: Found[Holding] = Found([Holding(hit, 0.25, "claimed") for hit in HITS])


@pytest.mark.parametrize("width", [70, 80, 100])
@pytest.mark.parametrize(
    ("view", "told"),
    [
        (HitsView(HITS), {"art://nano3-pretrain-model:v2", "25.0%", "art://nano3-pretrain-data:v2"}),
        (HoldingsView(HELD), {"art://nano3-pretrain-model:v2", "25.0%", "art://nano3-pretrain-data:v2"}),
        (
            EventsView(EVENTS),
            {"2025-01-01T00:00:00Z", "art://nano3-pretrain-model:v2", "published", "better"},
        ),
        (MovesView("nano3-pretrain-model", "production", MOVES), {"2025-01-01T00:00:00Z", "v2", "better"}),
    ],
)
def test_an_answer_is_whole_on_a_common_terminal(view: View, told: set[str], width: int) -> None:
    lines = drawn(view.render(), width)
    assert max(map(len, lines)) <= width
    assert told <= {word for line in lines for word in line.split()}


# -- each table on terminals of three widths -----------------------------------------------------------------

MODEL, BASE = "art://nano3-sft-tuned-model-30b-a3b:v12", "art://nano3-pretrain-base-model-30b:v2"
NODE = Node(uri=MODEL, kind="artifact", type="ModelArtifact", name="m", created_at="2025-01-01T00:00:00Z")
ALIASES = ("latest", "candidate-of-november", "production")
HIT = Hit(NODE, ("hf://a", "art://nano3-pretrain-blend-phase-1:v2", BASE, MODEL), ALIASES, 0.25, "estimated")
WHY = "good enough for the demo of the quarter, see the report of the evaluation"
RECORD = OutboxRecord(
    id="0190",
    created_at="2025-01-01T00:00:00Z",
    destination=Destination(server="https://wandb.example.com", entity="research", project="nano3"),
    run=RunIdentity(id="r1", kit_run="0180"),
    maker=Maker(host="h", pid=1, started="2"),
    subject=MODEL,
)
FAILURE = Failure(why=WHY, kind="unavailable", at="2025-01-01T00:00:00Z")
# What has to be there whole, whatever else is left out.
TABLES: dict[str, tuple[View, set[str]]] = {
    "impact": (HitsView(Found([HIT])), {MODEL, BASE, "25.0%", "production"}),
    "recall": (HoldingsView(Found([Holding(HIT, 0.25, "estimated")])), {MODEL, BASE, "25.0%", "estimated"}),
    "composition": (
        CompositionView(Composition(MODEL, 1e9, (Source(BASE, 0.75, 75e7, "claimed"),), 0.25)),
        {BASE, "75.0%", "claimed", "unknown"},
    ),
    "common": (SharedView(MODEL, BASE, [Shared(NODE, (1, 2), True)]), {"*", MODEL}),
    "log": (
        EventsView(
            [
                Event("2025-01-01T00:00:00Z", "published", MODEL, "01a22926-102f-7745-9317-4d4f99d9bd04"),
                Event("2025-01-01T00:00:01Z", "alias", MODEL, "me@host", WHY, {"alias": ALIASES[1]}),
            ]
        ),
        {"2025-01-01T00:00:00Z", MODEL, "published", ALIASES[1], "me@host", "evaluation"},
    ),
    "outbox": (
        OutboxView(3, [Line("0190", "waiting", RECORD, FAILURE)]),
        {MODEL, "waiting", "evaluation"},
    ),
    "adopt": (
        AdoptionsView(
            "/r", [Adoption(uri="art://nano3-pretrain-data:v1", status="skipped", why=WHY)], dry_run=False
        ),
        {"nano3-pretrain-data:v1", "skipped", "evaluation"},
    ),
}


@pytest.mark.parametrize("width", [50, 80, 200])
@pytest.mark.parametrize("name", TABLES)
def test_no_name_is_broken_on_a_terminal_of(name: str, width: int) -> None:
    view, whole = TABLES[name]
    lines = drawn(view.render(), width)
    assert max(map(len, lines)) <= width
    assert whole <= {word.strip(",") for line in lines for word in line.split()}


@pytest.mark.parametrize("width", [50, 80, 200])
def test_long_paths_are_not_broken(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "train/" + "a-rather-long-name-of-a-shard-" * 4 + "00000-of-00128.idx"
    monkeypatch.setattr(output, "PIPE_WIDTH", width)
    files = (Difference("a.bin", "changed"), Difference(long, "extra"))
    found = Verification(uri=MODEL, ok=False, evidence="stat", bytes_read=0, files=files)
    output.HumanOutput().show(VerificationView(found))
    assert capsys.readouterr().out.splitlines()[:2] == ["changed  a.bin", f"extra    {long}"]
    seen = Detected(kind=Kind.JSONL, type="Artifact", path=long, measured={}, unreadable=())
    output.HumanOutput().show(InspectedView(seen, f"/{long}"))
    assert capsys.readouterr().out.splitlines() == [f"/{long}  Artifact  jsonl"]
