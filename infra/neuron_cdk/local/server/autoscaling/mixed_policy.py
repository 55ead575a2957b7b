"""A mixed instances policy and what an update leaves of it."""

from __future__ import annotations

from .store import Record

_SEGMENTS = "DistributionSegments"
_SHARES = ("OnDemandBaseCapacity", "OnDemandPercentageAboveBaseCapacity")


def merged(old: Record | None, new: Record) -> Record:
    """The policy after an update: what is not named stays as it is.

    Segments go when a share of on-demand capacity is named, or an empty list of them (EC2 Auto Scaling API Reference,
    UpdateAutoScalingGroup). That shares go when segments are named is inferred.
    """
    if old is None:
        return new
    template = {**old.get("LaunchTemplate", {}), **new.get("LaunchTemplate", {})}
    given = new.get("InstancesDistribution", {})
    distribution = {**old.get("InstancesDistribution", {}), **given}
    if given.get(_SEGMENTS):
        distribution = {name: value for name, value in distribution.items() if name not in _SHARES or name in given}
    elif _SEGMENTS in given or any(name in given for name in _SHARES):
        distribution.pop(_SEGMENTS, None)
    return {"LaunchTemplate": template, **({"InstancesDistribution": distribution} if distribution else {})}
