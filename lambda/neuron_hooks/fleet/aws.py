"""The calls of a fleet's controller, on the clients of ``aws``. Thin: what is read is in ``seen``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from .. import aws
from . import seen
from .instance_refresh import InstanceRefresh
from .seen import Group, Reservation

_LAUNCHES = 20


class RefreshRefusedError(Exception):
    """Auto Scaling does not start an instance refresh; the message is its own."""


def groups(names: Sequence[str]) -> dict[str, Group]:
    """Auto Scaling groups with their latest launches, by name."""
    autoscaling = aws.client("autoscaling")
    found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(names), MaxRecords=100)
    return {
        one["AutoScalingGroupName"]: seen.group(
            one,
            autoscaling.describe_scaling_activities(
                AutoScalingGroupName=one["AutoScalingGroupName"], MaxRecords=_LAUNCHES
            )["Activities"],
        )
        for one in found["AutoScalingGroups"]
    }


def set_desired_capacity(group: str, count: int) -> None:
    """Ask a group for a number of instances, at once."""
    aws.client("autoscaling").set_desired_capacity(
        AutoScalingGroupName=group, DesiredCapacity=count, HonorCooldown=False
    )


def newest_refresh(group: str) -> InstanceRefresh | None:
    """A group's latest instance refresh, whatever became of it."""
    found = aws.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=group, MaxRecords=1)
    for one in found["InstanceRefreshes"]:
        return instance_refresh(one)
    return None


def instance_refresh(described: Mapping[str, Any]) -> InstanceRefresh:
    """A refresh as DescribeInstanceRefreshes gives it."""
    return InstanceRefresh(
        id=described["InstanceRefreshId"],
        status=described["Status"],
        reason=described.get("StatusReason", ""),
        percent=described.get("PercentageComplete", 0),
        began=int(described["StartTime"].timestamp()) if "StartTime" in described else 0,
    )


def start_refresh(group: str, preferences: Mapping[str, Any]) -> None:
    """Replace a group's instances that are not of its launch template's version.

    :raises RefreshRefusedError: it is not to be had.
    """
    try:
        aws.client("autoscaling").start_instance_refresh(AutoScalingGroupName=group, Preferences=preferences)
    except ClientError as error:
        if error.response["Error"]["Code"] == "InstanceRefreshInProgress":
            return  # of another run of this function, or one that is being cancelled: the next run sees which
        if aws.passes(error):
            raise
        raise RefreshRefusedError(error.response["Error"]["Message"]) from error


def cancel_refresh(group: str) -> None:
    """Stop a group's instance refresh, if one is under way."""
    try:
        aws.client("autoscaling").cancel_instance_refresh(AutoScalingGroupName=group)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ActiveInstanceRefreshNotFound":
            raise


def reservations(ids: Sequence[str]) -> dict[str, Reservation]:
    """Capacity reservations by id, without those that do not exist."""
    found: dict[str, Reservation] = {}
    for id in ids:
        try:
            described = aws.client("ec2").describe_capacity_reservations(CapacityReservationIds=[id])
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("InvalidCapacityReservationId"):
                continue
            raise
        found |= {one["CapacityReservationId"]: seen.reservation(one) for one in described["CapacityReservations"]}
    return found


def datapoints(query: Mapping[str, Any], now: int, count: int) -> tuple[float | None, ...]:
    """The last whole minutes of a metric, oldest first, ``None`` for a minute without data.

    :param query: ``Namespace``, ``MetricName``, ``Dimensions``, ``Stat``.
    """
    end = now - now % 60
    metric = {name: query[name] for name in ("Namespace", "MetricName", "Dimensions")}
    answer = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "metric", "MetricStat": {"Metric": metric, "Period": 60, "Stat": query["Stat"]}}],
        StartTime=end - 60 * count,
        EndTime=end,
    )
    values = {
        int(at.timestamp()): value
        for one in answer["MetricDataResults"]
        for at, value in zip(one["Timestamps"], one["Values"], strict=True)
    }
    return tuple(values.get(end - 60 * ago) for ago in range(count, 0, -1))
