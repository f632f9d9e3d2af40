"""The command `nemotron`: argv in, a result and an exit code out.

`app` is the Typer application, `main` the entry point. Each group of commands is a file here, read when one
of its commands is asked for; what they write goes through `nemotron.kit.console.output`.
"""

try:
    from nemotron.kit.cli.app import app, main
except KeyboardInterrupt:  # reading the program itself takes a moment
    from nemotron.kit.console.output import interrupted

    interrupted("nothing was begun")
    raise SystemExit(130) from None

__all__ = ["app", "main"]
