"""Releases to an endpoint in memory: an AWS whose endpoints move, and the release machine's way through its steps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.hooks.endpoint_aws import IMAGE, NAME, Client, KilledError, World
from tests.hooks.endpoint_world import INF2, smoke
from tests.hooks.fleet_aws import error

TARGET = "endpoint/embed"
ITEM = f"release#{TARGET}"
RETRIES = 5
MOVE_SECONDS = 60
_REQUEST = {
    "RequestType": "Create",
    "ResponseURL": "https://cloudformation.example/answer",
    "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
    "LogicalResourceId": "Release",
}


def key(version: int) -> str:
    return f"{version:064x}"


class _Events:
    """botocore's hooks of a client, as far as they change a request's body."""

    def __init__(self) -> None:
        self.handlers: list[Callable[..., None]] = []

    def register(self, _event: str, handler: Callable[..., None]) -> None:
        self.handlers.append(handler)

    def unregister(self, _event: str, handler: Callable[..., None]) -> None:
        self.handlers.remove(handler)


class ReleaseClient(Client):
    def __init__(self, world: ReleaseWorld, service: str) -> None:
        super().__init__(world, service)
        self.meta = SimpleNamespace(events=world.events)

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **request: iter([getattr(self, operation)(**request)]))


class ReleaseWorld(World):
    """``bad``: artifacts whose containers fail; ``rolls_back``: those that SageMaker takes back in silence or not."""

    def __init__(self) -> None:
        super().__init__()
        self.events = _Events()
        self.bad: set[str] = set()
        self.rolls_back: dict[str, str] = {}
        self.told: list[dict[str, Any]] = []
        self.ended_tasks: list[dict[str, Any]] = []
        self.versions: list[int] = []

    def client(self, service: str) -> ReleaseClient:
        return ReleaseClient(self, service)

    def artifact(self, version: int, model: str = "minilm") -> None:
        self.items[key(version)] = {
            "state": {"S": "ready"},
            "model": {"S": model},
            "artifact_uri": {"S": f"s3://artifacts/artifacts/{key(version)}/a1/"},
        }

    def serves(self) -> str:
        """The artifact of the configuration in service; empty without an endpoint."""
        if self.endpoint is None:
            return ""
        return self._artifact(self.endpoint["configuration"])

    def _artifact(self, configuration: str) -> str:
        variant = self.configurations[configuration]["ProductionVariants"][0]
        return self.models[variant["ModelName"]][1].split("/")[4]

    # -- SageMaker ---------------------------------------------------------------------------------------------------

    def create_model(self, **request: Any) -> None:
        name, container = request["ModelName"], request["PrimaryContainer"]
        if name in self.models:
            raise error("ValidationException", "CreateModel", f'Cannot create already existing model "{name}".')
        self.models[name] = (container["Image"], container["ModelDataSource"]["S3DataSource"]["S3Uri"])

    def create_endpoint_config(self, **request: Any) -> None:
        params = {"body": json.dumps(request).encode()}
        for handler in self.events.handlers:
            handler(params)
        made = json.loads(params["body"])
        name = made.pop("EndpointConfigName")
        if name in self.configurations:
            words = f'Cannot create already existing endpoint configuration "{name}".'
            raise error("ValidationException", "CreateEndpointConfig", words)
        self.configurations[name] = made

    def create_endpoint(self, **request: Any) -> None:
        self._is_there(request["EndpointConfigName"], "CreateEndpoint")
        if self.endpoint is not None:
            raise error("ValidationException", "CreateEndpoint", "Cannot create already existing endpoint.")
        self.endpoint = {"configuration": request["EndpointConfigName"], "failure": ""}
        self.instances = {"Main": 0}
        self.become("Creating")
        self.after(MOVE_SECONDS, lambda: self._created(request["EndpointConfigName"]))

    def _created(self, name: str) -> None:
        if reason := self.rolls_back.get(self._artifact(name)):
            assert self.endpoint is not None
            self.endpoint["failure"] = reason
            self.become("Failed")
        else:
            self.serve(name)

    def update_endpoint(self, **request: Any) -> None:
        name = request["EndpointConfigName"]
        self._is_there(name, "UpdateEndpoint")
        assert self.endpoint is not None
        if self.endpoint["status"] != "InService":
            raise error("ValidationException", "UpdateEndpoint", "Cannot update in-progress endpoint.")
        self._take(name)
        self.become("Updating")
        reason = self.rolls_back.get(self._artifact(name))
        if reason is None:
            self.after(MOVE_SECONDS, lambda: self.serve(name))
        else:
            self.after(MOVE_SECONDS, lambda: self.roll_back(reason))

    def _take(self, name: str) -> None:
        """Refuse what SageMaker refuses, before anything moves."""
        for variant in self.configurations[self.endpoint["configuration"]]["ProductionVariants"]:  # type: ignore[index]
            if f"endpoint/{NAME}/variant/{variant['VariantName']}" in self.targets:
                (comes,) = self.configurations[name]["ProductionVariants"]
                same = comes.get("InstanceType") == variant.get("InstanceType")
                assert same, "the type of a registered variant changes"

    def delete_endpoint(self, **_request: Any) -> None:
        if self.endpoint is None:
            raise error("ValidationException", "DeleteEndpoint", "Could not find endpoint.")
        self.become("Deleting")
        self.after(MOVE_SECONDS, self._deleted)

    def _deleted(self) -> None:
        self.endpoint = None

    def delete_endpoint_config(self, **request: Any) -> None:
        self._is_there(request["EndpointConfigName"], "DeleteEndpointConfig")
        in_use = self.endpoint is not None and self.endpoint["configuration"] == request["EndpointConfigName"]
        assert not in_use, "the configuration in service goes"
        del self.configurations[request["EndpointConfigName"]]

    def delete_model(self, **request: Any) -> None:
        if request["ModelName"] not in self.models:
            raise error("ValidationException", "DeleteModel", "Could not find model.")
        del self.models[request["ModelName"]]

    def list_endpoint_configs(self, **request: Any) -> dict[str, Any]:
        return {"EndpointConfigs": [{"EndpointConfigName": one} for one in _like(self.configurations, request)]}

    def list_models(self, **request: Any) -> dict[str, Any]:
        return {"Models": [{"ModelName": one} for one in _like(self.models, request)]}

    def _is_there(self, name: str, operation: str) -> None:
        if name not in self.configurations:
            raise error("ValidationException", operation, f'Could not find endpoint configuration "{name}".')

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        if self.serves() in self.bad:
            answer = {"Error": {"Code": "ModelError", "Message": "500"}, "OriginalStatusCode": 500}
            raise ClientError({**answer, "OriginalMessage": "no such operator"}, "InvokeEndpoint")
        return super().invoke_endpoint(**request)

    # -- The registry, EventBridge, Step Functions ---------------------------------------------------------------------

    def update_item(self, **request: Any) -> None:
        name, values = request["Key"]["artifact_key"]["S"], request["ExpressionAttributeValues"]
        item = self.items.get(name, {})
        if request["ConditionExpression"] == "attribute_not_exists(#version)":
            holds = "version" not in item
        else:
            assert request["ConditionExpression"] == "#version = :read"
            holds = item.get("version") == values[":read"]
        if not holds:
            raise error("ConditionalCheckFailedException", "UpdateItem")
        given, _, gone = request["UpdateExpression"].removeprefix("SET ").partition(" REMOVE ")
        changed = {one.split(" = ")[0][1:]: values[one.split(" = ")[1]] for one in given.split(", ")}
        kept = {field: value for field, value in item.items() if f"#{field}" not in gone.split(", ")}
        self.items[name] = kept | changed

    def put_events(self, **request: Any) -> dict[str, Any]:
        self.told += request["Entries"]
        return {"FailedEntryCount": 0}

    def send_task_failure(self, **request: Any) -> None:
        self.ended_tasks.append(request)

    # -- Where it ended ------------------------------------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        item = self.items.get(ITEM)
        return json.loads(item["document"]["S"]) if item else {}

    def state(self) -> dict[str, Any]:
        """All there is, without times and with how often it was written."""
        item = self.items.get(ITEM, {})
        record = re.sub(r'"(at|asked_at)": \d+', '"at": 0', json.dumps(self.record(), sort_keys=True))
        record = re.sub(r'"reason": "[^"]+"', '"reason": "…"', record)
        return {
            **{name: value for name, value in super_state(self).items() if name not in ("items", "requests")},
            "endpoint": (self.serves(), self.endpoint and self.endpoint["status"]),
            "configurations": sorted(self.configurations),
            "models": sorted(self.models),
            "record": record,
            "lease": (item.get("lease_owner"), item.get("approval_token")),
        }


def super_state(world: ReleaseWorld) -> dict[str, Any]:
    return World.state(SimpleNamespace(**{**vars(world), "items": {}}))  # type: ignore[arg-type]


def _like(names: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    return [name for name in names if request["NameContains"] in name]


def blueprint(*targets: Mapping[str, Any], kind: str = INF2, tests: bool = True) -> str:
    """What the construct declares of an endpoint of one variant."""
    served = {"instance_type": kind, "model": "{model}", "artifact": "{artifact_key}", "image": IMAGE}
    document = {
        "endpoint": NAME,
        "model": {
            "ModelName": "{model}",
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/serve",
            "PrimaryContainer": {
                "Image": IMAGE,
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": "{artifact_uri}",
                        "S3DataType": "S3Prefix",
                        "CompressionType": "None",
                    }
                },
            },
        },
        "configuration": {
            "EndpointConfigName": "{configuration}",
            "ProductionVariants": [
                {
                    "VariantName": "Main",
                    "ModelName": "{model}",
                    "InstanceType": kind,
                    "InitialInstanceCount": 1,
                }
            ],
        },
        "deployment": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                "TerminationWaitInSeconds": 300,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "{configuration}-Errors"}]},
        },
        "exclude": [{"VariantPropertyType": "DesiredWeight"}],
        "alarms": [
            {
                "AlarmName": "{configuration}-Errors",
                "MetricName": "Invocation5XXErrors",
                "Namespace": "AWS/SageMaker",
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": [],
            }
        ],
        "service": {
            "variants": [{"name": "Main", "shadow": False, "pools": [served]}],
            "components": [],
            "scaling": {"targets": list(targets)},
            "smoke_tests": [smoke()] if tests else [],
            "async": None,
        },
    }
    return json.dumps(document)


class Releases:
    """The steps, called as the machine calls them, each again after an error; CloudFormation's answers."""

    def __init__(self, load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TARGET", TARGET)
        monkeypatch.setenv("APPROVAL", "no")
        self._load, self._monkeypatch = load, monkeypatch
        self.answer: dict[str, str] | None = None
        self.module = load("release.step")
        self.fresh()
        monkeypatch.setattr(self.module.aws, "client", lambda service, *_: self.aws.client(service))
        clock = SimpleNamespace(
            time=lambda: self.aws.now,
            monotonic=lambda: self.aws.now,
            sleep=lambda seconds: self.aws.sleep(seconds),
        )
        for name in ("release.step", "release.endpoint", "endpoint.deadline", "endpoint.tests", "model_events"):
            monkeypatch.setattr(load(name), "time", clock)
        monkeypatch.setattr(load("cloudformation"), "deliver", self._answered)

    def fresh(self) -> None:
        """Another AWS, with artifacts in it and nothing else."""
        self.aws, self.answers, self.steps = ReleaseWorld(), list[dict[str, Any]](), list[str]()
        for version in range(1, 10):
            self.aws.artifact(version)

    def approval(self, answer: dict[str, str] | None = None) -> None:
        """A person is asked from now on, and says yes, or what ``answer`` has as the error of the state that waits."""
        self.answer = answer
        self._monkeypatch.setattr(self.module, "SETTINGS", _with(self.module.SETTINGS, approval="yes"))

    def _answered(self, _request: Any, body: bytes) -> None:
        assert len(body) <= 4096
        self.answers.append(json.loads(body))

    # -- Requests ----------------------------------------------------------------------------------------------------

    def deploy(self, version: int, declaration: str | None = None, *, kind: str = "Create") -> dict[str, Any]:
        """What CloudFormation asks for, as the machine's input."""
        return {
            "trigger": "delete" if kind == "Delete" else "deploy",
            "model": "minilm",
            "artifact_key": key(version),
            "artifact_uri": f"s3://artifacts/artifacts/{key(version)}/a1/",
            "declaration": declaration or blueprint(),
            "request": {**_REQUEST, "RequestType": kind, "RequestId": f"{kind}-{version}"},
            "deadline": self.aws.now + 3300,
        }

    def artifact(self, version: int) -> dict[str, Any]:
        """What an event asks for."""
        return {"trigger": "artifact", "model": "minilm", "artifact_key": key(version), "asked_at": self.aws.now}

    # -- The machine -------------------------------------------------------------------------------------------------

    def run(
        self, execution: str, asked: Mapping[str, Any], *, twice: bool = False, dies_before: int = -1
    ) -> dict[str, Any]:
        """Run an execution to its end; the last step's answer.

        :param twice: every step is called again after it has answered.
        :param dies_before: the number of the step before which the execution is aborted.
        """
        answer: dict[str, Any] = {"next": "acquire", "wait": 0}
        for number in range(500):
            if answer["next"] == "done" or number == dies_before:
                return answer
            if answer["wait"]:
                self.aws.sleep(answer["wait"])
            before, answer = answer, self.step(execution, asked, answer)
            if twice:
                self.step(execution, asked, before)
                self.steps.pop()
        raise AssertionError("the machine does not come to an end")

    def step(self, execution: str, asked: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """One state with its retries and its Catch."""
        name = before["next"]
        self.steps.append(name)
        event = {"step": name, "execution": execution, "input": dict(asked)}
        event |= {each: before[each] for each in ("outcome", "reason") if each in before}
        if name == "approve":
            error = self._ask(event)
            if error is None:
                return {"next": "apply", "wait": 0}
            event |= {"step": "reject", "error": error}
        try:
            return self._persistently(event)
        except Exception as failed:
            if name == "finish":
                return self._persistently({**event, "untidy": True})
            cause = {"Error": type(failed).__name__, "Cause": str(failed)}
            return self._persistently({**event, "step": "trouble", "error": cause})

    def _ask(self, event: dict[str, Any]) -> dict[str, str] | None:
        """The state that waits for a person: None for a yes. Each try has a token of its own; the last is the person's.

        What is tried again is the machine's to say: ``tests/constructs/test_release.py``.
        """
        failed: BaseException | None = None
        for number in range(RETRIES):
            token = f"token-{number}"
            try:
                self.call({**event, "step": "ask", "token": token})
            except (Exception, KilledError) as error:
                failed, self.aws.dead = error, False
                self.aws.sleep(2)
                continue
            if held := self.aws.items[ITEM].get("approval_token"):
                assert held["S"] == token
            return self.answer
        return {"Error": type(failed).__name__, "Cause": str(failed)}

    def _persistently(self, event: dict[str, Any]) -> dict[str, Any]:
        for _ in range(RETRIES - 1):
            try:
                return self.call(event)
            except (Exception, KilledError):
                self.aws.dead = False
                self.aws.sleep(2)
        return self.call(event)

    def call(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(json.dumps(self.module.handler(event, None)))
        return answer


def _with(settings: Any, **changes: Any) -> Any:
    return type(settings)(**{**vars(settings), **changes})
