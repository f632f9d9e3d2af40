"""Arguments that are True or False."""

from nemotron.kit.errors import MisuseError


def check_flags(**values: object) -> None:
    """See that all are True or False; each is given by its name.

    Raises:
        MisuseError: one is neither.

    >>> check_flags(apply=True, force=False)
    """
    for name, value in values.items():
        check_flag(name, value)


def check_flag(name: str, value: object, *, may_be_none: bool = False) -> None:
    """Refuse what is neither True nor False: a text such as "no" would count as True.

    Raises:
        MisuseError: it is neither.
    """
    if not (isinstance(value, bool) or (may_be_none and value is None)):
        known = "True, False or None" if may_be_none else "True or False"
        raise MisuseError(f"Not a flag: {name}={value!r}; expected {known}")
