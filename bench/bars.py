"""The bars that this kit has set itself, and whether what was measured keeps them.

Times move between machines, so most bars are ratios, taken round by round in one run, and their median; of
medians, where one of the two has more figures.
"""

import statistics
from dataclasses import dataclass
from typing import Any

Seconds = dict[str, dict[str, list[float]]]
Verdict = dict[str, str]

BASE = "cp -r"
FULL, SNAPSHOT, BARE = "kit: reference, full", "kit: snapshot", "kit: snapshot, not synced"
STAT_FLOOR, HASH_FLOOR = "floor: walk and stat", "floor: hash"
# Peers that look at the bytes, each time.
LOOKING = (
    "cp -r, then hash",
    "wandb add_dir",
    "wandb add_dir, immutable",
    "wandb file references",
    "DVC add (command)",
)


@dataclass(frozen=True)
class Bar:
    """What is at most so many times the fastest of others, or so many seconds if there are none.

    Attributes:
        row, step: what is bounded.
        most: the ratio, or seconds.
        others: whose time it is compared with, in the same step.
        text: how the bar is spelt.
    """

    row: str
    step: str
    most: float
    others: tuple[str, ...] = ()
    text: str = ""

    def verdict(self, rows: Seconds) -> Verdict | None:
        """What was measured; None if that was not."""
        taken = rows.get(self.row, {}).get(self.step)
        there = {name: rows[name][self.step] for name in self.others if rows.get(name, {}).get(self.step)}
        if not taken or (self.others and not there):
            return None
        what = f"{self.row}, {self.step}"
        if not self.others:
            value = statistics.median(taken)
            return verdict(what, f"{value:.4f} s", self.text or f"≤ {self.most:g} s", value <= self.most)
        fastest = min(there, key=lambda name: statistics.median(there[name]))
        value, scatter = compare(taken, there[fastest])
        measured = f"{value:.{2 if value > 0.005 else 5}f}x {fastest}{scatter}"
        return verdict(what, measured, self.text or f"≤ {self.most:g}x", value <= self.most)


def compare(taken: list[float], others: list[float]) -> tuple[float, str]:
    """The ratio of two that took part side by side, and how it scatters.

    Where one has more figures, it is that of the medians: nobody knows which were taken side by side, and one
    of many says little.
    """
    if len(others) != len(taken):
        return statistics.median(taken) / statistics.median(others), ""
    ratios = [a / b for a, b in zip(taken, others, strict=True)]
    scatter = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 and max(ratios) > 0.05 else ""
    return statistics.median(ratios), scatter


def verdict(what: str, measured: str, bar: str, holds: bool) -> Verdict:
    """One line of the table of bars."""
    return {
        "what": what,
        "measured": measured,
        "bar": bar,
        "holds": "holds" if holds else "**does not hold**",
    }


def ahead(row: str, others: tuple[str, ...]) -> list[Bar]:
    """Faster than those who do the same work, in every step."""
    return [
        Bar(row, step, 1.0, (other,), f"ahead of {other}")
        for step in ("first", "unchanged", "one changed")
        for other in others
    ]


def far_ahead(row: str, others: tuple[str, ...]) -> list[Bar]:
    """Three times as fast, the first time."""
    return [Bar(row, "first", 1 / 3, (other,), f"≥ 3x ahead of {other}") for other in others]


PEERS = [
    *ahead(SNAPSHOT, ("DVC add (command)", "wandb add_dir")),
    *ahead(BARE, ("cp -r, then hash",)),
    *ahead(FULL, ("wandb file references",)),
    # Neither of them brings anything to the disk.
    *far_ahead(BARE, ("DVC add (command)", "wandb add_dir")),
]
COMMIT_FLOOR = ("floor: walk, stat and one commit",)
CONTENT: dict[str, list[Bar]] = {
    "large": [
        Bar("kit: reference, stat", "first", 3.0, COMMIT_FLOOR),
        Bar("kit: reference, stat", "unchanged", 3.0, COMMIT_FLOOR),
        Bar(FULL, "first", 1.15, (HASH_FLOOR,)),
        Bar(FULL, "unchanged", 0.005),
        Bar(FULL, "one changed", 1.15, ("floor: hash of one file",)),
        Bar(BARE, "first", 1.15, (BASE,)),
        Bar(SNAPSHOT, "first", 1.2, ("cp -r, synced",)),
        Bar(SNAPSHOT, "unchanged", 0.005, (), "≤ 0.005 s, storing nothing"),
        Bar(BARE, "one changed", 1.3, ("floor: cp of one file",)),
        Bar(SNAPSHOT, "one changed", 1.7, ("floor: cp of one file, synced",)),
        *PEERS,
    ],
    "single": [
        Bar(BARE, "first", 1.7, (BASE,)),
        Bar(SNAPSHOT, "first", 1.7, ("cp -r, synced",)),
    ],
    "small": [
        Bar("kit: reference, stat", "first", 3.0, COMMIT_FLOOR),
        Bar("kit: reference, stat", "unchanged", 3.0, COMMIT_FLOOR),
        Bar(FULL, "first", 1.5, (HASH_FLOOR,)),
        Bar(BARE, "first", 1.5, (BASE,)),
        Bar(SNAPSHOT, "first", 1.5, ("cp -r, synced",)),
        Bar(FULL, "unchanged", 2.0, (STAT_FLOOR,)),
        Bar(SNAPSHOT, "unchanged", 2.0, (STAT_FLOOR,), "≤ 2x, storing nothing"),
        Bar(SNAPSHOT, "unchanged", 0.1, LOOKING, "≥ 10x faster than the fastest peer that looks at data"),
        Bar(FULL, "unchanged", 0.1, LOOKING, "≥ 10x faster than the fastest peer that looks at data"),
        *PEERS,
    ],
}


def of_content(key: str, rows: Seconds) -> list[Verdict]:
    """All bars of a set of data, as far as they were measured."""
    return [said for bar in CONTENT[key] if (said := bar.verdict(rows)) is not None]


def unmeasured(key: str, rows: Seconds) -> list[str]:
    """The bars of a set of data that nothing is known of."""
    return [
        f"{bar.row}, {bar.step} ({bar.text or f'≤ {bar.most:g}'})"
        for bar in CONTENT[key]
        if bar.verdict(rows) is None
    ]


def absent(found: dict[str, Any]) -> list[str]:
    """Who took no part, and why."""
    missing = [f"{name}: not installed" for name in found.get("missing", ()) if found["peers"]]
    return [*missing, *(f"{name}: failed ({why})" for name, why in found["failed"].items())]


def spelt(value: float) -> str:
    """A figure with as many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def at_most(what: str, value: float, most: float, unit: str = "") -> Verdict:
    """A figure with an upper bar."""
    return verdict(what, f"{spelt(value)}{unit}", f"≤ {most:,g}{unit}", value <= most)


def at_least(what: str, value: float, least: float, unit: str = "") -> Verdict:
    """A figure with a lower bar."""
    return verdict(what, f"{spelt(value)}{unit}", f"≥ {least:,g}{unit}", value >= least)


def show(said: list[Verdict]) -> None:
    """Print them."""
    print("\nBars")
    for bar in said:
        print(f"  {bar['what']}: {bar['measured']}, {bar['bar']}: {bar['holds']}")
