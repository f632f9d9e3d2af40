"""The dictionary `artifact.metadata`: what is written to it reaches the artifact's fields, validated."""

import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex

from nemotron.kit.errors import MisuseError
from nemotron.kit.names import near


class Owner(Protocol):
    """What the dictionary needs of its artifact."""

    def _is_field(self, name: str) -> bool:
        """Whether `name` is a field of the kind, so that the field decides about the value."""
        ...

    def _reset_field(self, name: str) -> None:
        """Give a field its default."""
        ...

    def __setattr__(self, name: str, value: Any) -> None: ...


class Metadata(dict[str, Any]):
    """A real `dict`, so that every library takes it, whose writes go through the fields of its artifact.

    It shows each field that is set. The value lives in the field; `show` and `hide` are the field's way in.
    Copies and pickles of it are plain dicts: only one dictionary speaks for an artifact.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: Owner, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        # Weak, so that an artifact and its dictionary are no cycle; checkpoints hold many of them.
        self._owner = weakref.ref(owner)

    def belongs_to(self, owner: Owner) -> bool:
        """Whether it speaks for this artifact."""
        return self._owner() is owner

    def show(self, name: str, value: Any) -> None:
        """Write without asking the field: the field says so itself."""
        super().__setitem__(name, value)

    def hide(self, name: str) -> None:
        """Take away without asking the field."""
        super().pop(name, None)

    def become(self, values: Mapping[str, Any]) -> None:
        """Hold these instead, without asking the fields."""
        super().clear()
        super().update(values)

    def __setitem__(self, name: str, value: Any) -> None:
        owner = self._owner()
        if owner is not None and owner._is_field(name):
            setattr(owner, name, value)
        else:
            super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        owner = self._owner()
        if name in self and owner is not None and owner._is_field(name):
            owner._reset_field(name)
        else:
            super().__delitem__(name)

    if not TYPE_CHECKING:  # dict's own overloads describe these

        def update(self, other=(), /, **values) -> None:
            """Write several; see `dict.update`."""
            for name, value in dict(other, **values).items():
                self[name] = value

        def setdefault(self, name, default=None, /):
            """See `dict.setdefault`."""
            if name not in self:
                self[name] = default
            return self.get(name)

        def pop(self, name, /, *default):
            """Take away and return; see `dict.pop`."""
            if name not in self:
                return super().pop(name, *default)
            value = self[name]
            del self[name]
            return value

        def __ior__(self, other):
            self.update(other)
            return self

    def popitem(self) -> tuple[str, Any]:
        """Take away the last entry that is no field of the artifact."""
        owner = self._owner()
        name = next((n for n in reversed(self) if owner is None or not owner._is_field(n)), None)
        if name is None:
            raise KeyError("popitem(): there is nothing here but the artifact's own fields")
        return name, self.pop(name)

    def clear(self) -> None:
        """Take away all that is no field, and give the fields that have one their default."""
        for name in list(self):
            try:
                del self[name]
            except MisuseError:
                continue  # a required field stays

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return dict, (dict(self),)


def scalar(value: Any) -> Any:
    """A number of numpy or torch as Python's own; anything else as it is.

    Told by what it can do, so that neither library is imported.
    """
    if getattr(value, "ndim", None) == 0 and callable(item := getattr(value, "item", None)):
        return item()
    return value


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is not known: the nearest one, or all of them.

    >>> nearest("total_token", ["total_tokens", "path"])
    'did you mean total_tokens?'
    """
    choices = sorted(known)
    meant = near(name, choices)
    return f"did you mean {meant[0]}?" if meant else f"there is {', '.join(choices)}"
