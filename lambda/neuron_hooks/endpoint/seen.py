"""What SageMaker and Application Auto Scaling say of an endpoint, as much of it as is decided by. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# EndpointStatus and InferenceComponentStatus that something else follows on.
_MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


@dataclass(frozen=True, slots=True)
class Images:
    """Of one variant or component: as the model names them, and as they were pulled, by digest."""

    specified: tuple[str, ...]
    resolved: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``instances`` and ``images`` by variant, shadows among them. ``modified`` in seconds since the epoch."""

    status: str
    configuration: str
    failure: str
    modified: float
    instances: Mapping[str, int]
    images: Mapping[str, Images]

    @property
    def moves(self) -> bool:
        return self.status in _MOVING


@dataclass(frozen=True, slots=True)
class Configured:
    """A variant of a configuration: an instance type and a model for each of its pools, by priority."""

    shadow: bool
    pools: tuple[tuple[str, str | None], ...]

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(kind for kind, _ in self.pools)


@dataclass(frozen=True, slots=True)
class Model:
    image: str
    uri: str


@dataclass(frozen=True, slots=True)
class Component:
    status: str
    failure: str
    model: str
    images: Images
    copies: int

    @property
    def moves(self) -> bool:
        return self.status in _MOVING


@dataclass(frozen=True, slots=True)
class Registered:
    """A scalable target that there is: ``policies`` by name, each with the names of the alarms that call it.

    :param limits: the least and the most in force, which a scheduled action may have set.
    """

    limits: tuple[int, int]
    policies: Mapping[str, tuple[str, ...]]
    stepping: frozenset[str]
    schedules: frozenset[str]


def endpoint(found: Mapping[str, Any]) -> Endpoint:
    """DescribeEndpoint's answer."""
    variants = [*found.get("ProductionVariants", ()), *found.get("ShadowProductionVariants", ())]
    return Endpoint(
        status=found["EndpointStatus"],
        configuration=found.get("EndpointConfigName", ""),
        failure=found.get("FailureReason", ""),
        modified=found["LastModifiedTime"].timestamp(),
        instances={one["VariantName"]: one.get("CurrentInstanceCount", 0) for one in variants},
        images={one["VariantName"]: _images(one.get("DeployedImages", ())) for one in variants},
    )


def configuration(found: Mapping[str, Any]) -> dict[str, Configured]:
    """DescribeEndpointConfig's answer, by variant."""
    return {
        one["VariantName"]: Configured(shadow, _pools(one))
        for shadow, member in ((False, "ProductionVariants"), (True, "ShadowProductionVariants"))
        for one in found.get(member, ())
    }


def _pools(variant: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    own = variant.get("ModelName")
    pools = sorted(variant.get("InstancePools", ()), key=lambda pool: int(pool["Priority"]))
    if pools:
        return tuple((pool["InstanceType"], pool.get("ModelNameOverride", own)) for pool in pools)
    return ((variant.get("InstanceType", ""), own),)


def model(found: Mapping[str, Any]) -> Model:
    """DescribeModel's answer."""
    container = found["PrimaryContainer"]
    return Model(container["Image"], container["ModelDataSource"]["S3DataSource"]["S3Uri"])


def component(found: Mapping[str, Any]) -> Component:
    """DescribeInferenceComponent's answer."""
    specification = found.get("Specification", {})
    image = specification.get("Container", {}).get("DeployedImage")
    return Component(
        status=found["InferenceComponentStatus"],
        failure=found.get("FailureReason", ""),
        model=specification.get("ModelName", ""),
        images=_images([image] if image else []),
        copies=found.get("RuntimeConfig", {}).get("CurrentCopyCount", 0),
    )


def _images(deployed: Sequence[Mapping[str, Any]]) -> Images:
    return Images(
        tuple(one["SpecifiedImage"] for one in deployed if "SpecifiedImage" in one),
        tuple(one["ResolvedImage"] for one in deployed if "ResolvedImage" in one),
    )


def registered(
    target: Mapping[str, Any], policies: Sequence[Mapping[str, Any]], schedules: Sequence[Mapping[str, Any]]
) -> Registered:
    """The answers of DescribeScalableTargets, DescribeScalingPolicies and DescribeScheduledActions for one target."""
    return Registered(
        limits=(target["MinCapacity"], target["MaxCapacity"]),
        policies={one["PolicyName"]: tuple(alarm["AlarmName"] for alarm in one.get("Alarms", ())) for one in policies},
        stepping=frozenset(one["PolicyName"] for one in policies if one["PolicyType"] == "StepScaling"),
        schedules=frozenset(one["ScheduledActionName"] for one in schedules),
    )
