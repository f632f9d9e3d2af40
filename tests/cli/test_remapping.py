"""`remap`: set, list, take away."""

from pathlib import Path

import pytest


def test_set_list_and_take_away(kit, store, data: Path, tmp_path: Path) -> None:
    data.rename(tmp_path / "moved")
    assert "gone" in kit("show", "nano3/data").out
    said = kit("remap", str(data), str(tmp_path / "moved"), "-m", "a\x1b[31m new disk")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1].split()[:2] == [str(data), str(tmp_path / "moved")]
    assert "a\\x1b[31m new disk" in said.out
    assert kit("resolve", "nano3/data/train/a.txt").out == f"{tmp_path}/moved/train/a.txt\n"
    assert kit("verify", "nano3/data").code == 0
    document = kit("remap", "--list", "--json").json
    assert document["remaps"][0]["why"] == "a\x1b[31m new disk"
    assert kit("remap", "--list", "-q").out == f"{data}\t{tmp_path}/moved\n"
    assert kit("remap", "--remove", str(data)).out == f"{data} is not remapped any more\n"
    assert kit("remap", "--list").out == f"No remaps in {store.root}\n"
    again = kit("remap", "--remove", str(data))
    assert (again.code, again.out) == (1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("/a",),
        ("/a", "/b", "--list"),
        ("/a", "--remove", "/a"),
        ("--list", "--remove", "/a"),
        ("/a", "b"),
    ],
)
def test_wrong_usage(kit, store, arguments: tuple[str, ...]) -> None:
    said = kit("remap", *arguments)
    assert (said.code, said.out) == (2, "")


def test_a_circle_is_wrong_usage_and_says_which(kit, store) -> None:
    kit("remap", "/a", "/b")
    said = kit("remap", "/b", "/a/c")
    assert said.code == 2
    assert "/a would be led in a circle" in said.err
