"""Interpolations of ours are what OmegaConf's own parser makes of them, without asking it each time."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, base
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from nemotron.kit.integrations.omegaconf import register
from nemotron.kit.integrations.omegaconf_parsing import OURS, parse_once, read, remembering

parse_once()
GRAMMAR = base.parse.__wrapped__


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that OmegaConf's parser is asked for."""
    asked: list[str] = []
    monkeypatch.setattr(base, "parse", remembering(lambda *a, **k: asked.append(a[0]) or GRAMMAR(*a, **k)))
    return asked


@pytest.fixture(autouse=True)
def resolvers() -> Iterator[None]:
    for mark in OURS:
        name = mark.strip("${:")
        register(name, lambda *arguments, name=name: answer(name, arguments), replace=True)
    yield
    OmegaConf.clear_resolvers()


def answer(name: str, arguments: tuple[Any, ...]) -> Any:
    """What a resolver of these tests gives; it depends on all that it was given."""
    if arguments[-1] == "map":
        return {"name": name, "first": arguments[0]}
    return len(arguments[0]) if arguments[-1] == "number" else f"{name}{arguments!r}"


def of(text: str) -> Any:
    return DictConfig({"key": text}).key


@pytest.mark.parametrize(
    "text",
    [
        "${art:data,tokens}",
        "${art:data-%d,tokens}",
        "${art:data,field_%d}",
        "${art:data}/shard-%d.bin",
        "${art:nano3/data:v%d, path}",
        "/mnt/${art:data,path}/${art:data-%d}:${manifest:/data/x,train}",
    ],
)
def test_a_thousand_interpolations(text: str, parsed: list[str]) -> None:
    keys = {f"key{n}": text.replace("%d", str(n)) for n in range(1000)}
    config = OmegaConf.create(keys)
    parsed.clear()  # creating a config may look at texts as well
    found = OmegaConf.to_container(config, resolve=True)
    assert found == {key: config[key] for key in keys}
    assert len(set(found.values())) == (1000 if "%d" in text else 1)
    assert parsed == []


def test_what_only_the_grammar_can_tell_is_parsed_once(parsed: list[str]) -> None:
    text = "${art:data,'a, b'}"
    config = OmegaConf.create({f"key{n}": text for n in range(10)})
    parsed.clear()
    assert set(OmegaConf.to_container(config, resolve=True).values()) == {"art('data', 'a, b')"}
    assert parsed == [text]


def test_texts_that_are_not_ours_are_parsed_as_ever() -> None:
    calls: list[str] = []
    parse = remembering(lambda text, *more: calls.append(text) or text)
    for text in ("${a.b}", "${a.b}", "${art:x}", "${art:x}", "${art:x}/${a}"):
        assert parse(text, "configValue") == text
    assert calls == ["${a.b}", "${a.b}", "${art:x}", "${art:x}/${a}"]


ARGUMENTS = st.text("abNvt0189_-./:@+ ${},'\"\\\\", max_size=12) | st.sampled_from(
    ["null", "True", "nan", "INF", "map", "number", "1e5", "data:v1", "${oc.env:NO,x}", "/a", "", "é"]
)
CALLS = st.builds(
    lambda mark, arguments, space: f"{mark}{space}{f',{space}'.join(arguments)}{space}}}",
    st.sampled_from(OURS),
    st.lists(ARGUMENTS, min_size=1, max_size=3),
    st.sampled_from(["", " ", "\t"]),
)
TEXTS = st.lists(CALLS | st.text("a$\\\\{}:, é\n???", max_size=4), min_size=1, max_size=4).map("".join)


def visited(tree: Any) -> Any:
    """What OmegaConf makes of a parse tree: the value, and the calls of resolvers in their order."""
    calls: list[Any] = []

    class Recording(DictConfig):
        def _evaluate_custom_resolver(self, **asked: Any) -> Any:  # type: ignore[override]
            calls.append((asked["inter_type"], asked["inter_args"], asked["inter_args_str"]))
            return answer(asked["inter_type"], asked["inter_args"])

    holder = Recording({"key": None})
    value = holder.resolve_parse_tree(tree, node=holder._get_node("key"), key="key")
    return value, calls


@given(TEXTS)
def test_the_pattern_reads_what_the_grammar_reads(text: str) -> None:
    if read(text) is None:
        return  # the grammar's business
    try:
        whole = visited(GRAMMAR(text))
    except GrammarParseError:
        pytest.fail(f"{text!r} is read, and is no interpolation to OmegaConf")
    found = visited(remembering(GRAMMAR)(text))
    assert found[0] == whole[0]
    assert type(found[0]) is type(whole[0])
    # A map in the middle of a text is left to the grammar, which then calls again.
    assert found[1][-len(whole[1]) :] == whole[1]


PLAIN = st.from_regex(r"[A-Za-z_/][A-Za-z0-9_/.:@+\-]{0,8}", fullmatch=True)


@given(st.lists(PLAIN, min_size=1, max_size=3), st.sampled_from(["", "/x", " and "]))
def test_plain_names_are_read_as_the_grammar_reads_them(arguments: list[str], tail: str) -> None:
    test_the_pattern_reads_what_the_grammar_reads.hypothesis.inner_test(
        f"${{art:{','.join(arguments)}}}{tail}"
    )


def test_who_looks_into_the_tree_sees_the_grammar_s() -> None:
    text = "${art:data,path}/x"
    tree, whole = remembering(GRAMMAR)(text), GRAMMAR(text)
    assert isinstance(tree, type(whole))
    assert tree.getText() == whole.getText()
    assert [type(child) for child in tree.text().children] == [type(child) for child in whole.text().children]


@pytest.mark.parametrize("key", ["a", "a.name", "b", "c", "d"])
def test_a_map_that_a_resolver_gives_is_what_it_is_to_omegaconf(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {
        "a": "${art:data,map}",
        "b": "${a.first}",
        "c": "x${art:data,map}",
        "d": {"e": "${art:data,map}"},
    }

    def found() -> list[Any]:
        config = OmegaConf.create(entries)
        try:
            selected = OmegaConf.select(config, key)
            OmegaConf.resolve(config)
        except OmegaConfBaseException as error:  # versions differ in what they take
            return [type(error), str(error)]
        return [type(selected), selected, config, OmegaConf.to_container(config, resolve=True)]

    ours = found()
    monkeypatch.setattr(base, "parse", GRAMMAR)
    assert ours == found()
