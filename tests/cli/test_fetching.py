"""`cat`, `cp`, `open`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemotron.kit.cli import fetching
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def test_cat_writes_bytes(store: Registry, data: Path) -> None:
    (data / "b.bin").write_bytes(bytes(range(256)))
    store.publish(Draft(name="bin", source=data))
    command = [sys.executable, "-m", "nemotron.kit.cli", "kit", "cat", "art://bin/b.bin"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == bytes(range(256))


def test_cat_as_json(kit, store: Registry, data: Path) -> None:
    said = kit("cat", "nano3/data:v1/train/a.txt", "--json").json
    assert said == {
        "uri": "art://nano3-data:v1/train/a.txt",
        "size": 6,
        "encoding": "utf-8",
        "content": "hello\n",
    }
    (data / "b.bin").write_bytes(b"\xff\x00")
    store.publish(Draft(name="bin", source=data))
    assert kit("cat", "bin/b.bin", "--json").json["encoding"] == "base64"


def test_cat_of_a_file_whose_name_no_reference_can_hold(kit, store: Registry, data: Path) -> None:
    (data / "a\nb").write_text("odd\n")
    store.publish(Draft(name="odd", source=data, snapshot=True))
    assert kit("cat", "odd/a\nb").out == "odd\n"
    assert kit("cat", "odd/a\nb", "--json").json["uri"] == "art://odd:v1/a\nb"


def test_cat_of_a_folder_and_of_one_file(kit, store: Registry) -> None:
    said = kit("cat", "nano3/data:v1")
    assert (said.code, said.out) == (2, "")
    assert "name a file in it" in said.err
    assert kit("cat", "tuned").out == "x\n"


def test_cat_spares_a_terminal(kit, store: Registry, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "b.bin").write_bytes(b"\x00\x01")
    store.publish(Draft(name="bin", source=data))
    monkeypatch.setattr(fetching, "is_terminal", lambda: True)
    said = kit("cat", "bin/b.bin")
    assert (said.code, said.out) == (2, "")
    assert "is binary" in said.err
    assert kit("cat", "bin/b.txt").out == "x\n"


def test_cp(kit, store: Registry, data: Path, tmp_path: Path) -> None:
    said = kit("cp", "nano3/data:v1", "out")
    assert said.out == f"copied 2 files, 8 B from art://nano3-data:v1 to {tmp_path}/out\n"
    assert (tmp_path / "out/train/a.txt").read_text() == "hello\n"
    again = kit("cp", "nano3/data:v1", "out")
    assert again.out == (f"art://nano3-data:v1 is already there, nothing copied: {tmp_path}/out  (2 files)\n")
    (tmp_path / "out/b.txt").write_text("mine")
    refused = kit("cp", "nano3/data:v1", "out")
    assert (refused.code, refused.out) == (1, "")
    assert "To replace it use --force" in refused.err
    forced = kit("cp", "nano3/data:v1", "out", "--force", "--json").json
    assert forced == {
        "uri": "art://nano3-data:v1",
        "to": f"{tmp_path}/out",
        "files": 1,
        "links": 0,
        "size": 2,
        "skipped": 1,
        "skipped_links": 0,
        "left_out": [],
    }
    (data / "newest").symlink_to("b.txt")
    store.publish(Draft(name="linked", source=data))
    said = kit("cp", "linked", "linked")
    assert said.out == f"copied 2 files and 1 link, 8 B from art://linked:v1 to {tmp_path}/linked\n"
    (tmp_path / "linked/b.txt").unlink()
    said = kit("cp", "linked", "linked")
    assert said.out.endswith("/linked  (1 file and 1 link there already)\n")


@pytest.mark.parametrize("snapshot", [True, False])
def test_cp_names_the_links_that_it_leaves_out(
    kit, store: Registry, data: Path, tmp_path: Path, snapshot: bool
) -> None:
    (data / "etc").symlink_to("/etc")
    one = Registry.open(tmp_path / "store").publish
    one(Draft(name="linked", source=data, snapshot=snapshot))
    said = kit("cp", "linked", "one")
    assert (said.code, said.out) == (0, f"copied 2 files, 8 B from art://linked:v1 to {tmp_path}/one\n")
    assert said.err == (
        "warning: Left out of art://linked:v1: 1 link that leads out of what is copied, or to nothing: etc\n"
    )
    for number in range(6):
        (data / f"out-{number}").symlink_to("../secret")
    one(Draft(name="linked", source=data, snapshot=snapshot))
    many = kit("cp", "linked", "many", "--json")
    assert (many.code, many.json["files"]) == (0, 2)
    assert many.json["left_out"] == ["etc", *(f"out-{number}" for number in range(6))]
    assert many.err.startswith("warning: Left out of art://linked:v2: 7 links that lead out")
    assert many.err.endswith(": etc, out-0, out-1, out-2, out-3 and 2 more\n")
    assert sorted(path.name for path in (tmp_path / "many").iterdir() if path.is_symlink()) == []


def test_cp_of_another_version_that_only_looks_the_same(kit, store: Registry, tmp_path: Path) -> None:
    for folder, text in (("n1", "one"), ("n2", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.bin").write_text(text)
        os.utime(tmp_path / folder / "model.bin", (0, 0))
        kit("register", folder, "--name", "nm", "--snapshot")
    kit("cp", "nm:v1", "serve")
    said = kit("cp", "nm:v2", "serve")
    assert (said.code, said.out) == (1, "")
    assert "serve/model.bin differs from art://nm:v2" in said.err
    assert kit("cp", "nm:v2", "serve", "--force").out.startswith("copied 1 file, 3 B from art://nm:v2 to ")
    assert (tmp_path / "serve/model.bin").read_text() == "two"


def test_cp_onto_itself(kit, store: Registry, data: Path) -> None:
    said = kit("cp", "nano3/data:v1", str(data))
    assert (said.code, said.out) == (2, "")
    assert f"Nothing was copied: {data} is itself what art://nano3-data:v1 refers to" in said.err


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []
    monkeypatch.setattr(fetching.subprocess, "Popen", lambda command, **_: calls.append(command))
    monkeypatch.setattr(fetching.shutil, "which", lambda name: f"/usr/bin/{name}")
    return calls


def test_open_without_a_display_says_where(kit, store: Registry, data: Path, opened: list[list[str]]) -> None:
    said = kit("open", "nano3/data:v1/train")
    assert (said.code, said.out) == (0, f"{data}/train\n")
    assert opened == []


def test_open_with_a_display(kit, store: Registry, data: Path, opened: list[list[str]]) -> None:
    said = kit("open", "nano3/data:v1/train", env={"DISPLAY": ":0"})
    assert said.out == f"{data}/train\n"
    assert opened == [["/usr/bin/xdg-open", f"{data}/train"]]
    kit("open", "nano3/data:v1", "--json", env={"DISPLAY": ":0"})
    kit("open", "nano3/data:v1", "--quiet", env={"WAYLAND_DISPLAY": "w"})
    assert len(opened) == 1


def test_cat_says_that_data_has_changed(kit, store: Registry, data: Path) -> None:
    (data / "b.txt").write_text("something else\n")
    said = kit("cat", "nano3/data:v1/b.txt")
    assert said.out == "something else\n"
    assert "art://nano3-data:v1 is no longer what was published: b.txt changed" in said.err
    assert (
        "publish it again as a new version, with save() or `nemotron kit register`; snapshot=True (--snaps"
        in (said.err)
    )
