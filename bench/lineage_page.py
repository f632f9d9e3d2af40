"""How long the lineage page of 2,000 nodes takes to be written, and to open in headless Chromium.

Prints numbers and asserts nothing: `python bench/lineage_page.py [--nodes N]`. `make test-browser` installs
what it needs.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from selenium import webdriver

from nemotron.kit.exporters import html
from nemotron.kit.lineage.graph import Edge, Graph, Node

SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1400,900",
)


def pipelines(count: int) -> Graph:
    """As many versions, each made from one or two of the forty before it."""

    def uri(at: int) -> str:
        return f"art://name-{at % 97}:v{at // 97 + 1}"

    nodes = tuple(
        Node(
            uri=uri(at),
            kind="artifact",
            type=("PretrainDataArtifact", "ModelArtifact", "SFTDataArtifact")[at % 3],
            name=f"name-{at % 97}",
            version=at // 97 + 1,
            metadata={"step": at, "final_loss": 2.5, "note": "x" * 100},
            inputs=tuple(dict.fromkeys(uri(max(0, at - back)) for back in (1 + at % 7, 3 + at % 31) if at)),
        )
        for at in reversed(range(count))
    )
    return Graph(nodes[0].uri, nodes, tuple(Edge(one, node.uri) for node in nodes for one in node.inputs))


def main() -> None:
    """Print medians of five."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--nodes", type=int, default=2000)
    graph = pipelines(arguments.parse_args().nodes)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    written, opened = [], []
    with tempfile.TemporaryDirectory() as folder:
        for switch in (*SWITCHES, f"--user-data-dir={folder}/profile"):
            options.add_argument(switch)
        browser = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
        )
        page = Path(folder, "lineage.html")
        for _ in range(5):
            start = time.perf_counter()
            page.write_text(html.write(graph), encoding="utf-8")
            written.append(time.perf_counter() - start)
            start = time.perf_counter()
            browser.get(page.as_uri())
            assert browser.execute_script("return document.documentElement.dataset.drawn") == "yes"
            opened.append(time.perf_counter() - start)
        version = browser.capabilities["browserVersion"]
        browser.quit()
    size = len(html.write(graph).encode())
    print(f"{len(graph):,} nodes, {len(graph.edges):,} edges, {size / 1e6:.1f} MB; Chromium {version}")
    print(f"write  {statistics.median(written):.2f} s")
    print(f"open   {statistics.median(opened):.2f} s")


if __name__ == "__main__":
    main()
