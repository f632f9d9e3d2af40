"""The page of `html` in a real Chromium: `make test-browser` installs it, and without it this is skipped."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.exporters import html
from nemotron.kit.lineage.graph import Edge, Graph, Node

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no Chromium and its driver on the PATH"),
    pytest.mark.skipif(importlib.util.find_spec("selenium") is None, reason="no selenium: extra `browser`"),
    pytest.mark.xdist_group("browser"),
]

SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--window-size=1400,900", "--disable-dev-shm-usage", "--force-prefers-reduced-motion"),
)

HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "\"'><svg onload=window.hacked=3>",
    "a\u2028b\u2029c",
    "\u202egnp.exe \u05e9\u05dc\u05d5\u05dd",
    "javascript:window.hacked=4",
    "n" * 10_000,
    "__proto__",
    "${window.hacked = 5}",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()
    driver.service.stop()


class Page:
    """A graph's page, open in the browser."""

    def __init__(self, browser: Any, place: Path, graph: Graph) -> None:
        self.browser = browser
        file = place / "lineage.html"
        file.write_text(html.write(graph), encoding="utf-8")
        browser.get(file.as_uri())

    def js(self, code: str, *arguments: object) -> Any:
        return self.browser.execute_script(code, *arguments)

    def all(self, css: str) -> list[Any]:
        return list(self.browser.find_elements("css selector", css))

    def one(self, css: str) -> Any:
        return self.browser.find_element("css selector", css)

    def texts(self, css: str) -> list[str]:
        found: list[str] = self.js(
            "return Array.from(document.querySelectorAll(arguments[0]), one => one.textContent)", css
        )
        return found

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    @property
    def chosen(self) -> str:
        (title,) = self.texts("#panel h2")
        return title

    @property
    def view(self) -> str:
        view: str = self.js("return document.getElementById('world').style.transform")
        return view

    def is_quiet(self) -> bool:
        """Nothing was loaded, nothing was refused, and no script failed."""
        loaded = self.js("return performance.getEntriesByType('resource').length")
        return loaded == 0 and self.browser.get_log("browser") == []


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Page]:
    """web → data → model → eval, and a tokenizer beside the data."""
    opened = Page(browser, tmp_path, pipeline())
    yield opened
    assert opened.is_quiet()


def pipeline() -> Graph:
    def version(name: str, kind: str, *inputs: str, **metadata: object) -> Node:
        uri = f"art://{name}:v1"
        said = {"version": 1, "inputs": inputs, "metadata": metadata}
        return Node(uri=uri, kind="artifact", type=kind, name=name, **said)  # type: ignore[arg-type]

    nodes = (
        version("model", "ModelArtifact", "art://data:v1", "art://beyond:v1", step=1000, final_loss=2.25),
        version("data", "PretrainDataArtifact", "hf://web", "hf://tok", total_tokens=25_000_000_000),
        version("eval", "EvalArtifact", "art://model:v1", note={"deep": ["needle", None]}),
        Node(uri="hf://web", kind="external", type="external", name="hf://web"),
        Node(uri="hf://tok", kind="external", type="external", name="hf://tok"),
    )
    uris = {node.uri for node in nodes}
    role = {"hf://tok": "tokenizer", "art://model:v1": "model"}
    edges = (
        Edge(uri, node.uri, role.get(uri, "data")) for node in nodes for uri in node.inputs if uri in uris
    )
    return Graph("art://model:v1", nodes, tuple(edges))


def test_it_opens_on_what_was_asked_about_and_needs_nothing_else(page: Page) -> None:
    assert page.browser.title == "Lineage of art://model:v1"
    assert page.chosen == "art://model:v1"
    assert page.texts(".node .name") == ["model", "data", "eval", "hf://web", "hf://tok"]
    assert "PretrainDataArtifact · 25B tokens" in page.texts(".node .more")
    assert len(page.all("path.edge")) == 4
    left = {node.text.split("\n")[0]: node.rect["x"] for node in page.all(".node")}
    assert left["hf://web"] < left["data"] < left["model"] < left["eval"]


def test_a_click_shows_metadata_and_lights_the_whole_way(page: Page) -> None:
    page.all(".node")[1].click()
    assert page.chosen == "art://data:v1"
    assert "25,000,000,000" in page.texts("#panel dd")
    assert page.texts("#panel .go") == ["hf://webdata", "hf://toktokenizer", "art://model:v1data"]
    assert page.all(".node.dim") == []
    assert len(page.all("path.near")) == 3
    page.all("#panel .go")[0].click()
    assert page.chosen == "hf://web"
    assert page.texts(".node.dim .name") == ["hf://tok"]


def test_runs_and_what_was_said_of_an_input_are_shown(browser: Any, tmp_path: Path) -> None:
    said = InputEdge(uri="hf://web", role="data", split="train", weight=0.25)
    model = Node(uri="art://m:v1", kind="artifact", type="ModelArtifact", name="m", inputs=("hf://web",))
    web = Node(uri="hf://web", kind="external", type="external", name="hf://web")
    run = Node(uri="run://x", kind="run", type="run", name="sft", metadata={"status": "finished"})
    edges = (Edge(web.uri, model.uri, "data", said), Edge(run.uri, model.uri, "run"))
    page = Page(browser, tmp_path, Graph(model.uri, (model, web, run), edges))
    assert page.texts("#panel h3") == ["Made by (1)", "Made from (1)"]
    assert page.texts("#panel .go small") == ["run", "data · split train · weight 0.25"]
    assert "run, finished" in page.texts(".node .more")
    page.one("#panel .go").click()
    assert page.chosen == "run://x"
    assert page.texts("#panel h3")[-1] == "Made by it (1)"
    assert page.is_quiet()


def test_inputs_beyond_the_page_are_named(page: Page) -> None:
    assert "Made from, beyond this page (1)" in page.texts("#panel h3")
    assert "art://beyond:v1" in page.texts("#panel .go")


def test_search_finds_names_types_and_metadata(page: Page) -> None:
    page.press("/", "needle")
    assert page.one("#count").text == "1 of 5"
    assert page.texts(".node.hit .name") == ["eval"]
    assert len(page.all(".node.miss")) == 4
    page.press("\ue007")  # Enter
    assert page.chosen == "art://eval:v1"
    page.press("\ue00c")  # Escape
    assert (page.one("#count").text, page.all(".node.miss")) == ("", [])
    page.press("/", "hf://", "\ue007")
    first = page.chosen
    page.press("\ue007")
    assert {first, page.chosen} == {"hf://web", "hf://tok"}


def test_arrows_walk_along_the_graph(page: Page) -> None:
    page.one("#graph").click()
    page.press("\ue012")  # left
    assert page.chosen == "art://data:v1"
    page.press("\ue012")
    first = page.chosen
    page.press("\ue013" if first == "hf://tok" else "\ue015")  # up or down
    assert {first, page.chosen} == {"hf://web", "hf://tok"}
    page.press("\ue014", "\ue014", "\ue014")  # right, to the end
    assert page.chosen == "art://eval:v1"
    page.press("\ue014")
    assert page.chosen == "art://eval:v1"
    page.press("\ue00c")
    assert page.chosen == "art://model:v1"


def test_it_is_zoomed_and_moved(page: Page) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    def scale() -> float:
        return float(page.view.split("scale(")[1].rstrip(")"))

    fitted, at_first = page.view, scale()
    page.press("+")
    assert scale() > at_first
    graph = page.one("#graph")
    ActionChains(page.browser).scroll_from_origin(ScrollOrigin.from_element(graph), 0, 300).perform()
    page.one("#out").click()
    assert scale() < at_first
    before = page.view
    ActionChains(page.browser).move_to_element_with_offset(graph, -300, 200).click_and_hold().move_by_offset(
        50, 30
    ).release().perform()
    assert page.view != before
    assert page.chosen == "art://model:v1"
    page.one("#fit").click()
    assert page.view == fitted


def test_kinds_are_hidden_and_shown_and_the_theme_changes(page: Page) -> None:
    assert page.texts("#legend button") == ["data1", "evaluation1", "external2", "model1"]
    page.all("#legend button")[2].click()
    assert page.texts(".node.off .name") == ["hf://web", "hf://tok"]
    assert len(page.all("path.off")) == 2
    page.all("#legend button")[2].click()
    assert page.all(".node.off, path.off") == []
    ground = "return getComputedStyle(document.body).backgroundColor"
    before = page.js(ground)
    page.one("#theme").click()
    assert page.js(ground) != before


def test_the_legend_has_the_colours_of_the_graph(browser: Any, tmp_path: Path) -> None:
    plain = Node(uri="art://plain:v1", kind="artifact", type="Artifact", name="plain", version=1)
    graph = Graph(plain.uri, (plain,))
    page = Page(browser, tmp_path, graph)
    assert page.texts("#legend button") == ["artifact1"]
    button = "getComputedStyle(document.querySelector('#legend button'), '::before').backgroundColor"
    assert page.js(f"return {button}") == page.js(
        "return getComputedStyle(document.querySelector('.bar')).fill"
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_text(browser: Any, tmp_path: Path, text: str) -> None:
    metadata = {text: text, "list": [text, {text: text}]}
    more = {"path": text, "producer": text, "run": text, "withdrawn": text, "note": text, "created_at": text}
    model = Node(
        uri=f"art://{text}",
        kind="artifact",
        type=text,
        name=text,
        version=1,
        metadata=metadata,
        inputs=(text, f"{text}2"),
        **more,  # type: ignore[arg-type]
    )
    outside = Node(uri=text, kind="external", type=text, name=text)
    page = Page(browser, tmp_path, Graph(model.uri, (model, outside), (Edge(text, model.uri, role=text),)))
    assert page.chosen == model.uri
    assert page.texts("#panel dt")[-2:] == [text, "list"]
    page.one(".node").click()
    page.press("/", "zzz")
    page.js("document.querySelector('#panel .go').click()")
    assert page.chosen == text
    assert page.js("return window.hacked") is None
    assert page.js("return document.scripts.length") == 2
    assert page.js("return document.querySelectorAll('img, iframe, a, svg svg').length") == 0
    assert page.js("return document.querySelector('.name').getBBox().width") < 248
    assert page.is_quiet()


def test_nothing_but_its_own_script_may_run(page: Page) -> None:
    page.js(
        "const made = document.createElement('script'); made.textContent = 'window.hacked = 1';"
        "document.body.append(made)"
    )
    page.js(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,x\" onerror=\"window.hacked = 2\">')"
    )
    assert page.js("return window.hacked") is None
    refused = page.browser.get_log("browser")
    assert refused
    assert all("Content Security Policy" in one["message"] for one in refused)
    page.js("document.querySelector('img').remove(); performance.clearResourceTimings()")


def test_two_thousand_nodes_are_drawn_searched_and_chosen(browser: Any, tmp_path: Path) -> None:
    def uri(at: int) -> str:
        return f"art://name-{at % 97}:v{at // 97 + 1}"

    nodes = tuple(
        Node(
            uri=uri(at),
            kind="artifact",
            type=("PretrainDataArtifact", "ModelArtifact")[at % 2],
            name=f"name-{at % 97}",
            version=at // 97 + 1,
            metadata={"step": at, "note": "x" * 100},
            inputs=tuple(dict.fromkeys(uri(max(0, at - back)) for back in (1 + at % 7, 3 + at % 31) if at)),
        )
        for at in reversed(range(2000))
    )
    edges = tuple(Edge(one, node.uri) for node in nodes for one in node.inputs)
    page = Page(browser, tmp_path, Graph(nodes[0].uri, nodes, edges))
    assert len(page.all(".node")) == 2000
    assert page.chosen == nodes[0].uri
    page.press("/", '"step":1234', "\ue007")
    assert page.one("#count").text == "1 of 1"
    assert page.chosen == uri(1234)
    assert page.is_quiet()
