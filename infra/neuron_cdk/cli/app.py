"""What the command consists of. Each part is imported when it is called, so that ``validate`` starts at once."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from .doctor import doctor
from .schema import schema
from .validate import validate

_PARTS = {
    "fleets": "neuron_cdk.cli.fleets",
    "models": "neuron_cdk.cli.models",
    "local": "neuron_cdk.local.commands",
}
"""Commands with commands of their own: the module of each, which holds a typer app named ``app``."""


class Parts(TyperGroup):
    """A group that loads its sub-groups on demand."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *_PARTS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in _PARTS:
            part = get_command(import_module(_PARTS[cmd_name]).app)
            part.name = cmd_name
            return part
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Parts,
    name="neuron-cdk",
    help="Models on Inferentia and Trainium: one file says what should exist.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(validate)
app.command()(schema)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from neuron_cdk import __version__

        typer.echo(f"neuron-cdk {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass
