"""`adopt`: the table, the JSON, the exit codes."""

import shutil
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "old_stores"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "index_root", tmp_path / "old"))


def test_the_table_says_what_and_why(kit, root: Path) -> None:
    dry = kit("adopt", str(root), "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert f"{root}: 2 would be adopted, 0 were already, 1 skipped" in dry.out
    said = kit("adopt", str(root))
    assert said.out.splitlines()[1].split() == ["eval-set:v1", "adopted", "1", "4", "B", "stat"]
    assert "eval-set:v3  skipped" in said.out
    assert "no version: its manifest.json is none, or the number was taken and not filled" in said.out
    assert f"{root}: 2 adopted, 0 were already, 1 skipped" in said.out
    assert kit("verify", "eval-set:v1", "--root", str(root)).code == 0


def test_as_json_and_quiet(kit, root: Path) -> None:
    assert kit("adopt", str(root), "-q").out == "art://eval-set:v1\nart://eval-set:v2\n"
    said = kit("adopt", str(root), "--hash", "--json").json
    assert {key: said[key] for key in ("adopted", "already", "skipped", "dry_run")} == {
        "adopted": 2,
        "already": 0,
        "skipped": 1,
        "dry_run": False,
    }
    assert said["versions"][0] == {
        "uri": "art://eval-set:v1",
        "status": "adopted",
        "why": None,
        "evidence": "full",
        "files": 1,
        "size": 4,
    }


def test_where_there_is_nothing_old(kit, store, root: Path) -> None:
    said = kit("adopt", store.root)
    assert (said.code, said.out) == (0, f"Nothing of older tools in {store.root}\n")
    mistyped = kit("adopt", f"{root}s")
    assert mistyped.code == 1
    assert f"Did you mean {root}?" in mistyped.err
    assert not Path(f"{root}s").exists()
    assert kit("adopt", str(root), "--root", store.root).code == 2
    assert kit("adopt").out == said.out  # NEMO_ARTIFACT_ROOT names it
