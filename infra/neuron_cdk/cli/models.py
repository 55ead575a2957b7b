"""``neuron-cdk models``: the models of a deployment, their artifacts, their releases."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .aws import STATE, State
from .deployed import Chosen, Json, show_table
from .failure import in_words
from .models_compile import compile_
from .models_gc import gc
from .models_release import approve, history, release, rollback

app = typer.Typer(help="A deployment's models and their artifacts.", no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="A model.")]


@app.command("list")
def list_(file: Chosen = None, state: State = STATE, as_json: Json = False) -> None:
    """List the models: which artifact each has, what it cost, how often it was found."""
    from .live_models import find

    with in_words(as_json=as_json):
        found = find(file, state, as_json).models
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
    from .compiling import last_failure
    from .live_models import find, user

    with in_words(as_json=as_json):
        found = find(file, state, as_json)
        model = found.pick(name)
        failed = last_failure(found.aws, found.deployment, name)
    if as_json:
        typer.echo(json.dumps({**model.to_json(), "last_failure": failed}, indent=2))
        return
    typer.echo(f"{model.name}: {'declared' if model.document is not None else 'not declared: cdk deploy does that'}")
    for each in model.users:
        typer.echo(f"  {each.rpartition('|')[2][:12]} is what {user(each)} has")
    if failed:
        why = failed["reason"].replace("\n", "\n    ")
        typer.echo(f"  its last request ({failed['by']}, {failed['at']} UTC) failed: {why}")
        typer.echo(f"    execution {failed['execution_arn']}")
    for one in (*model.artifacts, *model.pieces):
        typer.echo(f"\n{one.key}" + (" (one shape, not joined yet)" if one in model.pieces else ""))
        facts = {
            "state": one.state,
            "for": " ".join(filter(None, (one.engine, one.target, one.sdk))),
            "compiled": f"{one.compiled} UTC, in {one.compile_seconds:.0f} s" if one.registered_at else "",
            "cost": one.cost_or_time,
            "host": one.host,
            "job": one.job_name,
            "artifact": one.artifact_uri,
            "hits": str(one.hits) if one.state == "ready" else "",
            "verified": one.verified if one.verification else "",
            "left": "\n".join(map(str, one.verification.get("left", ()))),
            "used by": ", ".join(map(user, one.used_by)),
            "parts": ", ".join(part[:12] for part in one.parts),
            "log": one.log_url,
            "reason": one.reason.strip(),
        }
        for fact, value in facts.items():
            if value:
                typer.echo(f"  {fact:<10}" + value.replace("\n", "\n" + " " * 12))


# Each command lies in a file with what it shares with others of its kind.
app.command("compile")(compile_)
app.command()(gc)
app.command()(history)
app.command()(release)
app.command()(rollback)
app.command()(approve)
