"""An AWS for releases of fleets, in memory: groups whose instances an instance refresh replaces, launch templates, a
registry. Its clients hold requests against botocore's models.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.validate import validate_parameters

from tests.hooks.fleet_aws import at, error, operations

TEMPLATE, GROUP, OTHER = "lt-0123456789abcdef0", "serve-spot", "serve-on-demand"
OLD_KEY, NEW_KEY, THIRD_KEY = "aa" * 32, "bb" * 32, "cc" * 32


def uri(key: str) -> str:
    return f"s3://artifacts/artifacts/{key}/1/"


def user_data(key: str, more: str = "") -> str:
    text = f"#cloud-config\nwrite_files:\n- content: |2\n    FLEET='serve'\n    ARTIFACT_URI='{uri(key)}'\n{more}"
    return base64.b64encode(text.encode()).decode()


class KilledError(BaseException):
    """The function dies."""


@dataclass
class WorldGroup:
    """``instances``: id to version; ``brought``: what becomes of instances that a refresh launches."""

    version: str = "1"
    mixed: bool = False
    desired: int = 2
    instances: dict[str, str] = field(default_factory=dict)
    starting: set[str] = field(default_factory=set)
    ill: set[str] = field(default_factory=set)
    refreshes: list[dict[str, Any]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    policy: dict[str, Any] = field(default_factory=dict)


class World:
    """``fault``: what happens at a call, by its number, counted from 0: raised before it is done, or after."""

    def __init__(self) -> None:
        self.groups = {GROUP: WorldGroup(), OTHER: WorldGroup(mixed=True)}
        self.templates: dict[str, dict[int, dict[str, Any]]] = {TEMPLATE: {}}
        self.tokens: dict[str, int] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fault: tuple[int, str, BaseException] | None = None
        self.alarmed = False
        self.bad: set[str] = set()
        self.now = 1000
        self.deploy(OLD_KEY)
        for name, group in self.groups.items():
            group.instances = {f"i-{name}-{number}": "1" for number in range(2)}
            if group.mixed:
                group.policy = {
                    "LaunchTemplate": {
                        "Overrides": [{"InstanceType": "inf2.xlarge"}, {"InstanceType": "inf2.8xlarge"}]
                    },
                    "InstancesDistribution": {"OnDemandAllocationStrategy": "prioritized"},
                }

    # What CloudFormation and time do

    def deploy(self, key: str, image: str = "ami-1") -> int:
        """CloudFormation's next version of the template."""
        number = max(self.templates[TEMPLATE], default=0) + 1
        data = {"ImageId": image, "InstanceType": "inf2.xlarge", "UserData": user_data(key)}
        self.templates[TEMPLATE][number] = {"VersionDescription": "", "LaunchTemplateData": data}
        return number

    def pass_time(self) -> None:
        """Refreshes come to their end: fail for bad versions, else replace what does not match."""
        self.now += 60
        for name, group in self.groups.items():
            group.starting.clear()
            for refresh in group.refreshes[:1]:
                if refresh["Status"] == "Cancelling":
                    refresh["Status"] = "Cancelled"
                elif refresh["Status"] == "InProgress" and group.version in self.bad:
                    refresh.update(Status="Failed", StatusReason="alarm")
                    if group.version not in group.instances.values():
                        group.instances.pop(min(group.instances, default=""), None)
                        group.instances[f"i-{name}-{self.now}"] = group.version
                elif refresh["Status"] == "InProgress":
                    for number, (id, version) in enumerate(sorted(group.instances.items())):
                        if version != group.version:
                            del group.instances[id]
                            group.instances[f"i-{name}-{self.now}-{number}"] = group.version
                    refresh.update(Status="Successful", PercentageComplete=100)

    def run(self, **instances: dict[str, str]) -> None:
        for name, group in instances.items():
            self.groups[name].instances = group

    def fails(self, name: str, message: str, status: str = "Failed") -> None:
        told = {"StatusCode": status, "StatusMessage": message, "Description": "Launching a new EC2 instance"}
        self.groups[name].activities.insert(0, {**told, "StartTime": at(self.now), "EndTime": at(self.now)})

    def end(self) -> dict[str, Any]:
        """What is left when all is over, without what differs between two runs that come to the same."""
        return {
            "groups": {
                name: (group.version, sorted(group.instances.values()), group.policy)
                for name, group in self.groups.items()
            },
            "versions": {name: list(versions) for name, versions in self.templates.items()},
        }

    # What AWS does

    def client(self, service: str) -> Any:
        return _Client(self, service)

    def called(self, service: str, operation: str, request: dict[str, Any]) -> Any:
        validate_parameters(request, operations(service)[operation])
        number = len(self.calls)
        self.calls.append((operation, request))
        fault, when, raised = self.fault or (-1, "", KilledError())
        if number == fault and when == "before":
            raise raised
        answer = getattr(self, operation)(**request)
        if number == fault and when == "after":
            raise raised
        return answer

    def describe_auto_scaling_groups(self, **request: Any) -> Any:
        return {
            "AutoScalingGroups": [
                {
                    "AutoScalingGroupName": name,
                    "DesiredCapacity": group.desired,
                    "MinSize": 0,
                    "MaxSize": 8,
                    "Instances": [
                        {
                            "InstanceId": id,
                            "LifecycleState": "Pending:Wait" if id in group.starting else "InService",
                            "HealthStatus": "Unhealthy" if id in group.ill else "Healthy",
                            "LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "Version": version},
                        }
                        for id, version in group.instances.items()
                    ],
                    **self._bought(group),
                }
                for name, group in self.groups.items()
                if name in request["AutoScalingGroupNames"]
            ]
        }

    def _bought(self, group: WorldGroup) -> dict[str, Any]:
        named = {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": "serve", "Version": group.version}
        if not group.mixed:
            return {"LaunchTemplate": named}
        template = {**group.policy["LaunchTemplate"], "LaunchTemplateSpecification": named}
        return {"MixedInstancesPolicy": {**group.policy, "LaunchTemplate": template}}

    def update_auto_scaling_group(self, **request: Any) -> None:
        group = self.groups[request["AutoScalingGroupName"]]
        if group.mixed:
            policy = request["MixedInstancesPolicy"]
            group.policy = {**group.policy, **policy, "LaunchTemplate": dict(policy["LaunchTemplate"])}
            named = group.policy["LaunchTemplate"].pop("LaunchTemplateSpecification")
        else:
            named = request["LaunchTemplate"]
        assert int(named["Version"]) in self.templates[named["LaunchTemplateId"]]
        group.version = named["Version"]

    def describe_instance_refreshes(self, **request: Any) -> Any:
        return {"InstanceRefreshes": self.groups[request["AutoScalingGroupName"]].refreshes[: request["MaxRecords"]]}

    def describe_scaling_activities(self, **request: Any) -> Any:
        return {"Activities": self.groups[request["AutoScalingGroupName"]].activities[: request["MaxRecords"]]}

    def start_instance_refresh(self, **request: Any) -> None:
        refreshes = self.groups[request["AutoScalingGroupName"]].refreshes
        if self.alarmed:
            raise error("ValidationError", "StartInstanceRefresh", "the alarm unhealthy is in ALARM")
        if refreshes and refreshes[0]["Status"] in ("InProgress", "Cancelling"):
            raise error("InstanceRefreshInProgress", "StartInstanceRefresh")
        made = {"InstanceRefreshId": f"r-{len(refreshes)}", "Status": "InProgress", "PercentageComplete": 40}
        refreshes.insert(0, {**made, "StartTime": at(self.now), "Preferences": request["Preferences"]})

    def cancel_instance_refresh(self, **request: Any) -> None:
        newest = self.groups[request["AutoScalingGroupName"]].refreshes[0]
        if newest["Status"] != "InProgress":
            raise error("ActiveInstanceRefreshNotFound", "CancelInstanceRefresh")
        newest["Status"] = "Cancelling"

    def describe_launch_template_versions(self, **request: Any) -> Any:
        versions = self._template(request)
        return {"LaunchTemplateVersions": [{"VersionNumber": number, **one} for number, one in versions.items()]}

    def create_launch_template_version(self, **request: Any) -> Any:
        versions, token = self._template(request), request["ClientToken"]
        if token not in self.tokens:
            number = self.tokens[token] = max(versions) + 1
            source = versions[int(request["SourceVersion"])]["LaunchTemplateData"]
            data = {**source, **request["LaunchTemplateData"]}
            versions[number] = {"VersionDescription": request["VersionDescription"], "LaunchTemplateData": data}
        return {"LaunchTemplateVersion": {"VersionNumber": self.tokens[token]}}

    def delete_launch_template_versions(self, **request: Any) -> Any:
        for number in request["Versions"]:
            self._template(request).pop(int(number), None)

    def _template(self, request: dict[str, Any]) -> dict[int, dict[str, Any]]:
        if request["LaunchTemplateId"] not in self.templates:
            raise error("InvalidLaunchTemplateId.NotFound", "LaunchTemplate")
        return self.templates[request["LaunchTemplateId"]]

    def get_item(self, **request: Any) -> Any:
        item = self.items.get(request["Key"]["artifact_key"]["S"])
        return {"Item": item} if item else {}


class _Client:
    def __init__(self, world: World, service: str) -> None:
        self._world, self._service = world, service

    def __getattr__(self, operation: str) -> Any:
        return lambda **request: self._world.called(self._service, operation, request)

    def get_paginator(self, operation: str) -> Any:
        call = getattr(self, operation)

        class Pages:
            paginate: Callable[..., Any] = staticmethod(lambda **request: [call(**request)])

        return Pages
