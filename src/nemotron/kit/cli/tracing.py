"""`lineage` and `export`: what an artifact comes from, and what came of it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nemotron.kit.cli.options import (
    NODES_SHOWN,
    ExportLimit,
    Json,
    NodesLimit,
    Quiet,
    Ref,
    Root,
    limit_of,
    session,
)
from nemotron.kit.console.output import remark_all
from nemotron.kit.errors import MisuseError

if TYPE_CHECKING:
    from nemotron.kit.console.output import Output
    from nemotron.kit.lineage.collect import Direction
    from nemotron.kit.lineage.graph import Graph


def lineage(
    ref: Ref,
    down: Annotated[
        bool, typer.Option("--down/--up", help="What was made of it, instead of what it was made from.")
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", min=0, help="How many steps to go.", show_default="all"),
    ] = None,
    limit: NodesLimit = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only this type: ModelArtifact, or model; external, missing. Can be given again.",
            show_default="all",
        ),
    ] = None,
    roots: Annotated[bool, typer.Option("--roots", help="Only what it all began with.")] = False,
    leaves: Annotated[bool, typer.Option("--leaves", help="Only what it all led to; means --down.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart.")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="As a graph for Graphviz.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="As one interactive page, to be written to a file.")
    ] = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what an artifact was made from, back to the external inputs, and the runs that made it.

    With --down, REF may also be the URI of an external input: what was made of this dataset? Or a path inside
    an artifact: what said that it took other files is left out.

    Example: nemotron kit lineage my-model --type data --type external

    Example: nemotron kit lineage --down hf://datasets/org/name
    """
    from nemotron.kit.console.lineage import LEVELS_SHOWN_MAX, LineageView, fits
    from nemotron.kit.lineage.collect import collect, made_of
    from nemotron.kit.lineage.runs import with_runs

    registry, output = session(root, as_json, quiet)
    formats = [to for to, asked in (("mermaid", mermaid), ("dot", dot), ("html", html)) if asked]
    if len(formats) + as_json > 1:
        raise MisuseError("Only one of --json, --mermaid, --dot and --html can be had at a time")
    if roots and (down or leaves):
        raise MisuseError("--roots looks up, and --down and --leaves look down: ask one after the other")
    direction: Direction = "down" if down or leaves else "up"
    of_person = output.human and not formats
    with output.progress("Reading manifests"):
        if direction == "down" and not (types or leaves):
            most = limit_of(limit, for_person=of_person, usual=NODES_SHOWN)
            levels = LEVELS_SHOWN_MAX if limit is None else None
            graph, left_out = made_of(registry, ref, most=most, depth=depth, levels=levels)
            graph = _with_note(graph, left_out)
        else:
            graph = collect(registry, ref, direction=direction, depth=depth)
            _refuse_sources_of_the_unknown(graph, direction == "down")
            graph = _filtered(graph, types or (), roots=roots, leaves=leaves)
            is_tree = of_person and not fits(graph, direction, NODES_SHOWN)
            graph, left_out = _nearest(graph, limit_of(limit, for_person=is_tree, usual=NODES_SHOWN))
    graph = with_runs(registry.store, graph, whole=as_json)
    if formats:
        _show_exported(graph, formats[0], output)
    else:
        output.show(LineageView(graph, direction, None if limit is None else left_out))
        if quiet and not as_json:
            remark_all(graph.notes)


def export(
    ref: Ref,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="One of mermaid, dot, html, json, graphml, prov, openlineage.",
            show_default=False,
        ),
    ],
    down: Annotated[
        bool, typer.Option("--down/--up", help="What was made of it, instead of what it was made from.")
    ] = False,
    limit: ExportLimit = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the lineage of an artifact in the format of another tool, to standard output.

    Pictures (mermaid, dot, html) of very many runs show the nearest 500, and say so; the formats for programs
    have all.

    Example: nemotron kit export my-model:production --to prov > lineage.json
    """
    from nemotron.kit.exporters import PICTURES
    from nemotron.kit.lineage.collect import collect, made_of
    from nemotron.kit.lineage.runs import with_runs

    registry, output = session(root, as_json, quiet)
    with output.progress("Reading manifests"):
        most = limit_of(limit, for_person=False)
        if down:
            graph = _with_note(*made_of(registry, ref, most=most))
        else:
            graph, _ = _nearest(collect(registry, ref), most)
        graph = with_runs(registry.store, graph, whole=to not in PICTURES)
    _refuse_sources_of_the_unknown(graph, down)
    _show_exported(graph, to, output)


def _filtered(graph: "Graph", types: Iterable[str], *, roots: bool, leaves: bool) -> "Graph":
    """What was asked for of the graph; what lies between stays a connection."""
    from nemotron.kit.lineage import query

    if roots or leaves:
        ends = set(query.roots(graph) if roots else query.leaves(graph))
        graph = query.only(graph, lambda node: node.uri in ends)
    return query.only(graph, query.of_type(types)) if types else graph


def _nearest(graph: "Graph", limit: int | None) -> "tuple[Graph, int]":
    """What a limit leaves of the graph, with a note that says so; and how many it has taken away."""
    from nemotron.kit.lineage import query

    if limit is None:
        return graph, 0
    near, left_out = query.nearest(graph, limit)
    return _with_note(near, left_out), left_out


def _with_note(graph: "Graph", left_out: int) -> "Graph":
    """The graph with a note that says how many of the farthest are left out, if some are."""
    if not left_out:
        return graph
    shown = sum(node.uri != graph.uri and node.kind != "run" for node in graph)
    note = f"The nearest {shown:,} are shown; {left_out:,} more are left out: --limit 0 for all"
    return replace(graph, notes=(*graph.notes, note))


def _refuse_sources_of_the_unknown(graph: "Graph", down: bool) -> None:
    if graph.root.kind == "external" and not down:
        raise MisuseError(
            f"{graph.uri} is no artifact: nobody knows what it was made from. Ask with --down what came of it"
        )


def _show_exported(graph: "Graph", to: str, output: "Output") -> None:
    from nemotron.kit.console.lineage import ExportView
    from nemotron.kit.exporters import export as exported

    output.show(ExportView(to, exported(graph, to)))
