"""The root command, the sub-application `kit`, and which file holds which command."""

import os
import re
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from nemotron.kit.cli import failures
from nemotron.kit.errors import MisuseError

# In the order in which help lists them: the command, its file, its function.
COMMANDS = {
    "ls": ("listing", "ls"),
    "show": ("listing", "show"),
    "versions": ("listing", "versions"),
    "resolve": ("resolving", "resolve"),
    "cat": ("fetching", "cat"),
    "cp": ("fetching", "cp"),
    "open": ("fetching", "open_"),
    "lineage": ("tracing", "lineage"),
    "impact": ("asking", "impact"),
    "why": ("asking", "why"),
    "path": ("asking", "path"),
    "common": ("asking", "common"),
    "diff": ("asking", "diff"),
    "log": ("asking", "log"),
    "composition": ("weighing", "composition"),
    "recall": ("weighing", "recall"),
    "runs": ("running", "runs"),
    "run": ("running", "run"),
    "export": ("tracing", "export"),
    "inspect": ("inspecting", "inspect"),
    "register": ("publishing", "register"),
    "rm": ("publishing", "rm"),
    "alias": ("aliasing", "alias"),
    "aliases": ("aliasing", "aliases"),
    "alias-log": ("aliasing", "alias_log"),
    "verify": ("verifying", "verify"),
    "outbox": ("delivering", "outbox"),
    "sync": ("delivering", "sync"),
    "doctor": ("doctoring", "doctor"),
    "adopt": ("adopting", "adopt"),
    "gc": ("collecting", "gc"),
    "remap": ("remapping", "remap"),
}
# Under which heading the help of all lists the commands of a file.
HEADINGS = {
    "Find and read": ("listing", "resolving", "fetching", "inspecting"),
    "Where it comes from, and what it reached": ("tracing", "asking", "weighing", "running"),
    "Publish and name": ("publishing", "aliasing"),
    "Check, repair and tidy": ("verifying", "doctoring", "adopting", "collecting", "remapping"),
    "Weights & Biases": ("delivering",),
}
PROGRAM = "nemotron"
DIGITS_MAX = 9
# Of which a command itself says best what is wrong with an empty text, if anything.
_SAID_BY_THE_COMMAND = ("why", "grace")


class Group(TyperGroup):
    """A group whose parameters are as cheap as they can be."""

    def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """The parameters."""
        return [lighten(param) for param in super().get_params(ctx)]


class Command(TyperCommand):
    """A command whose parameters are as cheap as they can be."""

    def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """The parameters."""
        return [lighten(param) for param in super().get_params(ctx)]

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command, unless it was given an empty text, as a script does whose variable is not set.

        Raises:
            MisuseError: it was.
        """
        for param in self.get_params(ctx):
            value = ctx.params.get(param.name or "")
            if param.name not in _SAID_BY_THE_COMMAND and (
                value == "" or (isinstance(value, list | tuple) and "" in value)
            ):
                raise MisuseError(_empty(param))
        return super().invoke(ctx)

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Help whose paragraphs fill the width of the terminal, however they are broken into lines here."""
        written = self.help or ""
        self.help = re.sub(r"(?<=\S)\n(?=\S)", " ", written)
        try:
            super().format_help(ctx, formatter)
        finally:
            self.help = written


def _empty(param: Any) -> str:
    """What to say of an argument or option that is empty."""
    if param.param_type_name != "argument":
        what = param.metavar if param.required else f"{param.metavar}, or leave it out"
        return f"{param.opts[-1]} is empty; expected {what}"
    what = (param.help or "a text").rstrip(".")
    return f"{param.metavar} is empty; expected {what[0].lower()}{what[1:]}"


def lighten(param: Any) -> Any:
    """Let text and plain numbers that are given, defaults, and what is not given, pass as they are.

    Newer Typers put every value through a pydantic adapter. That makes importing pydantic, 90 ms, the largest
    cost of a command that has little to check. Typers without adapters are left alone, and so is every value
    that is refused: the adapter has the message.
    """
    descriptor = getattr(param, "type_descriptor", None)
    if descriptor is None or "process_value" in vars(param):
        return param
    checked = param.process_value

    def process_value(ctx: typer.Context, value: Any) -> Any:
        if descriptor.annotation is int:
            value = _plain_number(value, descriptor.parameter_info)
        is_plain = type(value) in (str, int) and type(value) is descriptor.annotation
        if descriptor.annotation == list[str] and value and all(type(one) is str for one in value):
            value, is_plain = list(value), True
        if not (is_plain or (value is None and not param.required)):
            try:
                return checked(ctx, value)
            except typer.BadParameter as error:
                # pydantic says of what kind an error is before what it is.
                error.message = error.message.removeprefix("Value error, ")
                raise
        return value if param.callback is None else param.callback(ctx, param, value)

    param.process_value = process_value
    return param


def _plain_number(value: Any, limits: Any) -> Any:
    """The number that a few digits spell, if it is within the limits; else the text, to be refused."""
    number = value
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX:
        number = int(value)
    if type(number) is not int:
        return value
    least, most = limits.min, limits.max
    is_within = (least is None or number >= least) and (most is None or number <= most)
    return number if is_within else str(value)


class LazyGroup(Group):
    """A group that reads the file of a command when that command is asked for.

    Reading all of them, and making all their parameters, would cost every call what only help needs.
    """

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:  # type: ignore[override]
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            # Typer looks for what was meant among the commands that are there.
            self.commands.update({name: load(name) for name in COMMANDS})
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = load(cmd_name)
        return self.commands[cmd_name]  # type: ignore[return-value]

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command, and turn the kit's errors into messages and exit codes."""
        with failures.told(lambda: ctx.invoked_subcommand):
            return super().invoke(ctx)


def load(name: str) -> TyperCommand:
    """Make one command from its function."""
    file, function = COMMANDS[name]
    module = import_module(f"nemotron.kit.cli.{file}")
    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    heading = next(title for title, files in HEADINGS.items() if file in files)
    single.command(name, cls=Command, rich_help_panel=heading)(getattr(module, function))
    return typer.main.get_command(single)  # type: ignore[return-value]


app = typer.Typer(
    name=PROGRAM,
    cls=Group,
    help="Tools for training Nemotron models.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
kit = typer.Typer(
    name="kit",
    cls=LazyGroup,
    help="Artifacts, their versions, and where they come from.",
    epilog="Exit codes: 0 done; 1 not found, refused, or a check that failed; 2 wrong usage.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(kit)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from nemotron.kit.console.output import write

        with failures.told():
            write(f"nemotron-kit {version('nemotron-kit')}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tools for training Nemotron models."""


def main() -> None:
    """The entry point `nemotron`."""
    if os.environ.get(f"_{PROGRAM.upper()}_COMPLETE") == "complete_bash":
        from nemotron.kit.cli.completion import with_colons

        with with_colons():
            app(prog_name=PROGRAM)
    app(prog_name=PROGRAM)
