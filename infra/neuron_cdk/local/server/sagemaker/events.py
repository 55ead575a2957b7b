"""An endpoint's status: on its record, and to EventBridge.

The event's form is that of "Events that Amazon SageMaker AI sends to Amazon EventBridge" (developer guide), where
``EndpointStatus`` is written ``IN_SERVICE`` and times are milliseconds.
"""

from __future__ import annotations

import re

from ..autoscaling import events
from . import store
from .store import Record

_REASON = 1024  # the model's limit for FailureReason


def become(record: Record, status: str, *, reason: str | None = None) -> None:
    """Let the endpoint have ``status``, and tell of it. ``reason`` becomes its FailureReason, which else it loses."""
    record.pop("FailureReason", None)
    if reason:
        record["FailureReason"] = reason[:_REASON]
    record.update(EndpointStatus=status, LastModifiedTime=store.moment())
    tell(record)


def tell(record: Record) -> None:
    desired = record.get("Desired", {})
    detail = {
        "EndpointName": record["EndpointName"],
        "EndpointArn": record["EndpointArn"],
        "EndpointConfigName": record["EndpointConfigName"],
        "ProductionVariants": [
            {"VariantName": name, "DesiredWeight": weight, "DesiredInstanceCount": count}
            for name, (count, weight) in desired.items()
        ],
        "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record["EndpointStatus"]).upper(),
        "CreationTime": int(record["CreationTime"] * 1000),
        "LastModifiedTime": int(record["LastModifiedTime"] * 1000),
        "Tags": {tag["Key"]: tag["Value"] for tag in store.tags_of(record["EndpointArn"])},
    }
    if "FailureReason" in record:
        detail["FailureReason"] = record["FailureReason"]
    events.send("aws.sagemaker", "SageMaker Endpoint State Change", detail, [record["EndpointArn"]])
