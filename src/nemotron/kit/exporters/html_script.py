"""What the page of `html` does: draw, search, zoom, choose. Text stays text, and is never markup."""

SCRIPT = r"""
"use strict";
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent), nodes = data.nodes, edges = data.edges;
const svg = $("graph"), world = $("world"), panel = $("panel"), map = $("map");
const WIDTH = 248, HEIGHT = 46, READABLE = .62;
const inputs = nodes.map(() => []), outputs = nodes.map(() => []);
edges.forEach((edge, at) => { outputs[edge.from].push(at); inputs[edge.to].push(at); });

// -- words ----------------------------------------------------------------------------------------------

const short = (text, most) => {
  const letters = Array.from(text.slice(0, 4 * most).replace(/\s+/g, " "));
  return letters.length > most ? letters.slice(0, most - 1).join("") + "\u2026" : letters.join("");
};
const middle = (text, most) => text.length <= most ? short(text, most)
  : short(text.slice(0, most >> 1), most >> 1) + "\u2026" + text.slice(-(most >> 1) + 1);
const amount = number => {
  for (const [size, sign] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]])
    if (Math.abs(number) >= size) return +(number / size).toPrecision(3) + sign;
  return String(+number.toPrecision(4));
};
const MEASURES = ["loss", "accuracy", "reward", "score", "step", "iteration"];
function facts(node) {
  const said = [], numbers = Object.entries(node.metadata).filter(([, value]) => typeof value === "number");
  for (const word of ["tokens", "sequences", "samples"]) {
    const found = numbers.find(([key]) => [`total_${word}`, `num_${word}`, word].includes(key));
    if (found) said.push(`${amount(found[1])} ${word}`);
  }
  for (const [key, value] of numbers)
    if (MEASURES.some(word => key.split("_").includes(word)))
      said.push(`${key.replaceAll("_", " ")} ${amount(value)}`);
  return said.slice(0, 2);
}
function value(one) {
  if (typeof one === "string") return one;
  return typeof one === "number" ? one.toLocaleString("en-US", {maximumFractionDigits: 12})
    : JSON.stringify(one, null, 1);
}
const kind = node => node.kind === "missing" ? node.kind : node.type;
const second = node => node.kind === "run" ? `run, ${node.metadata.status}` : kind(node);

// -- drawing --------------------------------------------------------------------------------------------

function make(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
function element(name, parent, text, look) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (look) made.className = look;
  parent.append(made);
  return made;
}
function way(edge) {
  const a = nodes[edge.from], b = nodes[edge.to];
  let x = a.x + WIDTH, y = a.y + HEIGHT / 2, drawn = `M${x},${y}`;
  const turn = (to, height) => {
    const bend = to > x ? (to - x) / 2 : 90;  // an edge of a cycle goes back, around its ends
    drawn += `C${x + bend},${y} ${to - bend},${height} ${to},${height}`;
    [x, y] = [to, height];
  };
  edge.passing.forEach((height, at) => {
    turn(a.x + (at + 1) * data.column, height + HEIGHT / 2);
    x += WIDTH;
    drawn += `H${x}`;
  });
  turn(b.x, b.y + HEIGHT / 2);
  return drawn;
}
const lines = edges.map(edge =>
  make($("edges"), "path", {d: way(edge), class: edge.role === "run" ? "edge by" : "edge"}));
const boxes = nodes.map((node, at) => {
  const look = ["node", node.category];
  if (node.withdrawn !== null) look.push("withdrawn");
  if (at === data.root) look.push("root");
  const box = make($("nodes"), "g", {class: look.join(" "), transform: `translate(${node.x},${node.y})`});
  const known = node.kind === "artifact";
  make(box, "title", {}, short(node.uri, 300) + (node.withdrawn === null ? "" : "\nwithdrawn"));
  make(box, "rect", {class: "box", width: WIDTH, height: HEIGHT, rx: 8});
  make(box, "rect", {class: "bar", width: 5, height: HEIGHT, rx: 2.5});
  make(box, "text", {class: "name", x: 16, y: 20}, known ? short(node.name, 25) : middle(node.name, 27));
  const more = [second(node), ...facts(node)].join(" \u00b7 ");
  make(box, "text", {class: "more", x: 16, y: 36}, short(more, 40));
  if (node.version) make(box, "text", {class: "version", x: WIDTH - 11, y: 20}, `v${node.version}`);
  box.addEventListener("click", () => choose(at));
  return box;
});

// -- the view -------------------------------------------------------------------------------------------

const right = WIDTH + nodes.reduce((most, node) => Math.max(most, node.x), 0);
const low = HEIGHT + nodes.reduce((most, node) => Math.max(most, node.y), 0);
let chosen = -1;
let view = {x: 0, y: 0, k: 1};  // the screen's place is the world's, times k, plus x and y
function show(glide) {
  svg.classList.toggle("glide", !!glide && nodes.length < 600);
  world.style.transform = `translate(${view.x}px,${view.y}px) scale(${view.k})`;
  svg.classList.toggle("far", view.k < .42);
  svg.classList.toggle("farther", view.k < .22);
  drawMap();
}
function size() { return {w: svg.clientWidth || 1, h: svg.clientHeight || 1}; }
function fit() {
  const {w, h} = size(), k = Math.min(1.25, (w - 60) / right, (h - 110) / low);
  view = {k, x: (w - right * k) / 2, y: (h - 50 - low * k) / 2};
  show(chosen >= 0);
}
function centre(at, k = Math.max(view.k, READABLE)) {
  const {w, h} = size(), node = nodes[at];
  view = {k, x: w / 2 - (node.x + WIDTH / 2) * k, y: h / 2 - (node.y + HEIGHT / 2) * k};
  show(chosen >= 0);
}
function zoom(by, x = size().w / 2, y = size().h / 2) {
  const k = Math.min(4, Math.max(.005, view.k * by)), real = k / view.k;
  view = {k, x: x - (x - view.x) * real, y: y - (y - view.y) * real};
  show();
}
function seen(at) {
  const {w, h} = size(), x = nodes[at].x * view.k + view.x, y = nodes[at].y * view.k + view.y;
  return x > 0 && y > 0 && x + WIDTH * view.k < w && y + HEIGHT * view.k < h && view.k >= .4;
}
function drawMap() {
  const ratio = window.devicePixelRatio || 1, w = map.clientWidth, h = map.clientHeight, screen = size();
  if (!w) return;
  map.width = w * ratio; map.height = h * ratio;
  const pen = map.getContext("2d"), k = Math.min((w - 12) / right, (h - 12) / low);
  const left = (w - right * k) / 2, top = (h - low * k) / 2;
  const style = getComputedStyle(document.documentElement);
  pen.scale(ratio, ratio);
  for (const node of nodes) {
    pen.fillStyle = style.getPropertyValue(`--${node.category}`);
    pen.fillRect(left + node.x * k, top + node.y * k, Math.max(1.5, WIDTH * k), Math.max(1, HEIGHT * k));
  }
  pen.strokeStyle = style.getPropertyValue("--ink");
  const scale = k / view.k;
  pen.strokeRect(left - view.x * scale, top - view.y * scale, screen.w * scale, screen.h * scale);
  map.go = event => {
    const place = map.getBoundingClientRect(), {w, h} = size();
    view.x = w / 2 - (event.clientX - place.left - left) / k * view.k;
    view.y = h / 2 - (event.clientY - place.top - top) / k * view.k;
    show();
  };
}

// -- choosing -------------------------------------------------------------------------------------------

function reach(from, next, end) {
  const found = new Set([from]), waiting = [from];
  while (waiting.length)
    for (const edge of next[waiting.pop()])
      if (!found.has(edges[edge][end])) { found.add(edges[edge][end]); waiting.push(edges[edge][end]); }
  return found;
}
function choose(at) {
  chosen = at;
  const up = reach(at, inputs, "from"), down = reach(at, outputs, "to");
  boxes.forEach((box, one) => {
    box.classList.toggle("chosen", one === at);
    box.classList.toggle("dim", !up.has(one) && !down.has(one));
  });
  lines.forEach((line, one) => {
    const {from, to} = edges[one], on = (up.has(from) && up.has(to)) || (down.has(from) && down.has(to));
    line.classList.toggle("near", from === at || to === at);
    line.classList.toggle("way", on);
    line.classList.toggle("dim", !on);
  });
  tell(at);
  if (!seen(at)) centre(at);
}
function row(list, name, one) {
  if (one === null || one === undefined || one === "") return;
  element("dt", list, name);
  element("dd", list, value(one)).dir = "auto";
}
function steps(title, found, end) {
  if (!found.length) return;
  element("h3", panel, `${title} (${found.length})`);
  for (const edge of found) {
    const node = nodes[edges[edge][end]];
    const go = element("button", panel, middle(label(node), 400), `go ${node.category}`);
    element("small", go, use(edges[edge])).dir = "auto";
    go.type = "button";
    go.addEventListener("click", () => choose(edges[edge][end]));
  }
}
const label = node => node.kind === "run" ? node.name : node.uri;
function use({from, to, passing, role, ...said}) {
  const more = Object.entries(said).map(([key, one]) => `${key.replaceAll("_", " ")} ${value(one)}`);
  return middle([role.replaceAll("_", " "), ...more].join(" \u00b7 "), 300);
}
function tell(at) {
  const node = nodes[at], isRun = edge => edges[edge].role === "run";
  panel.replaceChildren();
  panel.className = node.category;
  panel.scrollTop = 0;
  for (const chip of [kind(node), node.version && `v${node.version}`, at === data.root && "asked about"])
    if (chip) element("span", panel, chip, "chip").dir = "auto";
  element("h2", panel, node.uri).dir = "auto";
  if (node.withdrawn !== null) element("p", panel, `Withdrawn: ${node.withdrawn}`, "alarm").dir = "auto";
  if (node.note) element("p", panel, node.note, "alarm").dir = "auto";
  const copy = element("button", panel, "Copy", "copy");
  copy.type = "button";
  copy.addEventListener("click", () => {
    navigator.clipboard?.writeText(node.uri).then(() => { copy.textContent = "Copied"; });
  });
  const about = element("dl", panel);
  for (const key of ["path", "created_at", "producer", "run"]) row(about, key.replace("_", " "), node[key]);
  if (Object.keys(node.metadata).length) {
    element("h3", panel, "Metadata");
    const list = element("dl", panel);
    for (const key in node.metadata) row(list, key, node.metadata[key]);
  }
  steps("Made by", inputs[at].filter(isRun), "from");
  steps("Made from", inputs[at].filter(edge => !isRun(edge)), "from");
  const shown = new Set(nodes.map(one => one.uri)), beyond = node.inputs.filter(uri => !shown.has(uri));
  if (beyond.length) element("h3", panel, `Made from, beyond this page (${beyond.length})`);
  for (const uri of beyond) element("div", panel, middle(uri, 400), "go external");
  steps(node.kind === "run" ? "Made by it" : "Made of it", outputs[at], "to");
  const keys = element("p", panel, undefined, "keys");
  for (const [key, what] of [["\u2190 \u2192", "inputs, outputs"], ["\u2191 \u2193", "neighbours"],
    ["/", "search"], ["Enter", "next hit"], ["+ \u2212 0", "zoom, all"], ["Esc", "back to the start"]]) {
    element("kbd", keys, key);
    keys.append(` ${what}   `);
  }
}

// -- searching ------------------------------------------------------------------------------------------

let words = null, hits = [], hit = -1;
function search() {
  words ??= nodes.map(({x, y, category, inputs, edges, ...node}) => JSON.stringify(node).toLowerCase());
  const asked = $("search").value.trim().toLowerCase();
  hits = asked ? nodes.flatMap((_, at) => words[at].includes(asked) ? [at] : []) : [];
  hit = -1;
  const found = new Set(hits);
  boxes.forEach((box, at) => {
    box.classList.toggle("hit", found.has(at));
    box.classList.toggle("miss", !!asked && !found.has(at));
  });
  lines.forEach(line => line.classList.toggle("miss", !!asked));
  $("count").textContent = asked ? `${hits.length} of ${nodes.length}` : "";
}
$("search").addEventListener("input", search);
$("search").addEventListener("keydown", event => {
  if (event.key === "Escape") { $("search").value = ""; search(); svg.focus(); }
  if (event.key !== "Enter" || !hits.length) return;
  hit = (hit + (event.shiftKey ? hits.length - 1 : 1) + (hit < 0 && event.shiftKey ? 1 : 0)) % hits.length;
  choose(hits[hit]);
  centre(hits[hit]);
  $("count").textContent = `${hit + 1} of ${hits.length}`;
});

// -- the legend -----------------------------------------------------------------------------------------

const off = new Set();
for (const category of [...new Set(nodes.map(node => node.category))].sort()) {
  const button = element("button", $("legend"), category, category);
  button.type = "button";
  button.title = "Show or hide";
  button.setAttribute("aria-pressed", "true");
  element("i", button, String(nodes.filter(node => node.category === category).length));
  button.addEventListener("click", () => {
    off.has(category) ? off.delete(category) : off.add(category);
    button.setAttribute("aria-pressed", String(!off.has(category)));
    const hidden = at => off.has(nodes[at].category);
    boxes.forEach((box, at) => box.classList.toggle("off", hidden(at)));
    lines.forEach((line, at) => line.classList.toggle("off", hidden(edges[at].from) || hidden(edges[at].to)));
  });
}

// -- hands ----------------------------------------------------------------------------------------------

$("in").addEventListener("click", () => zoom(1.4));
$("out").addEventListener("click", () => zoom(1 / 1.4));
$("fit").addEventListener("click", fit);
$("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme
    ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  drawMap();
});
svg.addEventListener("wheel", event => {
  event.preventDefault();
  const place = svg.getBoundingClientRect(), step = event.deltaY * (event.deltaMode ? 20 : 1);
  const by = Math.exp(-Math.max(-200, Math.min(200, step)) / 300);
  zoom(by, event.clientX - place.left, event.clientY - place.top);
}, {passive: false});
let held = null;
svg.addEventListener("pointerdown", event => { held = [event.clientX, event.clientY, false]; });
window.addEventListener("pointermove", event => {
  if (!held || !event.buttons) { held = null; return; }
  const [x, y, moved] = held;
  if (!moved && Math.hypot(event.clientX - x, event.clientY - y) < 4) return;  // a click of an unsteady hand
  svg.classList.add("held");
  view.x += event.clientX - x;
  view.y += event.clientY - y;
  held = [event.clientX, event.clientY, true];
  show();
});
window.addEventListener("pointerup", () => { held = null; svg.classList.remove("held"); });
map.addEventListener("pointerdown", event => map.go(event));
map.addEventListener("pointermove", event => { if (event.buttons) map.go(event); });
window.addEventListener("resize", () => show());
function nearest(places) {
  const from = nodes[chosen], apart = at => Math.abs(nodes[at].y - from.y);
  return places.reduce((best, at) => best === -1 || apart(at) < apart(best) ? at : best, -1);
}
document.addEventListener("keydown", event => {
  if (event.target === $("search") || event.ctrlKey || event.metaKey || event.altKey) return;
  const from = nodes[chosen];
  const column = nodes.flatMap((node, at) => node.x === from.x && at !== chosen ? [at] : []);
  const to = {
    ArrowLeft: () => nearest(inputs[chosen].map(edge => edges[edge].from)),
    ArrowRight: () => nearest(outputs[chosen].map(edge => edges[edge].to)),
    ArrowUp: () => nearest(column.filter(at => nodes[at].y < from.y)),
    ArrowDown: () => nearest(column.filter(at => nodes[at].y > from.y)),
    Escape: () => data.root,
  }[event.key];
  const done = {"/": () => $("search").focus(), "+": () => zoom(1.4), "=": () => zoom(1.4),
    "-": () => zoom(1 / 1.4), "0": fit}[event.key];
  if (!to && !done) return;
  event.preventDefault();
  if (done) return done();
  const at = to();
  if (at >= 0) choose(at);
});

fit();
if (view.k < .42) {  // too small to read: begin at what was asked about, and leave no empty half
  centre(data.root);
  const {w, h} = size(), within = (place, room, all) => all * view.k < room ? (room - all * view.k) / 2
    : Math.min(40, Math.max(room - all * view.k - 40, place));
  view.x = within(view.x, w, right);
  view.y = within(view.y, h, low);
  show();
}
choose(data.root);
document.documentElement.dataset.drawn = "yes";
"""
