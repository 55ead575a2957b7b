"""How an endpoint's size moves, as its hook is told, which registers it.

Why the template does not: ``docs/adr/0013-scaling-belongs-to-the-hook.md``.

Sources: SageMaker guide, *Define a scaling policy*, *Autoscale an asynchronous endpoint*, *Scale an endpoint to zero
instances*; Application Auto Scaling API reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import spec
from .components import EndpointComponent
from .metrics import NAMESPACE

_WAKE_COOLDOWN_S = 300
# Below this share of the target a step takes one away: with two instances, what the other then gets is within it again.
_SHRINK_BELOW = 0.5


@dataclass(frozen=True)
class _Metric:
    """One metric of the file as Application Auto Scaling and CloudWatch call it.

    :param tracked: the predefined metric of target tracking; None where there is none, as for queues.
    """

    name: str
    tracked: str | None
    statistic: str


_VARIANT = {
    "concurrent-requests": _Metric(
        "ConcurrentRequestsPerModel", "SageMakerVariantConcurrentRequestsPerModelHighResolution", "Maximum"
    ),
    "invocations-per-instance": _Metric("InvocationsPerInstance", "SageMakerVariantInvocationsPerInstance", "Sum"),
    "backlog": _Metric("ApproximateBacklogSizePerInstance", None, "Average"),
}
_COMPONENT = {
    "concurrent-requests": _Metric(
        "ConcurrentRequestsPerCopy", "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution", "Maximum"
    ),
    "invocations-per-instance": _Metric("InvocationsPerCopy", "SageMakerInferenceComponentInvocationsPerCopy", "Sum"),
}


def targets(
    endpoint: spec.Endpoint, name: str, variants: Sequence[spec.Variant], components: Sequence[EndpointComponent]
) -> list[dict[str, Any]]:
    """The scalable targets of an endpoint.

    All production variants are targets as soon as one scales: an update then keeps the number of instances there are,
    and the limits of a target see to it that a changed declaration is heeded. A shadow keeps its size.
    """
    if endpoint.components:
        return [_component_target(endpoint, each) for each in components if _scales(each.component.copies)]
    if not scaled(endpoint):
        return []
    return [_variant_target(endpoint, name, each) for each in variants if not each.shadow]


def scaled(endpoint: spec.Endpoint) -> bool:
    """Whether anything but the template decides how many instances there are."""
    return bool(endpoint.scaling or endpoint.schedule or endpoint.components or endpoint.size.min == 0)


def _variant_target(endpoint: spec.Endpoint, name: str, variant: spec.Variant) -> dict[str, Any]:
    main = variant.name == spec.MAIN
    prefix = "" if main else f"{variant.name}-"  # alarms are named after endpoint and policy
    dimensions = {"EndpointName": name, "VariantName": variant.name}
    if endpoint.scaling and endpoint.scaling.metric == "backlog":
        dimensions = {"EndpointName": name}
    policies: list[dict[str, Any]] = []
    if endpoint.scaling and _scales(variant.size):
        policies += _policies(endpoint.scaling, _VARIANT[endpoint.scaling.metric], dimensions, prefix)
    if variant.size.min == 0:
        policies.append(
            _wake("HasBacklogWithoutCapacity", {"EndpointName": name}, statistic="Average", periods=2, prefix=prefix)
        )
    return {
        "resource": "variant",
        "name": variant.name,
        "min": variant.size.min,
        "max": variant.size.max,
        "policies": policies,
        "schedules": [
            {"name": f"schedule-{index}", "cron": f"cron({entry.cron})", "min": entry.min, "max": entry.max}
            for index, entry in enumerate(endpoint.schedule if main else ())
        ],
    }


def _component_target(endpoint: spec.Endpoint, made: EndpointComponent) -> dict[str, Any]:
    copies, dimensions = made.component.copies, {"InferenceComponentName": made.name}
    policies: list[dict[str, Any]] = []
    if endpoint.scaling:
        policies += _policies(endpoint.scaling, _COMPONENT[endpoint.scaling.metric], dimensions, "")
    if copies.min == 0:
        policies.append(_wake("NoCapacityInvocationFailures", dimensions, statistic="Sum", periods=1))
    return {
        "resource": "component",
        "name": made.name,
        "min": copies.min,
        "max": copies.max,
        "policies": policies,
        "schedules": [],
    }


def _scales(size: spec.Range) -> bool:
    return size.min < size.max


def _policies(
    scaling: spec.EndpointScaling, metric: _Metric, dimensions: dict[str, str], prefix: str
) -> Iterator[dict[str, Any]]:
    """Target tracking, or steps up and one step down."""
    if not scaling.steps:
        followed: Any = metric.tracked or {
            "MetricName": metric.name,
            "Namespace": NAMESPACE,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Statistic": metric.statistic,
        }
        yield {
            "kind": "target",
            "name": f"{prefix}{scaling.metric}",
            "metric": followed,
            "value": scaling.target,
            "scale_in_cooldown_s": scaling.scale_in_cooldown_s,
            "scale_out_cooldown_s": scaling.scale_out_cooldown_s,
        }
        return
    above = [step.above for step in scaling.steps]
    yield _step(
        f"{prefix}grow",
        [
            {"lower": step.above, "upper": upper, "by": step.add}
            for step, upper in zip(scaling.steps, [*above[1:], None], strict=True)
        ],
        cooldown_s=scaling.scale_out_cooldown_s,
        alarm=_alarm(metric.name, dimensions, metric.statistic, 2, scaling.target, "GreaterThanThreshold"),
    )
    yield _step(
        f"{prefix}shrink",
        [{"lower": None, "upper": 0, "by": -1}],
        cooldown_s=scaling.scale_in_cooldown_s,
        alarm=_alarm(
            metric.name, dimensions, metric.statistic, 15, scaling.target * _SHRINK_BELOW, "LessThanThreshold"
        ),
    )


def _wake(metric: str, dimensions: dict[str, str], *, statistic: str, periods: int, prefix: str = "") -> dict[str, Any]:
    """From none to one: target tracking cannot, since nothing is a metric of no instance."""
    return _step(
        f"{prefix}wake",
        [{"lower": 0, "upper": None, "by": 1}],
        cooldown_s=_WAKE_COOLDOWN_S,
        alarm=_alarm(metric, dimensions, statistic, periods, 1, "GreaterThanOrEqualToThreshold"),
    )


def _step(name: str, steps: list[dict[str, Any]], *, cooldown_s: int, alarm: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "step",
        "name": name,
        "adjustment": "ChangeInCapacity",
        "steps": steps,
        "cooldown_s": cooldown_s,
        "alarm": alarm,
    }


def _alarm(
    metric: str, dimensions: dict[str, str], statistic: str, periods: int, threshold: float, comparison: str
) -> dict[str, Any]:
    return {
        "metric": metric,
        "namespace": NAMESPACE,
        "dimensions": dimensions,
        "statistic": statistic,
        "period_s": 60,
        "evaluation_periods": periods,
        "datapoints": periods,
        "threshold": threshold,
        "comparison": comparison,
        "missing": "missing",
    }
