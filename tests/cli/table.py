"""A call of each command that succeeds on the store of `tests/cli`, and one with any reference."""

from collections.abc import Callable

COMMANDS: dict[str, tuple[str, ...]] = {
    "ls": ("ls",),
    "show": ("show", "nano3/data:v1"),
    "versions": ("versions", "art://nano3/data"),
    "resolve": ("resolve", "base:good"),
    "lineage": ("lineage", "tuned"),
    "impact": ("impact", "nano3/data:v2"),
    "why": ("why", "base:good"),
    "path": ("path", "tuned", "nano3/data:v2"),
    "diff": ("diff", "nano3/data:v1", "nano3/data:v2"),
    "log": ("log", "base"),
    "composition": ("composition", "base"),
    "recall": ("recall", "nano3/data:v2"),
    "export": ("export", "tuned", "--to", "prov"),
    "inspect": ("inspect", "data"),
    "register": ("register", "data", "--name", "again"),
    "rm": ("rm", "nano3-data:v1", "-m", "half of it is missing"),
    "alias": ("alias", "base:v1", "production"),
    "aliases": ("aliases", "base"),
    "alias-log": ("alias-log", "base", "good"),
    "verify": ("verify", "base:v1"),
    "doctor": ("doctor",),
    "outbox": ("outbox",),
    "adopt": ("adopt",),
}
REFERRING: dict[str, Callable[[str], tuple[str, ...]]] = {
    "show": lambda ref: ("show", "--", ref),
    "versions": lambda ref: ("versions", "--", ref),
    "resolve": lambda ref: ("resolve", "--", ref),
    "lineage": lambda ref: ("lineage", "--", ref),
    "impact": lambda ref: ("impact", "--", ref),
    "why": lambda ref: ("why", "--", ref),
    "path": lambda ref: ("path", "--", ref, "base:v1"),
    "diff": lambda ref: ("diff", "--", ref, "base:v1"),
    "log": lambda ref: ("log", "--", ref),
    "composition": lambda ref: ("composition", "--", ref),
    "recall": lambda ref: ("recall", "--", ref),
    "export": lambda ref: ("export", "--to", "dot", "--", ref),
    "verify": lambda ref: ("verify", "--", ref),
    "rm": lambda ref: ("rm", "-m", "why", "--", ref),
    "alias": lambda ref: ("alias", "--", ref, "production"),
    "aliases": lambda ref: ("aliases", "--", ref),
    "alias-log": lambda ref: ("alias-log", "--", ref, "good"),
}
NAMED = ("aliases", "alias-log")
WITHOUT_STORE = ("inspect",)
