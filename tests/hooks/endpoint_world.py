"""Endpoints as their construct declares them, and CloudFormation around their hook."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.hooks.endpoint_aws import IMAGE, NAME, World

KEY = f"endpoint#{NAME}"
INF2, TRN1 = "ml.inf2.xlarge", "ml.trn1.2xlarge"
RESOURCE = f"endpoint/{NAME}/variant/"
MAIN = f"{RESOURCE}Main"

TRACK = {
    "kind": "target",
    "name": "concurrent-requests",
    "metric": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    "value": 4,
    "scale_in_cooldown_s": 300,
    "scale_out_cooldown_s": 60,
}


def step(name: str, by: int = 1, metric: str = "ConcurrentRequestsPerModel") -> dict[str, Any]:
    return {
        "kind": "step",
        "name": name,
        "adjustment": "ChangeInCapacity",
        "steps": [{"lower": 0, "upper": None, "by": by}],
        "cooldown_s": 60,
        "alarm": {
            "metric": metric,
            "namespace": "AWS/SageMaker",
            "dimensions": {"EndpointName": "{endpoint}"},
            "statistic": "Average",
            "period_s": 60,
            "evaluation_periods": 2,
            "datapoints": 2,
            "threshold": 1,
            "comparison": "GreaterThanOrEqualToThreshold",
            "missing": "missing",
        },
    }


def target(
    name: str = "Main",
    *policies: Mapping[str, Any],
    least: int = 1,
    most: int = 4,
    schedules: Sequence[Mapping[str, Any]] = (),
    resource: str = "variant",
) -> dict[str, Any]:
    return {
        "resource": resource,
        "name": name,
        "min": least,
        "max": most,
        "policies": list(policies),
        "schedules": list(schedules),
    }


NIGHT = {"name": "schedule-0", "cron": "cron(0 20 * * ? *)", "min": 1, "max": 2}


def smoke(variant: str | None = "Main", component: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "variant": variant,
        "component": component,
        "mode": "realtime",
        "request": {"inputs": "hello"},
        "max_latency_ms": None,
        **more,
    }


class Deployment:
    """A stack with one endpoint: its hook, its AWS, and CloudFormation's requests."""

    def __init__(self, load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
        self.fresh()
        monkeypatch.setenv("ENDPOINT_KEY", NAME)
        self.module = load("endpoint.hook")
        monkeypatch.setattr(self.module.aws, "client", lambda service, _read_timeout=0: self.aws.client(service))
        clock = SimpleNamespace(monotonic=lambda: self.aws.now, sleep=lambda seconds: self.aws.sleep(seconds))
        for name in ("endpoint.hook", "endpoint.deadline", "endpoint.tests"):
            monkeypatch.setattr(load(name), "time", clock)
        monkeypatch.setattr(self.module.cloudformation, "deliver", self._answered)

    def fresh(self) -> None:
        """Another AWS, with nothing in it."""
        self.aws, self.answers, self._request = World(), list[dict[str, Any]](), 0

    def _answered(self, _request: Any, body: bytes) -> None:
        assert len(body) <= 4096
        self.answers.append(json.loads(body))

    # -- What is declared --------------------------------------------------------------------------------------------

    def declared(
        self,
        version: int,
        *targets: Mapping[str, Any],
        variants: Mapping[str, str | list[str]] | None = None,
        tests: Sequence[Mapping[str, Any]] = (),
        components: Mapping[str, int] | None = None,
        queue: bool = False,
    ) -> dict[str, Any]:
        """Version ``version`` of an endpoint: its models and its configuration are there, and its properties given.

        :param variants: instance type or types by variant.
        :param components: copies by component, which then serve instead of variants.
        """
        model, artifact = f"m{version}", f"artifact{version}"
        self.aws.model(model, artifact)
        served = {"model": model, "artifact": artifact, "image": IMAGE}
        empty = {"model": None, "artifact": None, "image": None}
        variants = variants or {"Main": INF2}
        configuration = self.aws.configuration(
            f"c{version}", **{name: (None if components else model, types) for name, types in variants.items()}
        )
        self._components = {
            name: {"status": "InService", "model": model, "copies": copies}
            for name, copies in (components or {}).items()
        }
        declaration = {
            "variants": [
                {
                    "name": name,
                    "shadow": False,
                    "pools": [
                        {"instance_type": kind, **(empty if components else served)}
                        for kind in ([types] if isinstance(types, str) else types)
                    ],
                }
                for name, types in variants.items()
            ],
            "components": [{"name": name, "variant": "Main", **served} for name in components or {}],
            "scaling": {"targets": list(targets)},
            "smoke_tests": list(tests),
            "async": {"input_prefix": "s3://queue/smoke/"} if queue else None,
        }
        return {
            "ServiceToken": "arn",
            "EndpointKey": NAME,
            "EndpointName": NAME,
            "Configuration": configuration,
            "Declaration": json.dumps(declaration, sort_keys=True),
            "Release": [artifact],
        }

    # -- Requests ----------------------------------------------------------------------------------------------------

    def send(self, what: str, kind: str, properties: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> Any:
        """One request, delivered; the answer."""
        self._request += 1
        event = {
            "RequestType": kind,
            "RequestId": f"r-{self._request}",
            "ResponseURL": "https://cloudformation/answer",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/store/guid",
            "LogicalResourceId": what,
            "ResourceType": f"Custom::NeuronEndpoint{what}",
            "ResourceProperties": dict(properties),
        }
        if kind != "Create":
            event["PhysicalResourceId"] = NAME
        if old is not None:
            event["OldResourceProperties"] = dict(old)
        self.deliver(event)
        return self.answers[-1]

    def deliver(self, event: dict[str, Any]) -> None:
        self.module.handler(event, None)

    def create(self, properties: Mapping[str, Any]) -> Any:
        """A stack is created: the answer of the resource behind the endpoint."""
        assert self.send("Change", "Create", properties)["Status"] == "SUCCESS"
        self.aws.serve(properties["Configuration"])
        self.aws.components = self._components
        return self.send("InService", "Create", properties)

    def update(self, properties: Mapping[str, Any], old: Mapping[str, Any]) -> Any:
        """A stack is updated, and nothing goes wrong before the resource behind the endpoint: its answer."""
        assert self.send("Change", "Update", properties, old)["Status"] == "SUCCESS"
        self.aws.serve(properties["Configuration"])
        self.aws.components = self._components
        return self.send("InService", "Update", properties, old)

    def event(self) -> None:
        """EventBridge tells that the endpoint is in service."""
        self.deliver(
            {
                "source": "aws.sagemaker",
                "detail-type": "SageMaker Endpoint State Change",
                "detail": {"EndpointName": NAME, "EndpointStatus": "IN_SERVICE"},
            }
        )

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.aws.items[KEY]["document"]["S"])
        return record


def model_error(status: int = 500, said: str = "no such graph") -> ClientError:
    """What SageMaker answers when the container does: its status and its words."""
    answer = {"Error": {"Code": "ModelError", "Message": "Received server error (500)"}, "OriginalStatusCode": status}
    return ClientError({**answer, "OriginalMessage": said}, "InvokeEndpoint")
