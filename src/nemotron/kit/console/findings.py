"""What the doctor found, as a command shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.registry.findings import Finding


@dataclass(frozen=True)
class FindingsView(View):
    """All findings of a store.

    Attributes:
        root: of the store.
        findings: problems and notes.
    """

    root: str
    findings: Sequence["Finding"]

    @property
    def ok(self) -> bool:
        """Whether nothing but notes is left."""
        return not any(finding.is_problem for finding in self.findings)

    def document(self) -> Any:
        """`ok`, and each finding; `count` and `bytes` of those that are about many objects."""
        findings = [
            {
                "kind": f.kind,
                "level": f.level,
                "where": f.where,
                "what": f.what,
                "fix": f.fix,
                "repaired": f.repaired,
                **({} if f.count is None else {"count": f.count, "bytes": f.size}),
            }
            for f in self.findings
        ]
        return {"root": self.root, "ok": self.ok, "findings": findings}

    def lines(self) -> Iterable[str]:
        """Kind and place of each problem."""
        return [f"{f.kind} {words.printable(f.where)}" for f in self.findings if f.is_problem]

    def render(self) -> "str | RenderableType":
        """A paragraph for each finding, and the sum."""
        from rich.console import Group
        from rich.text import Text

        if not self.findings:
            return Text.assemble(("healthy ", "bold green"), words.printable(self.root))
        paragraphs: list[RenderableType] = []
        for finding in sorted(self.findings, key=lambda finding: finding.level, reverse=True):
            colour = "bold red" if finding.is_problem else "bold yellow"
            paragraphs.append(
                Text.assemble(
                    (f"{finding.kind}  ", colour),
                    (f"{words.printable(finding.where)}\n", "cyan"),
                    f"  {words.printable(finding.what)}\n",
                    ("  fix: ", "bold") if finding.repaired is None else ("  repaired: ", "bold green"),
                    f"{words.printable(finding.repaired or finding.fix)}\n",
                    overflow="fold",
                )
            )
        repaired = sum(finding.repaired is not None for finding in self.findings)
        problems = sum(finding.is_problem for finding in self.findings)
        notes = len(self.findings) - problems - repaired
        counts = [words.many(n, word) for n, word in ((problems, "problem"), (notes, "note")) if n]
        counts += [f"{repaired} repaired"] if repaired else []
        verdict = ("healthy ", "bold green") if self.ok else ("not healthy ", "bold red")
        tail = Text.assemble(verdict, words.printable(self.root), f": {', '.join(counts)}")
        return Group(*paragraphs, tail)
