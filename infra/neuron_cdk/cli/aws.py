"""Which AWS a deployment file is about: the embedded one for its account, else whatever the shell is logged in to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import boto3

    from neuron_cdk.spec import Deployment

State = Annotated[Path, typer.Option(help="Folder of the embedded AWS's state, for its account's files.")]
STATE = Path(".local")


@dataclass(frozen=True, slots=True)
class Place:
    """Where to ask. ``endpoint`` and ``name`` are the embedded AWS's, or None and AWS."""

    session: boto3.Session
    region: str
    endpoint: str | None = None

    @property
    def name(self) -> str:
        return f"the embedded AWS at {self.endpoint}" if self.endpoint else "AWS"


def place(deployment: Deployment, state: Path) -> Place:
    """Find it, and say so when it is the embedded one.

    :raises LocalError: the file is for the embedded AWS, and none runs, or ``state`` is no folder.
    :raises AskError: there is no such profile.
    """
    import boto3

    from neuron_cdk.doctor.boto import answered
    from neuron_cdk.local.errors import LocalError
    from neuron_cdk.local.supervisor import ACCOUNT, EmbeddedAws

    region = deployment.environment.region
    if deployment.environment.account != ACCOUNT:
        with answered("sts:GetCallerIdentity"):
            return Place(boto3.Session(), region)
    embedded = EmbeddedAws(state)
    if embedded.is_running():
        variables = embedded.environment(region)
    elif "AWS_ENDPOINT_URL" in os.environ:
        variables = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **os.environ}
    else:
        raise LocalError(
            f"the file is for account {ACCOUNT}, the embedded AWS, and none runs in {state}: "
            "start it with neuron-cdk local up, or name its folder with --state"
        )
    with answered("sts:GetCallerIdentity"):
        session = boto3.Session(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=region)
    found = Place(session, region, variables["AWS_ENDPOINT_URL"])
    typer.echo(f"asking {found.name}", err=True)
    return found
