"""The page that `html` fills in, where `@@` stands: its title, then its data."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Lineage of @@</title>
<style>
:root { color-scheme: light dark; font: 14px system-ui, sans-serif; }
body { margin: 0; display: flex; height: 100vh; overflow: hidden; }
main { flex: 1; display: flex; flex-direction: column; min-width: 0; }
header { padding: .5rem; display: flex; gap: .5rem; align-items: center; }
input { flex: 1; font: inherit; padding: .3rem; }
svg { flex: 1; cursor: grab; touch-action: none; min-height: 0; }
aside { width: 24rem; overflow: auto; padding: .75rem; border-left: 1px solid #8888;
 overflow-wrap: anywhere; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; white-space: pre-wrap; }
.node rect { fill: Canvas; stroke: #2a7fb8; stroke-width: 1.5; }
.node text { fill: CanvasText; font-size: 12px; } .node .type { opacity: .65; }
.external rect { stroke: #a14fb8; } .missing rect { stroke: #c33; stroke-dasharray: 5; }
.withdrawn rect { stroke: #c33; } .root rect { stroke-width: 4; } .chosen rect { fill: #2a7fb833; }
.dim { opacity: .15; } .node { cursor: pointer; } .node:focus { outline: 2px solid; }
path { fill: none; stroke: #888; stroke-width: 1.2; } path.near { stroke: #2a7fb8; stroke-width: 2.5; }
</style>
</head>
<body>
<main>
<header><input id="search" type="search" placeholder="Search names, types, metadata" aria-label="Search">
<span id="count"></span><button id="fit" type="button">Fit</button></header>
<svg id="graph" role="img" aria-label="Lineage graph"><g id="edges"></g><g id="nodes"></g></svg>
</main>
<aside id="panel" aria-live="polite"></aside>
<script id="data" type="application/json">@@</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const svg = document.getElementById("graph"), panel = document.getElementById("panel");
const WIDTH = 280, HEIGHT = 44;
function make(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
const short = (text, most) => text.length > most ? text.slice(0, most - 1) + "\\u2026" : text;
const lines = data.edges.map(([from, to]) => {
  const a = data.nodes[from], b = data.nodes[to];
  const x1 = a.x + WIDTH, y1 = a.y + HEIGHT / 2, x2 = b.x, y2 = b.y + HEIGHT / 2, bend = (x1 + x2) / 2;
  return make(document.getElementById("edges"), "path",
    {d: `M${x1},${y1}C${bend},${y1} ${bend},${y2} ${x2},${y2}`});
});
const boxes = data.nodes.map((node, at) => {
  const kind = ["node", node.kind, node.withdrawn === null ? "" : "withdrawn"];
  if (at === data.root) kind.push("root");
  const box = make(document.getElementById("nodes"), "g",
    {class: kind.join(" "), transform: `translate(${node.x},${node.y})`, tabindex: 0});
  make(box, "title", {}, node.uri);
  make(box, "rect", {width: WIDTH, height: HEIGHT, rx: 6});
  make(box, "text", {x: 10, y: 18}, short(node.uri, 40));
  const type = node.kind === "artifact" ? node.type : node.kind;
  make(box, "text", {x: 10, y: 35, class: "type"}, short(type, 40));
  box.addEventListener("click", () => choose(at));
  box.addEventListener("keydown", event => { if (event.key === "Enter") choose(at); });
  return box;
});
const words = data.nodes.map(node => JSON.stringify(node).toLowerCase());
function row(list, name, value) {
  if (value === null || value === undefined || value === "") return;
  const term = document.createElement("dt"), said = document.createElement("dd");
  term.textContent = name;
  said.textContent = typeof value === "string" ? value : JSON.stringify(value, null, 1);
  list.append(term, said);
}
function choose(at) {
  const node = data.nodes[at], list = document.createElement("dl"), title = document.createElement("h2");
  title.textContent = node.uri;
  for (const key of ["type", "kind", "withdrawn", "note", "path", "created_at", "producer", "run"])
    row(list, key, node[key]);
  for (const key in node.metadata) row(list, key, node.metadata[key]);
  row(list, "inputs", node.inputs.join("\\n"));
  panel.replaceChildren(title, list);
  boxes.forEach((box, one) => box.classList.toggle("chosen", one === at));
  lines.forEach((line, one) => line.classList.toggle("near", data.edges[one].includes(at)));
}
document.getElementById("search").addEventListener("input", event => {
  const asked = event.target.value.toLowerCase();
  let found = 0;
  boxes.forEach((box, at) => {
    const hit = words[at].includes(asked);
    box.classList.toggle("dim", !hit);
    found += hit;
  });
  document.getElementById("count").textContent = asked ? `${found} of ${boxes.length}` : "";
});
let view;
function show() { svg.setAttribute("viewBox", view.join(" ")); }
function fit() {
  const right = Math.max(...data.nodes.map(node => node.x)) + WIDTH;
  const low = Math.max(...data.nodes.map(node => node.y)) + HEIGHT;
  view = [-20, -20, right + 40, low + 40];
  show();
}
document.getElementById("fit").addEventListener("click", fit);
svg.addEventListener("wheel", event => {
  event.preventDefault();
  const by = Math.exp(event.deltaY / 500), place = svg.getBoundingClientRect();
  const x = view[0] + view[2] * (event.clientX - place.left) / place.width;
  const y = view[1] + view[3] * (event.clientY - place.top) / place.height;
  view = [x - (x - view[0]) * by, y - (y - view[1]) * by, view[2] * by, view[3] * by];
  show();
}, {passive: false});
let held = null;
svg.addEventListener("pointerdown", event => { held = [event.clientX, event.clientY]; });
window.addEventListener("pointerup", () => { held = null; });
window.addEventListener("pointermove", event => {
  if (!held) return;
  const place = svg.getBoundingClientRect(), scale = Math.max(view[2] / place.width, view[3] / place.height);
  view[0] -= (event.clientX - held[0]) * scale;
  view[1] -= (event.clientY - held[1]) * scale;
  held = [event.clientX, event.clientY];
  show();
});
fit();
choose(data.root);
</script>
</body>
</html>
"""
