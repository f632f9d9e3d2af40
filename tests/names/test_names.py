"""The grammar: what is written can be read back, and nothing else can be read."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemotron.kit.errors import InvalidNameError, InvalidReferenceError, KitError, OutsideRootError
from nemotron.kit.names import (
    LATEST,
    Alias,
    ArtifactName,
    ArtifactRef,
    Version,
    local_path,
    meant,
    near,
    normalise_inside,
    parse_selector,
)
from nemotron.kit.testing import strategies

pytestmark = pytest.mark.usefixtures("no_io")


def attempt(parse, text):
    """(value, None) or (None, the kit's error); any other error fails the test."""
    try:
        return parse(text), None
    except KitError as problem:
        return None, problem


@given(strategies.refs())
def test_what_is_written_reads_back(ref):
    assert ArtifactRef.parse(str(ref)) == ref
    assert ArtifactRef.parse(str(ref).removeprefix("art://")) == ref


@given(strategies.refs())
def test_the_uri_with_the_key_names_the_same_key(ref):
    again = ArtifactRef.parse(ref.uri)
    assert (again.name.key, again.selector or LATEST, again.inside) == (
        ref.name.key,
        ref.selector or LATEST,
        ref.inside,
    )
    assert again.uri == ref.uri


@given(st.text())
@example("art://a:v1/x//../y")
@example("art://a:v1/" + "x/" * 3000)
@example("a/b?k=v/inside")
def test_any_text_is_a_reference_that_reads_back_or_a_clear_error(text):
    ref, problem = attempt(ArtifactRef.parse, text)
    if problem:
        assert problem.kind in ("invalid_reference", "outside_root")
        assert str(problem).startswith("Invalid art:// URI: ")
        assert len(str(problem)) < 1000
    else:
        assert ArtifactRef.parse(str(ref)) == ref


# The inside of a reference may come from anywhere; what names a key in a store may not.
HOSTILE = [
    "../x",
    "..",
    ".",
    "/abs",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    "/",
    "",
    " ",
    "a b",
    " a",
    "a ",
    "a\x00b",
    "a\n",
    "\na",
    "a\r",
    "a\tb",
    "%2e%2e",
    "%2e%2e/x",
    "a%2fb",
    "v1",
    "V1",
    "v007",
    ".kit",
    ".hidden",
    "-rf",
    "_x",
    "~",
    "~root",
    "$HOME",
    "a:b",
    "a*b",
    "a\\b",
    "..\\x",
    "x" * 129,
    "x" * 10_000,
    "a/" * 5_000 + "a",
    "d\u0430ta",  # a Cyrillic letter
    "\uff44ata",  # a full-width letter
    "data\u200b",  # zero-width space
    "\u21741",  # a Roman numeral five
    "model\u0660",  # Arabic-Indic zero
    "café",
    "\ud800",
    "a?b",
    "a?b=",
    "a?b=c/d",
    "a?b=../c",
    "a/v1",
    "a/.kit",
    "a?",
    "http://x",
]


@pytest.mark.parametrize("given", [3, b"m", None, Path("m")])
def test_what_is_no_text_is_no_name(given):
    with pytest.raises(InvalidNameError, match="it is no text"):
        ArtifactName.parse(given)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_hostile_names_are_refused(text):
    with pytest.raises(InvalidNameError, match="Invalid artifact name") as caught:
        ArtifactName.parse(text)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [*(text for text in HOSTILE if text), "1", "3", "a/b"], ids=lambda t: ascii(t)[:20]
)
def test_hostile_aliases_are_refused(text):
    with pytest.raises(InvalidNameError, match="Invalid alias"):
        Alias(text)


HOSTILE_INSIDE = [
    "..",
    "../x",
    "a/../../x",
    "a/../..",
    "./..",
    "/abs",
    "//abs",
    "a\x00",
    "a\nb",
    "a\r",
    "%2e%2e/x",
    "%2E%2e",
    "a/%2e%2e/%2e%2e/x",
    ".%2e",
    "%2e",
    "a%2f..%2fb",
    "%00",
    "%0a",
]


@pytest.mark.parametrize("path", HOSTILE_INSIDE, ids=ascii)
def test_hostile_paths_inside_are_refused(path):
    with pytest.raises(OutsideRootError, match="inside an artifact"):
        normalise_inside(path)
    with pytest.raises(OutsideRootError):
        ArtifactRef(ArtifactName("a"), Version(1), path)
    with pytest.raises(OutsideRootError, match=r"^Invalid art:// URI"):
        ArtifactRef.parse(f"art://a:v1/{path}")


@given(st.text(alphabet="./%2eEab\\", max_size=30))
def test_no_path_inside_ever_climbs_out(path):
    try:
        inside = normalise_inside(path)
    except OutsideRootError:
        return
    assert not inside.startswith("/")
    assert not {"", ".", ".."} & set(inside.split("/")) or inside == ""
    assert normalise_inside(inside) == inside


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", ""), (".", ""), ("a/./b//c/", "a/b/c"), ("a/b/../c", "a/c"), ("a/..", ""), ("100%", "100%")],
)
def test_paths_inside_are_normalised(path, expected):
    assert normalise_inside(path) == expected


@pytest.mark.parametrize(
    ("text", "name", "selector", "inside"),
    [
        ("m", "m", None, ""),
        ("art://m", "m", None, ""),
        ("art://m:v3", "m", Version(3), ""),
        ("art://m:3", "m", Version(3), ""),
        ("art://m:0", "m", Version(0), ""),
        ("art://m:latest", "m", LATEST, ""),
        ("art://m:production", "m", Alias("production"), ""),
        ("art://m:v3/train/0.bin", "m", Version(3), "train/0.bin"),
        ("art://m:v3/", "m", Version(3), ""),
        ("art://m:v3/a:b?c#d", "m", Version(3), "a:b?c#d"),
        ("art://m/.cache/x", "m", LATEST, ".cache/x"),
        ("art://m/with space.txt", "m", LATEST, "with space.txt"),
        ("art://nano3/sft/data", "nano3/sft/data", None, ""),
        ("art://nano3/sft/data/", "nano3/sft/data", None, ""),
        ("art://nano3/sft/data:v1", "nano3/sft/data", Version(1), ""),
        ("art://d?sample=10", "d?sample=10", None, ""),
        ("art://d?sample=10&seed=1:v2/x", "d?sample=10&seed=1", Version(2), "x"),
        ("art://d?sample=10/x", "d?sample=10", LATEST, "x"),
        ("llama-3.1-8b:v1", "llama-3.1-8b", Version(1), ""),
    ],
)
def test_the_grammar_by_example(text, name, selector, inside):
    ref = ArtifactRef.parse(text)
    assert (ref.name.semantic, ref.selector, ref.inside) == (name, selector, inside)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "art://",
        "art://:v1",
        "art://m:",
        "art://m:/x",
        "art://m:v1:v2",
        "art://m:v01",
        "art://m:007",
        "art://m:v٣",  # Arabic-Indic three: a digit to int(), not to the grammar
        "art://m:²",
        "art://m:v" + "9" * 19,
        "art://m:v1\n",
        "art://m\n",
        "art://m:latest\n",
        "art://art://m",
        "http://m",
        "s3://bucket/key",
        "art:///abs/path",
        "/abs/path",
        "art://m:../x",
        "art://m:.kit",
        "art://" + "x" * 10_000,
        "art://m:v1/" + "x" * 10_000,
    ],
    ids=lambda text: ascii(text)[:24],
)
def test_what_is_no_reference(text):
    with pytest.raises(InvalidReferenceError, match=r"^Invalid art:// URI: ") as caught:
        ArtifactRef.parse(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a b", "'a b': it may hold"),
        ("art://a b", "'art://a b': it may hold"),
        ("a b:v1", "'a b:v1': name: 'a b': it may hold"),
        ("m:a b", "'m:a b': alias: 'a b': it may hold"),
    ],
)
def test_what_is_wrong_is_said_once(text, said):
    with pytest.raises(InvalidReferenceError) as caught:
        ArtifactRef.parse(text)
    assert str(caught.value).startswith(f"Invalid art:// URI: {said}")
    assert str(caught.value).count("Invalid") == 1


def test_a_reference_that_could_not_be_read_back_is_not_made():
    with pytest.raises(InvalidReferenceError, match="at most 3800"):
        ArtifactRef(ArtifactName("m"), Version(1), "/".join(["x" * 200] * 25))


@pytest.mark.parametrize("name", ["nano3/sft/data", "a", "d?sample=10", "a/b?c=d&e=f"])
def test_keys_hold_nothing_that_a_store_could_trip_over(name):
    key = ArtifactName(name).key
    assert ArtifactName(key).key == key
    assert not set(key) & set("/?&=")


def test_a_sample_never_has_the_key_of_the_whole():
    assert ArtifactName("d?sample=10").key == "d-sample-10"


@given(strategies.names())
def test_names_read_back(name):
    assert ArtifactName.parse(str(name)) == name
    assert ArtifactName.parse(f"art://{name}") == name
    assert ArtifactName.parse(name.key).key == name.key


@given(strategies.versions())
def test_versions_read_back(version):
    assert Version.parse(str(version)) == Version.parse(version.number) == Version.parse(version) == version
    assert parse_selector(str(version)) == parse_selector(str(version.number)) == version


@given(strategies.aliases())
def test_aliases_read_back_and_are_no_versions(alias):
    assert parse_selector(str(alias)) == alias
    with pytest.raises(InvalidReferenceError):
        Version.parse(str(alias))


def test_versions_are_ordered_by_number():
    assert sorted([Version(10), Version(9), Version(100)]) == [Version(9), Version(10), Version(100)]


@pytest.mark.parametrize("text", [None, "", "latest"])
def test_no_selector_means_latest(text):
    assert parse_selector(text) == LATEST


def test_readings_go_from_the_longest_name_to_the_shortest():
    readings = ArtifactRef.parse("art://a/b/c").readings()
    assert [(r.name.semantic, r.selector, r.inside) for r in readings] == [
        ("a/b/c", None, ""),
        ("a/b", LATEST, "c"),
        ("a", LATEST, "b/c"),
    ]


def test_a_part_that_is_no_name_leaves_the_shorter_readings():
    readings = ArtifactRef.parse("art://a/b/c d/e").readings()
    assert [(r.name.semantic, r.selector, r.inside) for r in readings] == [
        ("a/b", LATEST, "c d/e"),
        ("a", LATEST, "b/c d/e"),
    ]


@pytest.mark.parametrize("text", ["a", "a/b/c:v1", "a/b:latest/c", "a/b?c=d", "a/.x", "a/b:latest/c d"])
def test_what_has_one_reading(text):
    ref = ArtifactRef.parse(text)
    assert ref.readings() == (ref,)


@given(strategies.refs())
def test_every_reading_reads_back(ref):
    readings = ref.readings()
    assert readings[0] == ref
    for reading in readings:
        assert ArtifactRef.parse(str(reading)) == reading


def test_wandb_form():
    assert ArtifactRef.parse("art://entity/project/name:v3").wandb == ("entity", "project", "name")
    assert ArtifactRef.parse("art://a/b").wandb is None
    assert ArtifactRef.parse("art://a/b/c?d=e").wandb is None


def test_local_paths():
    assert local_path("art:///data/run1") == "/data/run1"
    assert local_path("art://data") is None
    assert local_path("/data") is None
    for text in ("art:///a\x00b", "art:///a\nb"):
        with pytest.raises(InvalidReferenceError):
            local_path(text)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_nothing_but_the_kits_own_errors_comes_out(text):
    for parse in (
        ArtifactName.parse,
        ArtifactRef.parse,
        Version.parse,
        Alias,
        normalise_inside,
        parse_selector,
    ):
        _, problem = attempt(parse, text)
        assert problem is None or problem.kind in ("invalid_name", "invalid_reference", "outside_root")


def test_references_are_frozen_values():
    ref = ArtifactRef.parse("a:v1/x")
    with pytest.raises(AttributeError):
        ref.inside = "../y"
    assert ArtifactRef.parse(ref) is ref
    assert {ref: 1}[ArtifactRef.parse("art://a:1/x")] == 1
    assert ref.at(Version(2)) == ArtifactRef.parse("a:v2/x")


def test_letters_that_changed_places_are_the_likeliest_slip():
    assert near("stpe", ["type", "step", "steps"]) == ["step"]
    assert near("TRIAN", ["brain", "train"], 2) == ["train", "brain"]
    for known in (["artifact", "Artifact"], ["Artifact", "artifact"]):
        assert near("Artefact", known) == ["Artifact"]
    assert near("artefact", ["artifact", "Artifact"], 2) == ["artifact", "Artifact"]
    assert near("x", ["train", "step"]) == []
    assert near("", ["train"]) == []


PARTS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=4)
STORES = st.dictionaries(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map("/".join),
    st.sets(st.sampled_from(["a", "b", "c", "b/c", "a/b/c"])),
)


@given(PARTS, STORES)
def test_what_is_meant_in_any_store(parts, store):
    """A store here is a dict: the names that exist, and the paths in each."""
    readings = [r for r in ArtifactRef.parse("/".join(parts)).readings() if r.name.semantic in store]
    there = [r for r in readings if not r.inside or r.inside in store[r.name.semantic]]
    found = meant(readings, lambda r: r in there)
    assert bool(found) == bool(there)  # what is there is never left to others, and nothing is made up
    if found:
        assert found[0] == readings[0]  # the longest name that exists
        assert (len(found) > 1) == (readings[0] in there and len(there) > 1)
        assert len(found) == 1 or list(found) == there


@given(PARTS, st.data())
def test_what_cannot_be_told_counts_only_where_nothing_is_certain(parts, data):
    readings = ArtifactRef.parse("/".join(parts)).readings()
    told = {r: data.draw(st.sampled_from([True, False, None])) for r in readings}
    found = meant(readings, told.get)
    assert found == () or found[0] == readings[0]
    assert (found == ()) == (set(told.values()) == {False})
    assert len(found) <= 1 or all(told[r] for r in found)
