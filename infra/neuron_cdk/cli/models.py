"""``neuron-cdk models``: the models of a deployment, their artifacts, their releases."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .aws import STATE, State
from .deployed import Chosen, Json, ask, choose, load, output, show_table
from .failure import WrongInputError, in_words

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws

    from .live_models import LiveModel

app = typer.Typer(help="A deployment's models and their artifacts.", no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="A model.")]

# Releases (history, release, rollback, approve) are commands of ``models_release``, registered here:
# app.command()(models_release.history)


@app.command("list")
def list_(file: Chosen = None, state: State = STATE, as_json: Json = False) -> None:
    """List the models: which artifact each has, what it cost, how often it was found."""
    with in_words(as_json=as_json):
        _, _, found = read(file, state, as_json)
    if as_json:
        typer.echo(json.dumps([model.to_json() for model in found], indent=2))
        return
    rows = [("model", "state", "key", "compiled (UTC)", "cost", "hits", "verified", "")]
    for model in found:
        one, notes = model.current, "; ".join(model.notes)
        if one is None:
            rows.append((model.name, "-", "-", "-", "-", "-", "-", notes))
            continue
        rows.append((model.name, one.state, one.key[:12], one.compiled, one.cost, str(one.hits), one.verified, notes))
    show_table(rows)


@app.command()
def show(name: Name, file: Chosen = None, state: State = STATE, as_json: Json = False) -> None:
    """Show one model: its artifacts with their logs, and why the last attempt failed if it did."""
    with in_words(as_json=as_json):
        _, _, found = read(file, state, as_json)
        model = pick(found, name)
    if as_json:
        typer.echo(json.dumps(model.to_json(), indent=2))
        return
    typer.echo(f"{model.name}: {'declared' if model.document is not None else 'not declared: cdk deploy does that'}")
    for user in model.users:
        stack, logical_id, key = [*user.split("|"), "", ""][:3]
        typer.echo(f"  {key[:12]} is what {logical_id} of {stack.partition('/')[2].partition('/')[0] or stack} has")
    for one in model.artifacts:
        typer.echo(f"\n{one.key}")
        facts = {
            "state": one.state,
            "for": " ".join(filter(None, (one.engine, one.target, one.sdk))),
            "compiled": f"{one.compiled} UTC, in {one.compile_seconds:.0f} s" if one.registered_at else "",
            "cost": "" if one.usd is None else one.cost,
            "host": one.host,
            "job": one.job_name,
            "artifact": one.artifact_uri,
            "hits": str(one.hits) if one.state == "ready" else "",
            "verified": one.verified if one.verification else "",
            "left": "; ".join(map(str, one.verification.get("left", ()))),
            "used by": ", ".join(user.partition("|")[2] for user in one.used_by),
            "parts": ", ".join(part[:12] for part in one.parts),
            "log": one.log_url,
            "reason": one.reason.strip().replace("\n", "\n" + " " * 12),
        }
        for fact, value in facts.items():
            if value:
                typer.echo(f"  {fact:<10}{value}")


# -- shared with the other commands ----------------------------------------------------------------------------------


def read(file: Path | None, state: Path, as_json: bool) -> tuple[BotoAws, str, list[LiveModel]]:
    """The deployment's AWS, its name, and its models. To be called under ``in_words``."""
    from .live_models import read as read_models

    chosen = choose(file)
    deployment = load(chosen, as_json)
    aws = ask(chosen, deployment, state)
    table = output(aws, deployment.name, "Artifacts", "RegistryTable")
    return aws, deployment.name, read_models(aws, table, deployment.models)


def pick(found: list[LiveModel], name: str) -> LiveModel:
    """One model by name. Raises ``WrongInputError`` with names that are nearly so."""
    for model in found:
        if model.name == name:
            return model
    names = [model.name for model in found]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"perhaps {' or '.join(near)}" if near else f"its models: {', '.join(names) or 'none'}"
    raise WrongInputError(f"the deployment has no model {name}; {hint}")
