"""The page that `html` fills in: its style and its frame. What it does is in `html_script`.

`@@` stands where something is put in, in this order: the policy, the style, the title twice, notes, the data,
the script.
"""

STYLE = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #17212b; --soft: #5b6977;
 --line: #c6ced6; --edge: #aab4bf; --hit: #f5b301; --shade: #17212b14;
 --data: #0b7285; --model: #6741d9; --evaluation: #a35c00; --tokenizer: #1864ab; --run: #c2410c;
 --external: #5f6b7a; --missing: #c92a2a; --artifact: #2b8a3e; }
:root[data-theme="dark"] { color-scheme: dark; }
:root[data-theme="light"] { color-scheme: light; }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { --paper: #0e1318; --card: #182029;
 --ink: #e7edf3; --soft: #94a3b2; --line: #33404d; --edge: #51606f; --shade: #0006;
 --data: #3bc9db; --model: #b197fc; --evaluation: #ffc078; --tokenizer: #74c0fc; --run: #ff922b;
 --external: #adb5bd; --missing: #ff8787; --artifact: #8ce99a; } }
:root[data-theme="dark"] { --paper: #0e1318; --card: #182029;
 --ink: #e7edf3; --soft: #94a3b2; --line: #33404d; --edge: #51606f; --shade: #0006;
 --data: #3bc9db; --model: #b197fc; --evaluation: #ffc078; --tokenizer: #74c0fc; --run: #ff922b;
 --external: #adb5bd; --missing: #ff8787; --artifact: #8ce99a; }
* { box-sizing: border-box; }
body { margin: 0; height: 100vh; display: grid; grid: auto 1fr / 1fr 22rem; overflow: hidden;
 background: var(--paper); color: var(--ink);
 font: 14px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
header { grid-column: 1 / -1; display: flex; gap: 1rem; align-items: center; padding: .55rem 1rem;
 background: var(--card); border-bottom: 1px solid var(--line); }
h1 { flex: 1 1 0; min-width: 0; margin: 0; font-size: 1.05rem; font-weight: 650; white-space: nowrap;
 overflow: hidden; text-overflow: ellipsis; }
h1 small { color: var(--soft); font-weight: 400; font-size: .85rem; margin-right: .4rem; }
.search { flex: 0 1 24rem; display: flex; align-items: center; gap: .6rem; }
.search output { color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums; }
input[type="search"] { flex: 1; min-width: 6rem; font: inherit; color: inherit; background: var(--paper);
 padding: .35rem .7rem; border: 1px solid var(--line); border-radius: .5rem; }
.tools { display: flex; gap: .3rem; }
button { font: inherit; color: inherit; cursor: pointer; background: var(--card); padding: .3rem .65rem;
 border: 1px solid var(--line); border-radius: .5rem; }
button:hover { border-color: var(--soft); }
:is(button, input, svg):focus-visible { outline: 2px solid var(--model); outline-offset: 1px; }
.stage { position: relative; min-width: 0; min-height: 0; }
svg { position: absolute; inset: 0; width: 100%; height: 100%; cursor: grab; touch-action: none; }
svg.held { cursor: grabbing; }
svg:focus { outline: none; }
svg:focus-visible { outline: 1px dashed var(--soft); outline-offset: -4px; }
.node { cursor: pointer; --tint: var(--artifact); }
.data { --tint: var(--data); } .model { --tint: var(--model); } .evaluation { --tint: var(--evaluation); }
.tokenizer { --tint: var(--tokenizer); } .run { --tint: var(--run); } .external { --tint: var(--external); }
.missing { --tint: var(--missing); }
.node .box { fill: var(--card); stroke: var(--line); stroke-width: 1.2; }
.node .bar { fill: var(--tint); }
.node text { fill: var(--ink); font-size: 12.5px; unicode-bidi: isolate; direction: ltr; }
.node .name { font-weight: 600; } .node .more { fill: var(--soft); font-size: 11px; }
.node .version { fill: var(--tint); font-size: 11.5px; font-weight: 650; text-anchor: end; }
.node.external .box, .node.missing .box { stroke-dasharray: 5 3; stroke: var(--tint); }
.node.withdrawn .name { text-decoration: line-through; } .node.withdrawn .version { fill: var(--missing); }
.node.root .box { stroke: var(--tint); stroke-width: 2.2; }
.node:hover .box { stroke: var(--tint); }
.node.chosen .box { stroke: var(--tint); stroke-width: 3;
 fill: color-mix(in srgb, var(--tint) 12%, var(--card)); }
.node.hit .box { stroke: var(--hit); stroke-width: 3; }
.node.dim, .edge.dim { opacity: .22; } .node.miss { opacity: .15; } .edge.miss { opacity: .1; }
.node.off, .edge.off { display: none; }
.edge { fill: none; stroke: var(--edge); stroke-width: 1.3; }
.edge.by { stroke-dasharray: 2 4; }
.edge.way { stroke: var(--soft); stroke-width: 1.7; } .edge.near { stroke: var(--model); stroke-width: 2.4; }
svg.far .more, svg.far .version { display: none; } svg.farther text { display: none; }
svg.farther .node .bar { width: 248px; opacity: .8; }
.notes { position: relative; width: fit-content; max-width: calc(100% - 1.6rem); margin: .8rem 0 0 .8rem;
 padding: .35rem .7rem; font-size: 12.5px; overflow-wrap: anywhere; pointer-events: none;
 background: color-mix(in srgb, var(--card) 88%, transparent); border: 1px solid var(--missing);
 border-radius: .5rem; }
.notes + .notes { margin-top: .4rem; }
.legend { position: absolute; left: .8rem; bottom: .8rem; margin: 0; padding: .35rem; display: flex;
 --tint: var(--artifact);
 gap: .15rem; flex-wrap: wrap; max-width: calc(100% - 15rem); background: var(--card);
 border: 1px solid var(--line); border-radius: .7rem; }
.legend button { border: 0; background: none; padding: .15rem .5rem; font-size: 12.5px; }
.legend button::before { content: ""; display: inline-block; width: .65rem; height: .65rem;
 margin-right: .4rem; border-radius: .2rem; background: var(--tint); }
.legend button[aria-pressed="false"] { opacity: .4; text-decoration: line-through; }
.legend i { font-style: normal; color: var(--soft); margin-left: .3rem; }
.map { position: absolute; right: .8rem; bottom: .8rem; width: 12rem; height: 8rem; cursor: crosshair;
 background: var(--card); border: 1px solid var(--line); border-radius: .7rem; }
aside { overflow: auto; padding: 1rem; background: var(--card); border-left: 1px solid var(--line);
 overflow-wrap: anywhere; --tint: var(--artifact); }
aside h2 { margin: .5rem 0 .5rem; font-size: 1.05rem; line-height: 1.3; max-height: 12em; overflow: auto; }
aside h3 { margin: 1.1rem 0 .3rem; font-size: .75rem; letter-spacing: .06em; text-transform: uppercase;
 color: var(--soft); }
.chip { display: inline-block; padding: .05rem .55rem; margin: 0 .3rem .3rem 0; border-radius: 1rem;
 font-size: 12px; color: var(--tint); border: 1px solid var(--tint); }
.alarm { margin: .5rem 0; padding: .5rem .7rem; border-radius: .5rem; border: 1px solid var(--missing);
 color: var(--missing); }
aside .copy { margin-bottom: .7rem; padding: .1rem .6rem; font-size: 12px; color: var(--soft); }
dl { margin: 0; display: grid; grid-template-columns: minmax(5rem, auto) 1fr; gap: .25rem .8rem; }
dt { color: var(--soft); } dd { margin: 0; white-space: pre-wrap; max-height: 16em; overflow: auto;
 font-variant-numeric: tabular-nums; }
dt, dd, .go, h1 bdi { unicode-bidi: isolate; }
.go { display: block; width: 100%; margin: .25rem 0; text-align: left; font-size: 12.5px; max-height: 7em;
 overflow: auto; border-left: 3px solid var(--tint); overflow-wrap: anywhere; }
.go small { display: block; color: var(--soft); unicode-bidi: isolate; }
.keys { margin-top: 1.5rem; color: var(--soft); font-size: 12px; }
kbd { font: 11px ui-monospace, monospace; padding: 0 .3rem; border: 1px solid var(--line);
 border-radius: .3rem; }
@media (max-width: 760px) { body { grid: auto 1fr 38vh / 1fr; }
 aside { border: 0; border-top: 1px solid var(--line); }
 .map { display: none; } .legend { max-width: calc(100% - 1.6rem); } header { flex-wrap: wrap; } }
@media (prefers-reduced-motion: no-preference) { svg.glide #world { transition: transform .22s ease-out; } }
@media print { header .search, .tools, .map { display: none; } }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="@@">
<title>Lineage of @@</title>
<style>@@</style>
</head>
<body>
<header>
<h1><small>Lineage of</small><bdi>@@</bdi></h1>
<div class="search" role="search"><input id="search" type="search" aria-label="Search"
 placeholder="Search names, types, metadata  ( / )"><output id="count" for="search"></output></div>
<div class="tools"><button id="out" type="button" title="Smaller ( - )">&minus;</button><button id="in"
 type="button" title="Larger ( + )">+</button><button id="fit" type="button"
 title="Show all ( 0 )">Fit</button><button id="theme" type="button"
 title="Light or dark">&#9680;</button></div>
</header>
<div class="stage">
<svg id="graph" tabindex="0" role="application"
 aria-label="Lineage graph: arrows walk along it, / searches, + - 0 zoom"><g id="world"><g
 id="edges"></g><g id="nodes"></g></g></svg>
@@<div class="legend" id="legend"></div>
<canvas class="map" id="map" aria-hidden="true"></canvas>
</div>
<aside id="panel" aria-live="polite"></aside>
<noscript>This page draws the graph with JavaScript, all of which is in this file.</noscript>
<script id="data" type="application/json">@@</script>
<script>@@</script>
</body>
</html>
"""
