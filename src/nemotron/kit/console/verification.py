"""What became of the files of a version, as a command shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import Rows, View
from nemotron.kit.registry.differences import Differences

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.registry.differences import Difference
    from nemotron.kit.registry.verify import Verification

FILES_SHOWN_MAX = 100
# What is done at once, nobody asks how long it took.
SECONDS_TOLD_MIN = 1.0
_ACHIEVED = {
    "stat": "by size and time",
    "sampled": "by a sample of each file",
    "full": "by every byte",
}
# What a look of this kind is blind to.
_UNSEEN = {
    "stat": "changes that kept size and time",
    "sampled": "changes between the samples that kept size and time",
}
_UNSEEN_AT_URL = {
    "stat": "changes that kept size and etag",
    "sampled": "changes between the samples that kept size and etag",
}
# A path that is longer than a line goes on in the next: whoever copies it has all of it.
_AS_ONE: Any = {"no_wrap": True, "overflow": "ignore"}
_UNSURE = (
    "changed? was written again with the same size, as its etag tells; only a digest, which --evidence full "
    "keeps when it is published, could tell whether its bytes are the same"
)


@dataclass(frozen=True)
class VerificationView(View):
    """The outcome of comparing files with what was published.

    Attributes:
        found: what was found; after a repair, what is found now.
        repaired: the files whose content was taken again, or None if nobody asked for that.
    """

    found: "Verification"
    repaired: list[str] | None = None

    def document(self) -> Any:
        """The outcome, and each file that is not the same."""
        found = self.found
        return (
            {
                "uri": found.uri,
                "ok": found.ok,
                "evidence": found.evidence,
                "bytes_read": found.bytes_read,
                "seconds": round(found.seconds, 3),
                "files": Rows(found.files, _row),
            }
            | ({} if found.requests is None else {"requests": found.requests})
            | ({"unseen": unseen} if (unseen := _unseen(found)) else {})
            | ({"notes": list(found.notes)} if found.notes else {})
            | ({} if self.repaired is None else {"repaired": self.repaired})
        )

    def lines(self) -> Iterable[str]:
        """Verdict and path of each file that is not the same."""
        return (f"{_verdict(file)} {words.printable(file.path)}{_placed(file)}" for file in self.found.files)

    def render(self) -> "str | RenderableType":
        """The files, and a sentence."""
        from rich.console import Group
        from rich.text import Text

        found = self.found
        rows = [
            Text.assemble(
                (f"{_verdict(file):8} ", "yellow" if file.verdict == "touched" else "bold red"),
                words.printable(file.path),
                (_placed(file), "dim"),
                (" (the same bytes)" if file.is_proven else "", "dim"),
                **_AS_ONE,
            )
            for file in found.files[:FILES_SHOWN_MAX]
        ]
        if (more := len(found.files) - FILES_SHOWN_MAX) > 0:
            rows.append(Text(f"and {more:,} more", "dim"))
        is_compared = Differences(found.files).is_proven
        verdict = ("not the same ", "bold red")
        if found.ok:
            verdict = ("same ", "bold green") if is_compared else ("touched ", "bold yellow")
        rows += [
            Text.assemble(("repaired ", "green"), words.printable(path), **_AS_ONE)
            for path in (self.repaired or ())[:FILES_SHOWN_MAX]
        ]
        read = f", {words.size(found.bytes_read)} read" if found.bytes_read else ", nothing read"
        if found.requests is not None:
            read = f", {words.many(found.requests, 'request')}{read}"
        if found.seconds >= SECONDS_TOLD_MIN:
            read += f" in {words.number(round(found.seconds))} s"
        rows += [Text(words.printable(note), "yellow", **_AS_ONE) for note in found.notes]
        if not Differences(found.files).is_sure:
            rows.append(Text(_UNSURE, "dim"))
        unseen = _unseen(found)
        blind = f"; not seen: {unseen}" if unseen else ""
        if blind and not is_compared:
            blind += ", and any in what was touched and not read whole"
        return Group(*rows, Text.assemble(verdict, found.uri, f" ({_achieved(found)}{read}{blind})"))


def _row(file: "Difference") -> dict[str, Any]:
    return (
        {"path": file.path, "verdict": file.verdict}
        | ({"place": file.place} if file.place else {})
        | ({} if file.is_sure else {"sure": False})
    )


def _unseen(found: "Verification") -> str | None:
    return (_UNSEEN if found.requests is None else _UNSEEN_AT_URL).get(found.evidence)


def _achieved(found: "Verification") -> str:
    if found.requests is not None and found.evidence == "stat":
        return "by what its server says"
    return _ACHIEVED[found.evidence]


def _verdict(file: "Difference") -> str:
    return file.verdict if file.is_sure else f"{file.verdict}?"


def _placed(file: "Difference") -> str:
    return f" (in the {file.place})" if file.place else ""
