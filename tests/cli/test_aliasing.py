"""`alias`, `aliases`, `alias-log`."""

from nemotron.kit.registry.registry import Registry


def test_moving_an_alias(kit, store: Registry) -> None:
    assert kit("alias", "nano3/data:v1", "prod").out == "nano3-data:prod → v1\n"
    assert kit("alias", "nano3/data:v1", "prod").out == "nano3-data:prod → v1  (as before)\n"
    assert kit("alias", "nano3/data", "prod", "-m", "more").out == "nano3-data:prod → v2  (was v1)\n"
    assert kit("resolve", "nano3/data:prod").code == 0
    assert kit("alias", "nano3/data:prod", "stable", "-q").out == "art://nano3-data:v2\n"


def test_json(kit, store: Registry) -> None:
    document = kit("alias", "nano3/data:v1", "prod", "-m", "first", "--json").json
    assert (document["uri"], document["alias"], document["why"]) == ("art://nano3-data:v1", "prod", "first")
    assert (document["moved"], document["previous"]) == (True, None)
    assert kit("alias", "nano3/data:v1", "prod", "--json").json["moved"] is False


def test_if_current(kit, store: Registry) -> None:
    kit("alias", "nano3/data:v1", "prod")
    moved = kit("alias", "nano3/data:v2", "prod", "--if-current", "v2")
    assert (moved.code, moved.out) == (1, "")
    assert "points at v1" in moved.err
    assert kit("alias", "nano3/data:v2", "prod", "--if-current", "v1").code == 0
    assert kit("alias", "nano3/data:v1", "prod", "--if-current", "x").code == 2


def test_what_is_no_alias(kit, store: Registry) -> None:
    for alias in ("v3", "3", "latest", "../x", "a/b", "", "é"):
        said = kit("alias", "base:v1", alias)
        assert (said.code, said.out) == (2, ""), alias
    assert kit("aliases", "base", "--json").json == {"good": 1}


def test_aliases(kit, store: Registry) -> None:
    assert kit("aliases", "base").out == "ALIAS  VERSION\ngood   v1\n"
    assert kit("aliases", "base", "-q").out == "good v1\n"
    none = kit("aliases", "tuned")
    assert (none.code, none.out) == (0, "")
    assert "nemotron kit alias tuned:vN ALIAS" in none.err
    assert kit("aliases", "tuned", "--json").json == {}


def test_the_log(kit, store: Registry) -> None:
    kit("alias", "nano3/data:v1", "prod", "-m", "first")
    kit("alias", "nano3/data:v2", "prod", "-m", "better\x1b[31m")
    lines = kit("alias-log", "nano3/data", "prod").out.splitlines()
    assert len(lines) == 3
    assert "first" in lines[1]
    assert "better\\x1b[31m" in lines[2]
    first, second = kit("alias-log", "nano3/data", "prod", "--json").json
    assert (first["sequence"], first["version"], first["previous"]) == (1, 1, None)
    assert (second["sequence"], second["version"], second["previous"]) == (2, 2, 1)
    assert second["uri"] == "art://nano3-data:v2"
    assert kit("alias-log", "nano3/data", "prod", "-q").out == "v1\nv2\n"


def test_the_log_of_an_alias_that_is_none(kit, store: Registry) -> None:
    said = kit("alias-log", "base", "bad")
    assert (said.code, said.out) == (1, "")
    assert "its aliases: good" in said.err
    assert kit("alias-log", "base", "v3").code == 2


def test_a_protected_alias(kit, store: Registry) -> None:
    said = kit("alias", "nano3-data:v1", "production", "--protect", "-m", "served to customers")
    assert said.out == "nano3-data:production → v1  protected\n"
    said = kit("alias", "nano3-data:v2", "production")
    assert said.code == 1
    assert "served to customers" in said.err
    said = kit("alias", "nano3-data:v2", "production", "--force", "--json")
    assert (said.json["protected"], said.json["moved"]) == (True, True)
    assert "not protected any more" in kit("alias", "nano3-data:v2", "production", "--unprotect").out
    assert "protected" in kit("alias-log", "nano3-data", "production").out
    log = kit("alias-log", "nano3-data", "production", "--json").json
    assert [move["protected"] for move in log] == [True, True, False]


def test_a_move_taken_back(kit, store: Registry) -> None:
    for version in ("v1", "v2"):
        kit("alias", f"nano3-data:{version}", "production")
    said = kit("alias", "nano3/data", "production", "--rollback", "-m", "worse")
    assert said.out == "nano3-data:production → v1  (was v2)\n"
    assert "undoes 2" in kit("alias-log", "nano3-data", "production").out
    assert kit("alias", "nano3-data", "production", "--rollback").code == 2
    assert kit("alias", "nano3-data:v2", "production", "--rollback").code == 2
    assert kit("alias", "nano3-data", "production", "--rollback", "--protect").code == 2
    assert kit("alias", "nano3-data", "nowhere", "--rollback").code == 1
