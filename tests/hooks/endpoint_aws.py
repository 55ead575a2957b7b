"""An AWS for an endpoint's hook, in memory: SageMaker, its runtime, S3, Application Auto Scaling, alarms, the registry.

Requests are held against botocore's models. What AWS refuses is refused: policies without a target, an update that
takes a registered variant away. Lists come in pages of two. The clock moves when the hook sleeps.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from tests.hooks.fleet_aws import at, error, operations

NAME = "store-0123abcd"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/serve:1"
_PAGE = 2


class KilledError(BaseException):
    """The function's time is up, or its host died."""


class Client:
    """One service. Every call is counted, and the one that ``fault`` names goes wrong."""

    def __init__(self, world: World, service: str) -> None:
        self._world, self._service = world, service

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            world = self._world
            if world.dead:
                raise KilledError
            validate_parameters(request, operations(self._service)[operation])
            number = len(world.calls)
            world.calls.append(operation)
            fault = world.fault if number == world.faulty else ""
            if fault == "throttled":
                raise error("ThrottlingException", operation, "Rate exceeded")
            if fault == "refused":
                raise error("AccessDeniedException", operation, "not now")
            try:
                return getattr(world, operation)(**request)
            finally:
                if fault == "killed":
                    world.dead = True
                    raise KilledError  # whatever the answer was, nobody reads it

        return call


class World:
    """``calls``: every operation, in order; ``answers``: how the containers answer next, seconds or an error; ``said``:
    what, to requests that hold the text.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fault, self.faulty, self.dead = "", -1, False
        self.now, self.later = 1_000.0, list[tuple[float, Callable[[], None]]]()
        self.endpoint: dict[str, Any] | None = None
        self.configurations: dict[str, dict[str, Any]] = {}
        self.models: dict[str, tuple[str, str]] = {}
        self.components: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, int] = {}
        self.answers: list[float | ClientError] = []
        self.asked: list[dict[str, Any]] = []
        self.said: dict[bytes, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.queue: list[bytes | None] = []
        self.targets: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, dict[str, Any]]] = {}
        self.schedules: dict[str, dict[str, dict[str, Any]]] = {}
        self.alarms: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self._serial = itertools.count()

    def client(self, service: str) -> Client:
        return Client(self, service)

    # -- The clock ---------------------------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [each for each in self.later if each[0] <= self.now]
        self.later = [each for each in self.later if each[0] > self.now]
        for _, happen in due:
            happen()

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        self.later.append((self.now + seconds, happen))

    # -- What is deployed --------------------------------------------------------------------------------------------

    def model(self, name: str, artifact: str, image: str = IMAGE) -> None:
        self.models[name] = (image, f"s3://artifacts/artifacts/{artifact}/a1/")

    def configuration(self, name: str, **variants: tuple[str | None, str | list[str]]) -> str:
        """A configuration of variants: a model and an instance type, or several, each."""
        self.configurations[name] = {"ProductionVariants": [_variant(*each) for each in variants.items()]}
        return name

    def serve(self, configuration: str) -> None:
        """CreateEndpoint or UpdateEndpoint, and it is done at once; refused as SageMaker does."""
        comes = {one["VariantName"]: one for one in self.configurations[configuration]["ProductionVariants"]}
        if self.endpoint is not None:
            for one in self.configurations[self.endpoint["configuration"]]["ProductionVariants"]:
                if f"endpoint/{NAME}/variant/{one['VariantName']}" in self.targets:
                    there = comes.get(one["VariantName"])
                    assert there is not None, "a registered variant goes"
                    assert _types(there) == _types(one), "the type of a registered variant changes"
        self.instances = {name: self.instances.get(name, 1) for name in comes}
        self.endpoint = {"configuration": configuration, "failure": ""}
        self.become("InService")

    def roll_back(self, reason: str) -> None:
        """An update came to nothing: the old configuration serves, and only the reason tells."""
        assert self.endpoint is not None
        self.endpoint["failure"] = reason
        self.become("InService")

    def become(self, status: str) -> None:
        assert self.endpoint is not None
        self.now += 1
        self.endpoint |= {"status": status, "modified": self.now}

    # -- SageMaker ---------------------------------------------------------------------------------------------------

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        one = self.endpoint if request["EndpointName"] == NAME else None
        if one is None:
            raise _absent("endpoint", "DescribeEndpoint", request["EndpointName"])
        variants = self.configurations.get(one["configuration"], {"ProductionVariants": []})["ProductionVariants"]
        return {
            "EndpointStatus": one["status"],
            "EndpointConfigName": one["configuration"],
            "LastModifiedTime": at(int(one["modified"])),
            "ProductionVariants": [self._in_service(variant) for variant in variants],
            **({"FailureReason": one["failure"]} if one["failure"] else {}),
        }

    def _in_service(self, variant: dict[str, Any]) -> dict[str, Any]:
        shown = {"VariantName": variant["VariantName"], "CurrentInstanceCount": self.instances[variant["VariantName"]]}
        if variant.get("ModelName") in self.models:
            shown["DeployedImages"] = [_image(self.models[variant["ModelName"]][0])]
        return shown

    def describe_endpoint_config(self, **request: Any) -> dict[str, Any]:
        name = request["EndpointConfigName"]
        if name not in self.configurations:
            raise _absent("endpoint configuration", "DescribeEndpointConfig", name)
        return self.configurations[name]

    def describe_model(self, **request: Any) -> dict[str, Any]:
        name = request["ModelName"]
        if name not in self.models:
            raise _absent("model", "DescribeModel", name)
        image, uri = self.models[name]
        return {"PrimaryContainer": {"Image": image, "ModelDataSource": {"S3DataSource": {"S3Uri": uri}}}}

    def describe_inference_component(self, **request: Any) -> dict[str, Any]:
        name = request["InferenceComponentName"]
        if name not in self.components:
            raise _absent("inference component", "DescribeInferenceComponent", name)
        one = self.components[name]
        return {
            "InferenceComponentStatus": one["status"],
            "Specification": {
                "ModelName": one["model"],
                "Container": {"DeployedImage": _image(self.models[one["model"]][0])},
            },
            "RuntimeConfig": {"CurrentCopyCount": one["copies"]},
            **({"FailureReason": one["failure"]} if one.get("failure") else {}),
        }

    def update_endpoint_weights_and_capacities(self, **request: Any) -> None:
        (change,) = request["DesiredWeightsAndCapacities"]
        self.become("Updating")

        def done() -> None:
            self.instances[change["VariantName"]] = change["DesiredInstanceCount"]
            self.become("InService")

        self.after(60, done)

    def update_inference_component_runtime_config(self, **request: Any) -> None:
        one = self.components[request["InferenceComponentName"]]
        one["status"] = "Updating"
        copies = request["DesiredRuntimeConfig"]["CopyCount"]
        self.after(60, lambda: one.update(status="InService", copies=copies))

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else 0.01
        if isinstance(answer, ClientError):
            raise answer
        self.now += answer
        return {"Body": io.BytesIO(self._says(request["Body"]))}

    def _says(self, asked: bytes) -> bytes:
        return next((said for part, said in self.said.items() if part in asked), b"{}")

    def invoke_endpoint_async(self, **request: Any) -> dict[str, Any]:
        """``queue``: what comes of the next requests, None for an error; a good answer without it."""
        number = next(self._serial)
        content = self.objects[request["InputLocation"]]
        self.asked.append({**request, "Body": content})
        good = self.queue.pop(0) if self.queue else self._says(content)
        answer, failure = f"s3://queue/output/{number}.out", f"s3://queue/failures/{number}.out"

        def done() -> None:
            self.objects[answer if good is not None else failure] = good if good is not None else b"out of memory"

        self.after(0.5, done)
        return {"OutputLocation": answer, "FailureLocation": failure}

    # -- S3 ----------------------------------------------------------------------------------------------------------

    def put_object(self, **request: Any) -> None:
        self.objects[_uri(request)] = request["Body"]

    def get_object(self, **request: Any) -> dict[str, Any]:
        content = self.objects.get(_uri(request))
        if content is None:
            raise error("NoSuchKey", "GetObject")
        return {"Body": io.BytesIO(content)}

    def delete_object(self, **request: Any) -> None:
        self.objects.pop(_uri(request), None)

    # -- Application Auto Scaling ------------------------------------------------------------------------------------

    def describe_scalable_targets(self, **request: Any) -> dict[str, Any]:
        found = [one for id, one in self.targets.items() if id in request["ResourceIds"]]
        found = [one for one in found if one["ScalableDimension"] == request["ScalableDimension"]]
        return _page("ScalableTargets", found, request)

    def describe_scaling_policies(self, **request: Any) -> dict[str, Any]:
        found = [
            one
            | {
                "Alarms": [
                    {"AlarmName": name}
                    for name, alarm in self.alarms.items()
                    if alarm["AlarmActions"] == [one["PolicyARN"]]
                ]
            }
            for one in self.policies.get(request["ResourceId"], {}).values()
        ]
        return _page("ScalingPolicies", found, request)

    def describe_scheduled_actions(self, **request: Any) -> dict[str, Any]:
        return _page("ScheduledActions", list(self.schedules.get(request["ResourceId"], {}).values()), request)

    def register_scalable_target(self, **request: Any) -> None:
        self.targets[request["ResourceId"]] = request
        self.policies.setdefault(request["ResourceId"], {})
        self.schedules.setdefault(request["ResourceId"], {})

    def deregister_scalable_target(self, **request: Any) -> None:
        id = self._registered(request, "DeregisterScalableTarget")
        for kept in (self.targets, self.policies, self.schedules):
            kept.pop(id)

    def put_scaling_policy(self, **request: Any) -> dict[str, Any]:
        of_target = self.policies[self._registered(request, "PutScalingPolicy")]
        old = of_target.get(request["PolicyName"])
        arn = old["PolicyARN"] if old else f"arn:policy/{next(self._serial)}"
        of_target[request["PolicyName"]] = {**request, "PolicyARN": arn}
        return {"PolicyARN": arn}

    def delete_scaling_policy(self, **request: Any) -> None:
        of_target = self.policies[self._registered(request, "DeleteScalingPolicy")]
        if request["PolicyName"] not in of_target:
            raise error("ObjectNotFoundException", "DeleteScalingPolicy")
        del of_target[request["PolicyName"]]

    def put_scheduled_action(self, **request: Any) -> None:
        self.schedules[self._registered(request, "PutScheduledAction")][request["ScheduledActionName"]] = request

    def delete_scheduled_action(self, **request: Any) -> None:
        del self.schedules[self._registered(request, "DeleteScheduledAction")][request["ScheduledActionName"]]

    def _registered(self, request: dict[str, Any], operation: str) -> str:
        id: str = request["ResourceId"]
        if id not in self.targets:
            raise error("ObjectNotFoundException", operation, f"no scalable target {id}")
        return id

    # -- CloudWatch, DynamoDB ----------------------------------------------------------------------------------------

    def put_metric_alarm(self, **request: Any) -> None:
        self.alarms[request["AlarmName"]] = request

    def delete_alarms(self, **request: Any) -> None:
        for name in request["AlarmNames"]:
            if name not in self.alarms:
                raise error("ResourceNotFound", "DeleteAlarms")
            del self.alarms[name]

    def get_item(self, **request: Any) -> dict[str, Any]:
        assert request["ConsistentRead"]
        item = self.items.get(request["Key"]["artifact_key"]["S"])
        return {"Item": item} if item else {}

    def update_item(self, **request: Any) -> None:
        assert request["UpdateExpression"] == "SET #document = :document"
        key = request["Key"]["artifact_key"]["S"]
        self.items[key] = {"document": request["ExpressionAttributeValues"][":document"]}

    def delete_item(self, **request: Any) -> None:
        self.items.pop(request["Key"]["artifact_key"]["S"], None)

    # -- Where it ended ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What a hook leaves, but for what AWS numbers."""
        numbered = {policy["PolicyARN"] for each in self.policies.values() for policy in each.values()}
        return {
            "targets": dict(sorted(self.targets.items())),
            "policies": {
                id: {name: {**one, "PolicyARN": ""} for name, one in sorted(each.items())}
                for id, each in sorted(self.policies.items())
            },
            "schedules": {id: dict(sorted(each.items())) for id, each in sorted(self.schedules.items())},
            "alarms": {
                name: {**one, "AlarmActions": [action in numbered for action in one["AlarmActions"]]}
                for name, one in sorted(self.alarms.items())
            },
            "items": {
                key: re.sub(r'"since": [\d.]+', '"since": 0', one["document"]["S"])
                for key, one in sorted(self.items.items())
            },
            "requests": sorted(name for name in self.objects if "/smoke/" in name),
        }


def _variant(name: str, of: tuple[str | None, str | list[str]]) -> dict[str, Any]:
    model, types = of
    variant: dict[str, Any] = {"VariantName": name, "InitialInstanceCount": 1}
    if model:
        variant["ModelName"] = model
    if isinstance(types, str):
        return {**variant, "InstanceType": types}
    return {**variant, "InstancePools": [{"InstanceType": each, "Priority": i} for i, each in enumerate(types, 1)]}


def _types(variant: dict[str, Any]) -> list[str]:
    return [variant.get("InstanceType", ""), *(pool["InstanceType"] for pool in variant.get("InstancePools", ()))]


def _image(name: str) -> dict[str, str]:
    return {"SpecifiedImage": name, "ResolvedImage": f"{name.rpartition(':')[0]}@sha256:{name.rpartition(':')[2] * 4}"}


def _absent(what: str, operation: str, name: str) -> ClientError:
    return error("ValidationException", operation, f'Could not find {what} "{name}".')


def _uri(request: dict[str, Any]) -> str:
    return f"s3://{request['Bucket']}/{request['Key']}"


def _page(member: str, found: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    start = int(request.get("NextToken", 0))
    more = {"NextToken": str(start + _PAGE)} if start + _PAGE < len(found) else {}
    return {member: found[start : start + _PAGE], **more}
