"""What can be scaled here: how its capacity is read and set, for each scalable dimension."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..api import ServiceError
from ..sagemaker import service as sagemaker


@dataclass(frozen=True, slots=True)
class Capacity:
    """``busy`` is the status in which the resource takes no change, empty where it takes one."""

    desired: int
    current: int
    busy: str
    failure: str
    """Why the last change was not fulfilled; empty where it was."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """``read`` gives None for what there is not; ``change`` raises ``ServiceError``."""

    pattern: re.Pattern[str]
    called: str
    """As activities call it."""
    read: Callable[[str], Capacity | None]
    change: Callable[[str, int], None]


def find(request: dict[str, Any]) -> Dimension:
    """The dimension of a target. Raises ``ValidationException`` for one that is not here, or another's resource."""
    name, resource = request["ScalableDimension"], request["ResourceId"]
    if not name.startswith(f"{request['ServiceNamespace']}:"):
        raise ServiceError("ValidationException", "Unsupported service namespace, resource type or scalable dimension")
    dimension = DIMENSIONS.get(name)
    if dimension is None:
        raise ServiceError(
            "ValidationException",
            f"The scalable dimension {name} is not part of the embedded AWS, which has {', '.join(DIMENSIONS)}",
        )
    if not dimension.pattern.fullmatch(resource):
        raise ServiceError("ValidationException", f"Unsupported resource ID {resource} for the dimension {name}")
    return dimension


def _variant(resource: str) -> Capacity | None:
    _, endpoint, _, variant = resource.split("/")
    try:
        described = sagemaker.call("DescribeEndpoint", {"EndpointName": endpoint})
    except ServiceError:
        return None
    for each in described.get("ProductionVariants", ()):
        if each["VariantName"] == variant:
            return _capacity(
                each["DesiredInstanceCount"], each["CurrentInstanceCount"], described["EndpointStatus"], described
            )
    return None


def _set_variant(resource: str, capacity: int) -> None:
    _, endpoint, _, variant = resource.split("/")
    wanted = {"VariantName": variant, "DesiredInstanceCount": capacity}
    sagemaker.call(
        "UpdateEndpointWeightsAndCapacities", {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [wanted]}
    )


def _component(resource: str) -> Capacity | None:
    try:
        described = sagemaker.call("DescribeInferenceComponent", {"InferenceComponentName": resource.split("/")[1]})
    except ServiceError:
        return None
    copies = described["RuntimeConfig"]
    return _capacity(
        copies["DesiredCopyCount"], copies["CurrentCopyCount"], described["InferenceComponentStatus"], described
    )


def _set_component(resource: str, capacity: int) -> None:
    sagemaker.call(
        "UpdateInferenceComponentRuntimeConfig",
        {"InferenceComponentName": resource.split("/")[1], "DesiredRuntimeConfig": {"CopyCount": capacity}},
    )


def _capacity(desired: int, current: int, status: str, described: dict[str, Any]) -> Capacity:
    busy = "" if status == "InService" else status
    return Capacity(desired, current, busy, described.get("FailureReason", ""))


DIMENSIONS = {
    "sagemaker:variant:DesiredInstanceCount": Dimension(
        re.compile(r"endpoint/[\w-]+/variant/[\w-]+"), "instance count", _variant, _set_variant
    ),
    "sagemaker:inference-component:DesiredCopyCount": Dimension(
        re.compile(r"inference-component/[\w-]+"), "copy count", _component, _set_component
    ),
}
