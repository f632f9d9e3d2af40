"""Fields that differ between two mappings of JSON values. Pure.

>>> [(one.key, one.before, one.after) for one in fields_changed({"lr": 0.1, "n": 1}, {"lr": 0.2, "n": 1})]
[('lr', 0.1, 0.2)]
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that is not the same; `present` tells null from absent on either side."""

    key: str
    before: Any = None
    after: Any = None
    present: tuple[bool, bool] = (True, True)

    def to_document(self) -> dict[str, Any]:
        """`{a, b}`; a side that does not have the field is not there."""
        both = (("a", self.before, self.present[0]), ("b", self.after, self.present[1]))
        return {side: value for side, value, present in both if present}


def fields_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """The fields that are not the same: in the order of `before`, then those of `after` alone.

    Args:
        before: JSON values by name.
        after: the same of the other.
    """
    found = []
    for key in (*before, *(key for key in after if key not in before)):
        present = (key in before, key in after)
        # As text, so that NaN equals NaN and 1 differs from true.
        if present != (True, True) or _text(before[key]) != _text(after[key]):
            found.append(FieldChange(key, before.get(key), after.get(key), present))
    return found


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """The values of a nested config under dotted keys.

    >>> flat({"optim": {"lr": 0.1, "betas": [0.9, 0.95]}})
    {'optim.lr': 0.1, 'optim.betas': [0.9, 0.95]}
    """
    if isinstance(config, Mapping) and config:
        found: dict[str, Any] = {}
        for key, value in config.items():
            found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
        return found
    return {prefix or "config": config} if config is not None and (prefix or config != {}) else {}


def parts_changed(change: FieldChange) -> list[FieldChange]:
    """What of a field changed: under dotted keys, where both sides are mappings, or lists of one length.

    >>> found = parts_changed(FieldChange("blend", {"a": 0.5, "b": [1, 2]}, {"a": 0.5, "b": [1, 3], "c": 0}))
    >>> [(one.key, one.before, one.after, one.present) for one in found]
    [('blend.b.1', 2, 3, (True, True)), ('blend.c', None, 0, (False, True))]
    """
    found, waiting = [], [change]
    while waiting:
        one = waiting.pop(0)
        sides = one.before, one.after
        if all(isinstance(side, list | tuple) for side in sides) and len(one.before) == len(one.after):
            sides = dict(enumerate(one.before)), dict(enumerate(one.after))
        if all(isinstance(side, Mapping) for side in sides):
            inner = fields_changed(*sides)
            waiting = [replace(each, key=f"{one.key}.{each.key}") for each in inner] + waiting
        else:
            found.append(one)
    return found
