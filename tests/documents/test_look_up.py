"""Looking into a listing: links that lead nowhere, and links that lead out."""

import pytest

from nemotron.kit.documents.look_up import LookUp, Seen
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import OutsideRootError


def test_a_circle_leads_nowhere() -> None:
    look = LookUp(Tree.of([Entry("a", kind="link", target="b"), Entry("b", kind="link", target="a")]))
    assert look.at("a") == Seen("link", is_link=True)
    assert look.at("a/x") is None
    assert look.names("a") == []


@pytest.mark.parametrize("target", ["/etc", "..", "x/../../y", "../folder/x"])
def test_what_leads_out_is_refused_and_not_named(target: str) -> None:
    look = LookUp(Tree.of([Entry("out", kind="link", target=target), Entry("x/y", 1)]))
    for path in ("out", "out/y"):
        with pytest.raises(OutsideRootError, match="leaves the artifact"):
            look.at(path)
    assert look.names("") == ["x"]
