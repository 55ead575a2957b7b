"""What a command is about: a deployment file, the AWS it is deployed to, and what its stacks and functions say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .failure import NotDoneError, WrongInputError

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws
    from neuron_cdk.spec import Deployment

Chosen = Annotated[
    Path | None,
    typer.Option(
        "--deployment",
        "-d",
        envvar="NEURON_CDK_DEPLOYMENT",
        help="The deployment file; not needed where the folder deployments/ holds only one.",
    ),
]
"""A file that may be left out: names come first."""

Json = Annotated[bool, typer.Option("--json", help="One JSON document, for tools.")]

_FOLDER = Path("deployments")
_NEVER_THERE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
"""What a stack is whose creation failed."""
_UNLOCK = "aws cloudformation update-termination-protection --no-enable-termination-protection"


def choose(file: Path | None) -> Path:
    """The file that is meant. Raises ``WrongInputError`` where none is named and none, or more than one, is there."""
    if file is not None:
        return file
    there = sorted(_FOLDER.glob("*.yaml"))
    if len(there) == 1:
        return there[0]
    which = f"there are {', '.join(map(str, there))}" if there else f"there is none in {_FOLDER}/"
    raise WrongInputError(f"say which deployment is meant with --deployment FILE: {which}")


def load(file: Path, as_json: bool) -> Deployment:
    """The deployment; leaves with 2 and the findings when the file is not valid."""
    from neuron_cdk.spec import SpecError
    from neuron_cdk.spec import load as read

    from .findings import show, show_json

    try:
        return read(file).deployment
    except SpecError as error:
        if as_json:
            show_json(file, error.findings, valid=False)
        else:
            show(file, error.findings, "not valid")
        raise typer.Exit(2) from None


def ask(file: Path, deployment: Deployment, state: Path) -> BotoAws:
    """The deployment's AWS. Raises ``LocalError``, ``AskError``, and ``NotDoneError`` when it is another account's."""
    from neuron_cdk.doctor.boto import BotoAws

    from .aws import place

    where = place(deployment, state)
    aws = BotoAws(where.session, where.region, endpoint=where.endpoint)
    account, wanted = aws.account(), deployment.environment.account
    if account != wanted:
        raise NotDoneError(f"{file} is for account {wanted}, and the credentials are of {account}")
    return aws


def outputs(aws: BotoAws, stack: str) -> dict[str, str] | None:
    """A stack's outputs; None when there is no such stack. Raises ``AskError``."""
    found = _described(aws, stack)
    return None if found is None else _outputs(found)


def _outputs(described: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}


def _described(aws: BotoAws, stack: str) -> Mapping[str, Any] | None:
    from neuron_cdk.doctor.aws import FailedError
    from neuron_cdk.doctor.boto import answered

    try:
        with answered("cloudformation:DescribeStacks"):
            found: Mapping[str, Any] = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except FailedError as error:
        if "does not exist" in str(error):
            return None
        raise
    return found


def output(aws: BotoAws, deployment: str, stack: str, name: str) -> str:
    """One output of one of a deployment's stacks. Raises ``AskError``, and ``NotDoneError`` where there is none."""
    whole = f"{deployment}-{stack}"
    described = _described(aws, whole)
    if described is None:
        raise NotDoneError(f"{deployment} is not deployed: there is no stack {whole}; cdk deploy makes it")
    if name in (found := _outputs(described)):
        return found[name]
    status = described.get("StackStatus", "")
    if status in _NEVER_THERE:
        protected = described.get("EnableTerminationProtection")
        delete = f"aws cloudformation delete-stack --stack-name {whole}"
        delete = f"{_UNLOCK} --stack-name {whole}, then {delete}" if protected else delete
        raise NotDoneError(
            f"the stack {whole} is {status}: its first deploy failed, and nothing in it works. Mend what failed (its "
            f"events say what), delete it ({delete}) and deploy again"
        )
    if status.endswith("_IN_PROGRESS"):
        raise NotDoneError(f"the stack {whole} is {status}: wait until that has ended, and do this again")
    raise NotDoneError(f"the stack {whole} has no output {name}: it is of an older version; deploy it")


def invoke(aws: BotoAws, function: str, event: Mapping[str, Any], *, read_timeout: int = 30) -> dict[str, Any]:
    """A function's answer. Raises ``AskError``, and ``NotDoneError`` with its words when it refuses."""
    from neuron_cdk.doctor.boto import answered

    with answered("lambda:InvokeFunction"):
        client = aws.client("lambda", read_timeout=read_timeout) if read_timeout != 30 else aws.client("lambda")
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer:
        raise NotDoneError(str(content.get("errorMessage", content)) if isinstance(content, dict) else str(content))
    return content if isinstance(content, dict) else {}


def show_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as they need; the last as long as it likes."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
