"""What an update of an endpoint must be preceded by, and when an event may bring scaling back. Pure.

SageMaker refuses an update that removes a variant that is a scalable target, or changes its instance type (SageMaker
guide, *Update endpoints that use auto scaling*; https://github.com/hashicorp/terraform-provider-aws/issues/14337).
Another model on the same type it takes.
"""

from __future__ import annotations

from collections.abc import Mapping

from .record import Record
from .seen import Configured, Endpoint


def leaving(serves: Mapping[str, Configured], comes: Mapping[str, Configured]) -> tuple[str, ...]:
    """The production variants that go, or change their instance types or the order of their pools."""
    return tuple(
        name
        for name, variant in serves.items()
        if not variant.shadow and (name not in comes or comes[name].shadow or comes[name].types != variant.types)
    )


def may_register(record: Record, endpoint: Endpoint) -> bool:
    """Whether what a record declares fits what is in service, and no update is about to come.

    A deregistration for an update leaves a mark. Until the endpoint has moved since, the update has not begun, and
    SageMaker would refuse it if the targets were there again.
    """
    if endpoint.status != "InService" or endpoint.configuration != record.configuration:
        return False
    mark = record.leaving
    return mark is None or (mark.since is not None and endpoint.modified > mark.since)
