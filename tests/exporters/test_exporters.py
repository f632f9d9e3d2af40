"""Every format: hostile text stays text, the structure is the graph, and the standards' packages agree."""

import json
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.test_openlineage import judge
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import MisuseError
from nemotron.kit.exporters import FORMATS, dot, export, html, mermaid, openlineage, prov
from nemotron.kit.exporters.html_page import PAGE
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.order import inputs_first, levels

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/lineage.json").read_text(encoding="utf-8"))

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"]; evil [label="',
    '\\"\\',
    "a\nb\u2028c\x1b[31m\x00",
    "--> n0; click n0 call x()",
    "<!--<script>",
    "#quot;&lt;&amp;",
    "@@",
    "\ud800",
    "%%{init: {}}%%",
    "\u202egnp.exe \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "n" * 10_000,
    "' onload='alert(1)",
    "javascript:alert(1)",
]


def hostile_graph(text: str) -> Graph:
    run = "01890a5d-ac96-774b-bcce-b302099a8057"
    model = Node(
        uri="art://model:v2",
        kind="artifact",
        type=text,
        name="model",
        version=2,
        path=text,
        created_at="2025-01-01T00:00:00+00:00",
        producer=text,
        run=run,
        metadata={text: text, "loss": float("nan"), "nested": {text: [text, None]}},
        inputs=("art://data:v1", text),
        withdrawn=text,
    )
    data = Node(uri="art://data:v1", kind="artifact", type="T", name="data", version=1, run="not a uuid")
    outside = Node(uri=text, kind="external", type="external", name=text)
    gone = Node(uri="art://gone:v1", kind="missing", type="artifact", name="gone", version=1, note=text)
    edges = (Edge(data.uri, model.uri), Edge(text, model.uri), Edge(gone.uri, data.uri))
    return Graph(model.uri, (model, data, outside, gone), edges)


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def graph(request: pytest.FixtureRequest) -> Graph:
    return hostile_graph(request.param)


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_takes_any_text(graph: Graph, to: str) -> None:
    text = export(graph, to)
    assert text.endswith("\n")
    text.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text)


def test_an_unknown_format_is_refused(graph: Graph) -> None:
    with pytest.raises(MisuseError, match="Must be one of: mermaid, dot, html"):
        export(graph, "graphviz")


def test_mermaid_is_one_line_a_node_and_one_an_edge(graph: Graph) -> None:
    lines = mermaid.write(graph).splitlines()
    assert lines[0] == "flowchart LR"
    nodes, edges, style = lines[1:5], lines[5:8], lines[8:]
    label = r"(?:[^\W_]|[ ._/-]|#\d+;|<br/>)*"
    shape = rf'    n\d+(?:\["{label}"\]|\[\("{label}"\)\]|\{{\{{"{label}"\}}\}})'
    assert all(re.fullmatch(shape, line) for line in nodes), nodes
    assert edges == ["    n1 --> n0", "    n2 --> n0", "    n3 --> n1"]
    assert style == ["    style n0 stroke-width:3px"]


def test_dot_is_one_statement_a_line(graph: Graph) -> None:
    lines = dot.write(graph).splitlines()
    quoted = r'"(?:[^"\\]|\\.)*"'
    assert (lines[0], lines[-1], len(lines)) == ("digraph lineage {", "}", 11)
    for line in lines[3:7]:
        assert re.fullmatch(
            rf"    {quoted} \[label={quoted}, shape=\w+(?:, penwidth=3)?(?:, style=dashed)?\];", line
        )
    for line in lines[7:10]:
        assert re.fullmatch(rf"    {quoted} -> {quoted};", line)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.data: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.data.append(data)


def test_html_has_the_same_markup_whatever_the_text_and_its_data_comes_back(graph: Graph) -> None:
    page, plain = Reader(), Reader()
    page.feed(html.write(graph))
    plain.feed(PAGE)
    assert page.tags == plain.tags
    said = json.loads(page.data[0])
    assert [node["uri"] for node in said["nodes"]] == [node.uri for node in graph]
    assert [(edge["from"], edge["to"]) for edge in said["edges"]] == [(1, 0), (2, 0), (3, 1)]
    assert "http" not in page.data[1].replace("http://www.w3.org/2000/svg", "")
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|eval|Function", page.data[1])


def test_html_puts_inputs_left_and_nothing_on_top_of_another(graph: Graph) -> None:
    page = Reader()
    page.feed(html.write(graph))
    nodes = json.loads(page.data[0])["nodes"]
    assert len({(node["x"], node["y"]) for node in nodes}) == len(nodes)
    at = {node["uri"]: node["x"] for node in nodes}
    assert all(at[edge.source] < at[edge.target] for edge in graph.edges)


def test_json_is_strict_and_the_graph(graph: Graph) -> None:
    def refuse(literal: str) -> None:
        raise AssertionError(literal)

    said = json.loads(export(graph, "json"), parse_constant=refuse)
    assert [node["uri"] for node in said["nodes"]] == [node.uri for node in graph]
    assert said["edges"][0] == {"from": "art://data:v1", "to": "art://model:v2", "role": "input"}


def test_json_is_what_its_schema_says(graph: Graph) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    check = jsonschema.Draft202012Validator(SCHEMA)
    said = json.loads(export(graph, "json"))
    check.validate(said)
    use = InputEdge(uri="art://data:v1", role="data", shards=("a",), token_range=(0, 5), tokens=5, weight=1.0)
    told = replace(graph.node("art://model:v2"), edges=(use,))
    more = Graph(told.uri, (told, *graph.nodes[1:]), (Edge(use.uri, told.uri, "data", use),))
    check.validate(json.loads(export(more, "json")))
    # It has teeth: it names every field that there is, and none that is not.
    assert set(SCHEMA["$defs"]["node"]["properties"]) == set(said["nodes"][0])
    assert set(SCHEMA["$defs"]["use"]["properties"]) == {one.name for one in fields(InputEdge)} - {"uri"}
    for broken in ({**said, "nodes": []}, {**said, "uri": 1}, {**said, "edges": [{"from": "a", "to": "b"}]}):
        assert not check.is_valid(broken)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_prov_package_reads_it(graph: Graph) -> None:
    from prov.model import ProvActivity, ProvDerivation, ProvDocument, ProvEntity, ProvUsage

    document = ProvDocument.deserialize(content=prov.write(graph), format="json")
    counts = {
        kind: len(list(document.get_records(kind)))
        for kind in (ProvEntity, ProvActivity, ProvDerivation, ProvUsage)
    }
    assert list(counts.values()) == [4, 2, 3, 3]


PLACES = [f"art://n{i}:v1" for i in range(6)]


@given(st.sets(st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)), max_size=15))
def test_inputs_come_first_but_in_cycles_and_nothing_is_lost(edges: set[tuple[str, str]]) -> None:
    nodes = tuple(Node(uri=uri, kind="artifact", type="T", name=uri) for uri in PLACES)
    graph = Graph(PLACES[0], nodes, tuple(Edge(*edge) for edge in sorted(edges)))
    order = inputs_first(graph)
    assert sorted(order) == PLACES
    assert set(levels(graph)) == set(PLACES)
    if all(source < target for source, target in edges):
        assert all(order.index(source) < order.index(target) for source, target in edges)
        assert all(levels(graph)[source] < levels(graph)[target] for source, target in edges)
    for to in FORMATS:
        export(graph, to)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_run_is_drawn_apart_from_what_things_were_made_of(text: str) -> None:
    plain = hostile_graph(text)
    run_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    run = Node(
        uri=f"run://{run_id}", kind="run", type="run", name=text, run=run_id, metadata={"status": text}
    )
    graph = Graph(plain.uri, (*plain.nodes, run), (*plain.edges, Edge(run.uri, plain.uri, "run")))
    for to in FORMATS:
        export(graph, to).encode()
    assert "    n4 -.-> n0" in mermaid.write(graph).splitlines()
    assert dot.write(graph).splitlines()[-2].endswith("[style=dotted];")
    said = json.loads(prov.write(graph))
    assert len(said["entity"]) == len(plain.nodes)
    assert len(said["wasDerivedFrom"]) == len(plain.edges)
    assert set(said["activity"]) == set(json.loads(prov.write(plain))["activity"])
    made, before = ([e for e in openlineage.events(one) if e["outputs"]] for one in (graph, plain))
    assert [(e["inputs"], e["outputs"]) for e in made] == [(e["inputs"], e["outputs"]) for e in before]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_was_left_out_is_told_in_every_format(text: str) -> None:
    """Where the format's own readers find it; and as text, whatever it holds."""
    from prov.model import ProvDocument

    told = ("Runs left out: 12", text)
    plain = hostile_graph("plain")
    graph = replace(plain, notes=told)
    for to in FORMATS:
        export(graph, to).encode()

    lines = mermaid.write(graph).splitlines()
    assert lines[: len(mermaid.write(plain).splitlines())] == mermaid.write(plain).splitlines()
    assert lines[-4:-2] == ['    note0["Runs left out#58; 12"]', "    style note0 stroke-dasharray:5"]
    label = r"(?:[^\W_]|[ ._/-]|#\d+;)*"
    assert re.fullmatch(rf'    note1\["{label}"\]', lines[-2])

    (line,) = set(dot.write(graph).splitlines()) - set(dot.write(plain).splitlines())
    assert re.fullmatch(r'    fontname="Helvetica"; label="(?:[^"\\]|\\.)*";', line)
    assert line.startswith('    fontname="Helvetica"; label="Runs left out: 12\\n')

    page, without = Reader(), Reader()
    page.feed(html.write(graph))
    without.feed(html.write(plain))
    extra = ["p", "p"]
    place = page.tags.index("p")
    assert page.tags[:place] + page.tags[place + 2 :] == without.tags
    assert page.tags[place : place + 2] == extra

    assert json.loads(export(graph, "json"))["notes"][0] == told[0]
    asked = prov._name(graph.uri)
    document = ProvDocument.deserialize(content=prov.write(graph), format="json")
    attributes = {str(key): value for key, value in document.get_record(asked)[0].attributes}
    assert attributes["kit:notes"] == "\n".join(told)
    assert "kit:notes" not in prov.write(plain)

    with_notes = [e for e in openlineage.events(graph) if openlineage.NOTES_FACET in e["run"]["facets"]]
    assert [event["job"]["name"] for event in with_notes] == ["model", "model"]
    for event in with_notes:
        judge(event)
        assert event["run"]["facets"][openlineage.NOTES_FACET]["notes"] == list(told)
