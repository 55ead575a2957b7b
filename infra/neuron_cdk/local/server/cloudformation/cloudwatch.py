"""``AWS::CloudWatch::Alarm``: ministack's own takes no metric math."""

from __future__ import annotations

import uuid

from ..cloudwatch import alarms, service
from .coercion import coerce
from .types import Created, Resource, ResourceType

_LONGEST = 255


def _put(resource: Resource) -> Created:
    """Create or update: everything but the name is changed in place, and the state stays."""
    properties = resource.properties
    name = resource.physical_id or properties.get("AlarmName") or _name(resource)
    declared = {key: value for key, value in properties.items() if key != "Tags"}
    service.call("PutMetricAlarm", coerce("cloudwatch", "PutMetricAlarm", declared | {"AlarmName": name}))
    alarms.put_tags(name, properties.get("Tags", []))
    return name, {"Arn": alarms.arn(name)}


def _name(resource: Resource) -> str:
    ending = f"-{resource.logical_id}-{uuid.uuid4().hex[:12].upper()}"
    return resource.stack[: _LONGEST - len(ending)] + ending


def _remove(resource: Resource) -> None:
    """Raise ``ServiceError`` while a composite alarm goes by it."""
    service.call("DeleteAlarms", {"AlarmNames": [resource.physical_id]})


TYPES: dict[str, ResourceType] = {
    "AWS::CloudWatch::Alarm": ResourceType(
        create=_put, delete=_remove, update=_put, replaced_by=("AlarmName",), tagged=True
    ),
}
