"""Resolving: what a reference means, what is said when there is nothing, and what it sees."""

import errno
import os
import shutil

import pytest

from nemotron.kit.errors import (
    AmbiguousReferenceError,
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    InvalidReferenceError,
    NotFoundError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    WithdrawnError,
)


@pytest.fixture
def three(publish):
    """m:v1 to v3, with `production` on v2."""
    for step in (1, 2, 3):
        publish(metadata={"step": step})


@pytest.fixture
def production(three, registry):
    registry.alias("m", "production", 2)


@pytest.mark.parametrize(
    ("ref", "version"),
    [
        ("m", 3),
        ("art://m", 3),
        ("art://m:latest", 3),
        ("art://m:v1", 1),
        ("art://m:2", 2),
        ("art://m:production", 2),
        ("m:v3/part.txt", 3),
    ],
)
def test_every_spelling_means_one_version(production, opened, ref, version):
    record = opened().resolve(ref)
    assert (record.uri, record.metadata) == (f"art://m:v{version}", {"step": version})


def test_a_semantic_name_is_found_by_its_spelling_and_by_its_key(publish, opened):
    publish("nano3/sft/data")
    for ref in ("nano3/sft/data", "art://nano3/sft/data:v1", "nano3-sft-data", "art://nano3-sft-data:latest"):
        assert opened().resolve(ref).uri == "art://nano3-sft-data:v1"
    for other in ("nano3-sft/data", "nano3/sft-data"):
        with pytest.raises(ArtifactNotFoundError, match="belongs to nano3/sft/data"):
            opened().resolve(other)


def test_what_another_process_publishes_is_seen_at_once(publish, opened):
    reader, writer = opened(), opened()
    with pytest.raises(ArtifactNotFoundError):
        reader.resolve("m")
    for step in range(1, 20):
        publish(via=writer, metadata={"step": step})
        assert reader.resolve("m").version == step
        assert reader.get("m").versions == tuple(range(1, step + 1))
    writer.alias("m", "best", 4)
    assert reader.resolve("m:best").version == 4
    writer.alias("m", "best", 5)
    assert reader.resolve("m:best").version == 5
    writer.withdraw("m:v19", "wrong")
    assert reader.resolve("m").version == 18
    with pytest.raises(WithdrawnError):
        reader.resolve("m:v19")


# -- nothing there -----------------------------------------------------------------------------------------


def test_an_empty_root_says_that_it_is_one(opened, root):
    with pytest.raises(ArtifactNotFoundError) as caught:
        opened().resolve("m")
    assert str(caught.value) == (
        f"Artifact not found: m in {root}; nothing was published there yet; is it the right root?"
    )
    assert not root.exists()
    assert opened().list() == []
    assert opened().get("m") is None


def test_a_misspelt_name_is_met_with_the_nearest(publish, opened, root):
    publish("other")
    with pytest.raises(ArtifactNotFoundError, match=r"it holds 1 other artifact$"):
        opened().resolve("zzz")
    for name in ("nano-base-model", "nano-sft-model"):
        publish(name)
    with pytest.raises(ArtifactNotFoundError, match=r"did you mean nano-base-model\b") as caught:
        opened().resolve("nano-bas-model:v1")
    assert str(root) in str(caught.value)
    with pytest.raises(ArtifactNotFoundError, match="it holds 3 other artifacts"):
        opened().resolve("zzz")


def test_a_missing_version_is_met_with_what_there_is(production, opened):
    for ref in ("m:v4", "m:v0", "m:v999999999999", "m:staging"):
        with pytest.raises(ArtifactVersionNotFoundError, match="there is v1 to v3, production") as caught:
            opened().resolve(ref)
        assert str(caught.value).startswith(f"Artifact version not found: {ref} in ")


def test_a_single_version_is_named_as_one(publish, opened):
    publish()
    with pytest.raises(ArtifactVersionNotFoundError, match=r"there is v1$"):
        opened().resolve("m:v2")


def test_errors_are_the_built_ins_that_callers_expect(publish, opened):
    publish()
    for ref in ("n", "m:v2", "m:x"):
        with pytest.raises(FileNotFoundError):
            opened().resolve(ref)
        with pytest.raises(KeyError):
            opened().resolve(ref)


@pytest.mark.parametrize(
    "ref", ["", "art://", "m:", "m:v1:v2", "http://x", "a b", "v1", ".kit", "art:///etc/passwd"]
)
def test_what_is_no_reference(opened, root, ref):
    with pytest.raises(InvalidReferenceError, match=r"^Invalid art:// URI: "):
        opened().resolve(ref)


@pytest.mark.parametrize("ref", ["m:v1/../../x", "m/../x", "m:v1/%2e%2e/x", "m:v1//etc/passwd", "m:v1/a\x00"])
def test_hostile_references_reach_nothing(publish, opened, ref):
    publish()
    for ask in (opened().resolve, opened().find, opened().inside):
        with pytest.raises((OutsideRootError, InvalidReferenceError)):
            ask(ref)


# -- find and inside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["with space.txt", "ü", ".hidden", "a#b", "x" * 140])
def test_a_file_whose_name_is_no_artifacts_is_found_in_folders(publish, opened, data, name):
    """The name ends before it, at the longest that exists."""
    (data / "sub/deep").mkdir(parents=True)
    (data / "sub/deep" / name).write_text("x")
    publish(name="m")
    assert opened().find(f"m/sub/deep/{name}")[1] == f"sub/deep/{name}"
    publish(name="m/sub")
    with pytest.raises(
        PathNotFoundError, match=r"No deep/gone there in art://m-sub:v1 .*no sub/deep/gone there in"
    ):
        opened().find("m/sub/deep/gone there")
    assert opened().find(f"m/sub/deep/{name}")[0].name == "m-sub", "as with any other name"
    (data / "deep").mkdir()
    (data / "deep" / name).write_text("x")
    publish(name="m/sub")
    with pytest.raises(
        AmbiguousReferenceError, match=r"can mean art://m/sub:latest/deep/.* or art://m:latest/sub"
    ):
        opened().find(f"m/sub/deep/{name}")


def test_a_path_of_a_snapshot_may_go_through_a_link(publish, opened, data):
    """With a version and without one it is the same file."""
    (data / "again").symlink_to("sub")
    (data / "out").symlink_to("../elsewhere")
    (data / "nowhere").symlink_to("gone")
    publish("a", snapshot=True)
    assert opened().find("a/again/more.bin")[1] == "again/more.bin"
    assert opened().inside("a/again/more.bin") == opened().inside("a:v1/again/more.bin")
    assert opened().find("a/nowhere")[1] == "nowhere"
    for none in ("a/again/less.bin", "a/out/more.bin", "a/nowhere/more.bin"):
        with pytest.raises(NotFoundError, match="and no artifact"):
            opened().find(none)


def test_the_longest_name_that_exists_wins(publish, opened, tmp_path, data):
    publish("a")
    assert opened().find("a/part.txt") == (opened().resolve("a"), "part.txt")
    assert opened().find("art://a/sub/more.bin")[1] == "sub/more.bin"
    publish("a/sub")
    record, inside = opened().find("a/sub/more.bin")
    assert (record.uri, inside) == ("art://a-sub:v1", "more.bin")
    publish("a/sub/less.bin")
    record, inside = opened().find("a/sub/less.bin")
    assert (record.uri, inside) == ("art://a-sub-less.bin:v1", "")
    publish("a/sub/more.bin")  # which is a file in `a` as well
    with pytest.raises(AmbiguousReferenceError):
        opened().find("a/sub/more.bin")
    with pytest.raises(NotFoundError, match="b/c/d"):
        opened().find("b/c/d")


def test_a_version_in_the_middle_leaves_no_doubt(publish, opened):
    publish("a")
    publish("a/sub")
    record, inside = opened().find("a:v1/sub/more.bin")
    assert (record.uri, inside) == ("art://a:v1", "sub/more.bin")


@pytest.mark.parametrize("snapshot", [False, True])
def test_inside(publish, opened, data, snapshot):
    publish(snapshot=snapshot)
    registry = opened()
    assert registry.inside("m:v1/part.txt").read_text() == "hello"
    assert registry.inside("m/sub/more.bin").read_bytes() == bytes(range(256))
    assert registry.inside("m/sub").is_dir()
    assert registry.inside("m") == registry.folder(registry.resolve("m"))
    with pytest.raises(PathNotFoundError, match=r"No nope.txt in art://m:v1"):
        registry.inside("m/nope.txt")


def test_inside_a_file_is_nothing_but_the_file(publish, opened, data):
    publish(source=data / "part.txt")
    registry = opened()
    assert registry.inside("m:v1/part.txt").read_text() == "hello"
    with pytest.raises(PathNotFoundError, match=r"it is the file part.txt alone"):
        registry.inside("m:v1/sub/more.bin")


def test_links_that_leave_the_artifact_are_not_followed(publish, opened, data, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (data / "out").symlink_to(tmp_path / "secret")
    (data / "folder-out").symlink_to(tmp_path)
    (data / "in").symlink_to("part.txt")
    (data / "twice").symlink_to("folder-out/secret")
    (data / "dangling").symlink_to("nowhere")
    (data / "loop").symlink_to("loop")
    publish()
    registry = opened()
    for path in ("out", "folder-out", "folder-out/secret", "twice"):
        with pytest.raises(OutsideRootError, match="link"):
            registry.inside(f"m:v1/{path}")
    assert registry.inside("m:v1/in").read_text() == "hello"


def test_data_that_is_gone_is_named(publish, opened, data):
    import shutil

    publish()
    shutil.rmtree(data)
    record = opened().resolve("m")  # resolving looks at no data
    assert record.path == str(data)
    with pytest.raises(PathNotFoundError, match=r"which is gone: .*moved, say so with `nemotron kit remap`"):
        opened().inside("m/part.txt")


def test_data_that_can_not_be_looked_at_is_not_called_gone(publish, opened, data, monkeypatch):
    publish()
    registry, real = opened(), os.stat

    def refuse(path, **how):
        if str(path).startswith(str(data)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, **how)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(RefusedError, match=f"Cannot look at {data}/part.txt: Permission denied. Check its"):
        registry.inside("m/part.txt")


def test_a_path_that_is_too_long_has_advice_about_itself(tmp_path, publish):
    with pytest.raises(RefusedError, match=r"File name too long\. Shorten its name, or the names of"):
        publish(source=tmp_path / "/".join(["d" * 200] * 25))


# -- listing -----------------------------------------------------------------------------------------------


def test_entries(production, publish, opened, registry):
    publish("a/b", type="ModelArtifact")
    registry.withdraw("m:v3", "wrong")
    first, second = opened().list()
    assert (first.name, first.semantic_name, first.latest, first.versions) == ("a-b", "a/b", 1, (1,))
    assert (first.type, first.aliases) == ("ModelArtifact", {})
    assert (second.name, second.latest, second.versions) == ("m", 2, (1, 2))
    assert second.aliases == {"production": 2}
    assert opened().get("a/b") == opened().get("a-b") == first
    assert opened().get("nothing") is None
    assert [record.version for record in opened().versions("m")] == [1, 2]
    with pytest.raises(ArtifactNotFoundError):
        opened().versions("nothing")


def test_thousands_of_names_and_versions_are_all_there(publish, opened):
    for number in range(60):
        publish(f"name{number:03}", metadata={})
    assert [entry.name for entry in opened().list()] == [f"name{number:03}" for number in range(60)]


# -- slashes, and several readings ---------------------------------------------------------------------------


@pytest.mark.parametrize("snapshot", [False, True])
def test_several_readings_that_are_there_are_an_error_that_lists_them(publish, opened, snapshot):
    publish("a", snapshot=snapshot)
    publish("a/sub")
    for ref in ("a/sub", "art://a/sub"):
        with pytest.raises(AmbiguousReferenceError, match=r"art://a/sub:latest or art://a:latest/sub"):
            opened().find(ref)
    assert opened().find("art://a/sub:latest")[0].uri == "art://a-sub:v1"
    assert opened().find("art://a:latest/sub") == (opened().resolve("a"), "sub")
    publish("a/nope")
    assert opened().find("a/nope")[0].name == "a-nope"


def test_the_same_file_in_two_artifacts(publish, opened, data):
    publish("x", source=data)
    publish("x/sub", source=data / "sub")
    with pytest.raises(
        AmbiguousReferenceError, match=r"art://x/sub:latest/more.bin or art://x:latest/sub/more"
    ):
        opened().find("x/sub/more.bin")


def test_what_is_not_inside_is_nowhere_and_the_error_says_where_it_was_looked_for(publish, opened, data):
    publish("a")
    with pytest.raises(PathNotFoundError) as caught:
        opened().find("a/nope/deep")
    for looked in ("nope/deep", "art://a:v1", str(data), "no artifact a/nope/deep"):
        assert looked in str(caught.value)
    with pytest.raises(ArtifactNotFoundError):
        opened().find("b/nope")


def test_a_file_that_is_gone_was_inside(publish, opened, data):
    publish("a")
    (data / "part.txt").unlink()
    assert opened().find("a/part.txt")[1] == "part.txt"
    shutil.rmtree(data)
    assert opened().find("a/sub/more.bin")[1] == "sub/more.bin"
    with pytest.raises(PathNotFoundError):
        opened().find("a/nope")


def test_data_at_a_url_may_hold_anything(publish, opened):
    publish("u", source="s3://bucket/x")
    assert opened().find("u/any/thing")[1] == "any/thing"
    publish("u/any")
    assert opened().find("u/any")[0].name == "u-any"


def test_a_withdrawn_name_is_not_looked_for_inside_another(publish, registry, opened):
    publish("a")
    publish("a/sub")
    registry.withdraw("a/sub:v1", "no good")
    with pytest.raises(ArtifactVersionNotFoundError):
        opened().find("a/sub")


def test_shorter_names_are_looked_for_once(publish, counted):
    publish("nano/pre/data")
    fresh, store = counted()
    fresh.find("nano/pre/data")
    asked = [key for _, key in store.calls if key.startswith(("nano-pre/", "nano/"))]
    assert asked == ["nano-pre/v1/manifest.json", "nano/v1/manifest.json"]
    store.calls.clear()
    fresh.find("nano/pre/data")
    assert len(store.calls) <= 4, store.calls
    assert not any(key.startswith(("nano-pre/v", "nano/")) for _, key in store.calls)
