"""An AWS for a fleet's controller, in memory: Auto Scaling groups, reservations, metrics, an event bus.

Its clients take and answer what boto3's do, so that the adapter is tested with the handler: requests are held against
botocore's models. DynamoDB is moto's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def error(code: str, operation: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@functools.cache
def operations(service: str) -> dict[str, Any]:
    """botocore's input shapes by the names of boto3's methods."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): model.operation_model(name).input_shape for name in model.operation_names}


class Client:
    """One service of an AWS."""

    def __init__(self, fake: FakeAws, service: str) -> None:
        self._fake, self._service = fake, service

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            validate_parameters(request, operations(self._service)[operation])
            return getattr(self._fake, operation)(**request)

        return call


@dataclass
class FakeGroup:
    desired: int = 0
    least: int = 0
    most: int = 8
    instances: list[tuple[str, str]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    refreshes: list[dict[str, Any]] = field(default_factory=list)

    def run(self, count: int, state: str = "InService", prefix: str = "i") -> None:
        self.instances = [(f"{prefix}-{number}", state) for number in range(count)]

    def fails(self, seconds: int, message: str, status: str = "Failed") -> None:
        self.activities.insert(
            0,
            {
                "StatusCode": status,
                "StatusMessage": message,
                "Description": f"Launching a new EC2 instance.  Status Reason: {message}",
                "StartTime": at(seconds),
                "EndTime": at(seconds),
            },
        )


class FakeAws:
    """``set``: the groups' sizes as they were set, in order; ``sent``: events; ``refuse``: operations that fail."""

    def __init__(self, *groups: str) -> None:
        self.groups = {name: FakeGroup() for name in groups}
        self.reservations: dict[str, dict[str, Any]] = {}
        self.metric: dict[int, float] = {}
        self.set: list[tuple[str, int]] = []
        self.sent: list[dict[str, Any]] = []
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.cancelled: list[str] = []
        self.refuse: dict[str, Exception] = {}
        self.before: dict[str, Any] = {}

    def client(self, service: str) -> Client:
        return Client(self, service)

    def _called(self, operation: str) -> None:
        if operation in self.before:
            self.before.pop(operation)()
        if operation in self.refuse:
            raise self.refuse[operation]

    def describe_auto_scaling_groups(self, **request: Any) -> dict[str, Any]:
        return {
            "AutoScalingGroups": [
                {
                    "AutoScalingGroupName": name,
                    "DesiredCapacity": group.desired,
                    "MinSize": group.least,
                    "MaxSize": group.most,
                    "Instances": [
                        {"InstanceId": id, "LifecycleState": state, "HealthStatus": "Healthy"}
                        for id, state in group.instances
                    ],
                }
                for name, group in self.groups.items()
                if name in request["AutoScalingGroupNames"]
            ]
        }

    def describe_scaling_activities(self, **request: Any) -> dict[str, Any]:
        return {"Activities": self._group(request).activities[: request["MaxRecords"]]}

    def set_desired_capacity(self, **request: Any) -> None:
        self._called("set_desired_capacity")
        assert request["HonorCooldown"] is False
        group, count = self._group(request), request["DesiredCapacity"]
        assert group.least <= count <= group.most
        group.desired = count
        self.set.append((request["AutoScalingGroupName"], count))

    def describe_instance_refreshes(self, **request: Any) -> dict[str, Any]:
        return {"InstanceRefreshes": self._group(request).refreshes[: request["MaxRecords"]]}

    def start_instance_refresh(self, **request: Any) -> None:
        self._called("start_instance_refresh")
        refreshes = self._group(request).refreshes
        if any(one["Status"] in ("InProgress", "Cancelling") for one in refreshes):
            raise error("InstanceRefreshInProgress", "StartInstanceRefresh")
        refreshes.insert(0, {"InstanceRefreshId": f"r-{len(refreshes)}", "Status": "InProgress"})
        self.started.append((request["AutoScalingGroupName"], request["Preferences"]))

    def cancel_instance_refresh(self, **request: Any) -> None:
        newest = self._group(request).refreshes[0]
        if newest["Status"] != "InProgress":
            raise error("ActiveInstanceRefreshNotFound", "CancelInstanceRefresh")
        newest["Status"] = "Cancelling"
        self.cancelled.append(request["AutoScalingGroupName"])

    def describe_capacity_reservations(self, **request: Any) -> dict[str, Any]:
        (id,) = request["CapacityReservationIds"]
        if id not in self.reservations:
            raise error("InvalidCapacityReservationId.NotFound", "DescribeCapacityReservations")
        return {"CapacityReservations": [{"CapacityReservationId": id, **self.reservations[id]}]}

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        start, end = request["StartTime"], request["EndTime"]
        found = {second: value for second, value in self.metric.items() if start <= second < end}
        return {"MetricDataResults": [{"Timestamps": [at(one) for one in found], "Values": list(found.values())}]}

    def put_events(self, **request: Any) -> dict[str, Any]:
        self._called("put_events")
        self.sent += request["Entries"]
        return {"FailedEntryCount": 0}

    def _group(self, request: dict[str, Any]) -> FakeGroup:
        return self.groups[request["AutoScalingGroupName"]]
