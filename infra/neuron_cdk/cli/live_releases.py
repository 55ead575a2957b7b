"""Targets of the release pipeline as they are now: what they serve, what they served, and who works on them."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuron_cdk.doctor.boto import answered

from .deployed import ask, choose, load, output
from .failure import NotDoneError, WrongInputError

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws
    from neuron_cdk.spec import Deployment

_GONE = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """``name``: ``endpoint/embed``; ``stack`` without the deployment's name."""

    name: str
    model: str
    stack: str


@dataclass(frozen=True, slots=True)
class Record:
    """What the registry holds of a target, as ``neuron_hooks.release.record`` writes it."""

    target: str
    document: Mapping[str, Any]
    token: str = ""

    @property
    def current(self) -> Mapping[str, Any] | None:
        return self.document.get("current")

    @property
    def pending(self) -> Mapping[str, Any] | None:
        return self.document.get("pending")

    @property
    def history(self) -> list[Mapping[str, Any]]:
        return list(self.document.get("history", ()))

    def to_json(self) -> dict[str, Any]:
        """Without blueprints, which are long, and without the task token, which is a right."""

        def brief(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
            return {name: value for name, value in one.items() if name != "declaration"} if one else None

        return {
            "target": self.target,
            "current": brief(self.current),
            "previous": brief(self.document.get("previous")),
            "pending": brief(self.pending),
            "awaits_approval": bool(self.token),
            "history": self.history,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """A release that was asked for."""

    target: str
    execution_arn: str
    id: str


@dataclass(frozen=True, slots=True)
class Targets:
    """A deployment's targets, and where they were found."""

    aws: BotoAws
    deployment: str
    all: tuple[Target, ...]

    def one(self, name: str) -> Target:
        """A target by its name, with or without its kind. Raises ``WrongInputError``."""
        found = [each for each in self.all if name in (each.name, each.name.partition("/")[2])]
        if len(found) == 1:
            return found[0]
        if found:
            raise WrongInputError(f"{name} is several: {', '.join(each.name for each in found)}; say which")
        known = ", ".join(each.name for each in self.all) or "none: nothing has managed_by: pipeline"
        raise WrongInputError(f"the file has no target {name}; its targets: {known}")

    def of(self, name: str) -> list[Target]:
        """The target of that name, or else all targets that serve the model of that name."""
        serving = [each for each in self.all if each.model == name]
        named = any(name in (each.name, each.name.partition("/")[2]) for each in self.all)
        return serving if serving and not named else [self.one(name)]

    def read(self, target: Target) -> Record:
        """What the registry has. Raises ``AskError``, and ``NotDoneError`` where it has nothing."""
        table = output(self.aws, self.deployment, "Artifacts", "RegistryTable")
        with answered("dynamodb:GetItem"):
            item = self.aws.client("dynamodb").get_item(
                TableName=table, Key={"artifact_key": {"S": f"release#{target.name}"}}, ConsistentRead=True
            )
        if "Item" not in item:
            self.machine(target)  # a stack that failed says what to do about it
            raise NotDoneError(f"{target.name} is not deployed: deploy {self.deployment}-{target.stack}")
        found = item["Item"]
        return Record(target.name, json.loads(found["document"]["S"]), found.get("approval_token", {}).get("S", ""))

    def machine(self, target: Target) -> str:
        """What releases it. Raises ``AskError``, and ``NotDoneError`` with the state of a stack that has none."""
        return output(self.aws, self.deployment, target.stack, "ReleaseMachine")

    def start(self, target: Target, asked: Mapping[str, Any]) -> Asked:
        """Have it released. Raises ``AskError`` and ``NotDoneError``."""
        machine = self.machine(target)
        name = f"person-{uuid.uuid4().hex[:12]}"
        wanted = {"target": target.name, "by": self.who(), "asked_at": int(time.time()), **asked}
        with answered("states:StartExecution"):
            started = self.aws.client("stepfunctions").start_execution(
                stateMachineArn=machine, name=name, input=json.dumps(wanted)
            )
        return Asked(target.name, started["executionArn"], hashlib.sha256(name.encode()).hexdigest()[:8])

    def follow(self, target: Target, asked: Asked, say: Callable[[str], None]) -> dict[str, str]:
        """Stay until it has ended; its outcome and reason. ``say`` is told of every step."""
        stage = ""
        while True:
            with answered("states:DescribeExecution"):
                found = self.aws.client("stepfunctions").describe_execution(executionArn=asked.execution_arn)
            if found["status"] == "SUCCEEDED":
                ended = json.loads(found["output"])
                return {"outcome": ended.get("outcome", ""), "reason": ended.get("reason", "")}
            if found["status"] != "RUNNING":
                return {"outcome": "lost", "reason": f"its execution is {found['status']}: {asked.execution_arn}"}
            pending = self.read(target).pending or {}
            now = "begins"
            if pending:
                now = pending["stage"] if pending["id"] == asked.id else f"waits for release {pending['id']}"
            if now != stage:
                say(now)
                stage = now
            time.sleep(_LOOK_SECONDS)

    def decide(self, target: Target, *, approved: bool, reason: str) -> Mapping[str, Any]:
        """Let a release go on that waits for that, or end it; the release. Raises ``AskError`` and ``NotDoneError``."""
        record = self.read(target)
        if not record.token or not record.pending:
            raise NotDoneError(f"{target.name}: no release awaits approval")
        client, who = self.aws.client("stepfunctions"), self.who()
        try:
            if approved:
                with answered("states:SendTaskSuccess"):
                    client.send_task_success(taskToken=record.token, output=json.dumps({"approved_by": who}))
            else:
                with answered("states:SendTaskFailure"):
                    cause = f"{who} rejected it" + (f": {reason}" if reason else "")
                    client.send_task_failure(taskToken=record.token, error="Rejected", cause=cause)
        except Exception as error:
            if any(code in str(error) for code in _GONE):
                raise NotDoneError(f"{target.name}: the release no longer awaits approval") from error
            raise
        return record.pending

    def who(self) -> str:
        with answered("sts:GetCallerIdentity"):
            return str(self.aws.client("sts").get_caller_identity()["Arn"])


def find(file: Path | None, state: Path, as_json: bool) -> Targets:
    """The targets of a deployment file. Raises ``AskError``, ``LocalError``, ``NotDoneError``."""
    chosen = choose(file)
    deployment = load(chosen, as_json)
    return Targets(ask(chosen, deployment, state), deployment.name, tuple(targets(deployment)))


def targets(deployment: Deployment) -> Iterator[Target]:
    """What the release pipeline changes, of a file."""
    for name, endpoint in deployment.endpoints.items():
        if endpoint.managed_by == "pipeline" and endpoint.model:
            yield Target(f"endpoint/{name}", endpoint.model, f"Endpoint-{name}")
    for name, fleet in deployment.fleets.items():
        if getattr(fleet, "managed_by", "") == "pipeline" and fleet.model:
            yield Target(f"fleet/{name}", fleet.model, f"Fleet-{name}")


def moment(seconds: float) -> str:
    """A time in UTC, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else "-"
