"""The command line of a training script: one config file, and overrides."""

import sys
from collections.abc import Sequence
from os import PathLike, fspath

from nemotron.kit.errors import MisuseError

# Written out: argparse would take `-count=3` for `-c ount=3`, and stop the process on a missing file name.
_OPTIONS = ("--config", "-c")


def parse_config_and_overrides(
    *, argv: Sequence[str] | None = None, default_config: str | PathLike[str]
) -> tuple[str, list[str]]:
    """Split a command line into the config file and the overrides.

    Args:
        argv: the arguments without the program's name; `sys.argv[1:]` when None.
        default_config: the file to use when neither `--config` nor `-c` is given.

    Returns:
        The path of the config file (the last one given wins), and everything else in its order. What follows
        a lone `--` is an override whatever it looks like.

    Raises:
        MisuseError: `--config` or `-c` without a file.

    >>> parse_config_and_overrides(argv=["-c", "tiny.yaml", "a.b=1", "--debug"], default_config="big.yaml")
    ('tiny.yaml', ['a.b=1', '--debug'])
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    config = fspath(default_config)
    overrides: list[str] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if argument == "--":
            overrides.extend(arguments[position:])
            break
        option, equals, value = argument.partition("=")
        if option not in _OPTIONS:
            overrides.append(argument)
            continue
        if not equals:
            value = arguments[position] if position < len(arguments) else ""
            position += 1
        if not value or (not equals and value.startswith("-")):
            found = f"found {value!r}" if value else "found nothing"
            raise MisuseError(f"{option} needs a config file, {found}; write {option} FILE.yaml")
        config = value
    return config, overrides
