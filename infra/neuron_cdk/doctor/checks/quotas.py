"""Quotas against what everything in the file needs at its max.

EC2 counts vCPUs, on-demand and spot apart; instances in an on-demand reservation count as on-demand, those in a
capacity block as neither. SageMaker counts instances by type, those that an update starts beside the old ones too. What
else runs in the account is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...spec import Deployment, Fleet, most_instances, pools, variants
from ...spec.checks.common import listed_types, size_at
from ...spec.findings import Problem
from ...spec.hosts import instance
from ...spec.source import Pointer
from ..aws import Aws, Quota

_COUNTED: Mapping[str, str] = {"on-demand": "on-demand", "reservation": "on-demand", "spot": "spot"}
"""Kind of capacity to the quota it counts against."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one fleet, cluster or endpoint may take of a quota: ``count`` instances of ``each`` units."""

    at: Pointer
    count: int
    each: int
    preferred: bool
    """Its first choice, not what it falls back to."""
    part: str = ""
    """The variant, where an endpoint has several."""

    @property
    def units(self) -> int:
        return self.count * self.each

    def __str__(self) -> str:
        name = f"{self.at[1]} {self.part}".rstrip()
        return f"{name} {self.count}" + (f" x {self.each}" if self.each > 1 else "")


@dataclass(slots=True)
class Need:
    """Everything that counts against one quota."""

    service: str
    code: str
    uses: list[Use] = field(default_factory=list)

    @property
    def preferred(self) -> int:
        return sum(use.units for use in self.uses if use.preferred)

    @property
    def all(self) -> int:
        """A fleet's base and its fallback share the fleet's max, so the larger of the two counts."""
        largest: dict[tuple[Pointer, str], int] = {}
        for use in self.uses:
            owner = (use.at, use.part)
            largest[owner] = max(largest.get(owner, 0), use.units)
        return sum(largest.values())


def suffice(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    yield from _nameless(deployment)
    for need in needs(deployment):
        quota = aws.quota(need.service, need.code)
        if quota is None:
            yield Problem(
                "NCDK-DOCTOR-004",
                need.uses[0].at,
                f"quota {need.code} could not be checked: Service Quotas does not know it in this account and region",
                given="",
            )
        elif quota.granted < need.all:
            yield _short(need, quota, deployment.environment.region)


def _nameless(deployment: Deployment) -> Iterator[Problem]:
    """Types too new for the catalogue's sources of quota codes."""
    for name, endpoint in deployment.endpoints.items():
        for at, names in listed_types(endpoint):
            for index, instance_type in enumerate(names):
                host = instance(instance_type)
                if host and host.neuron_cores and "endpoint" not in host.quota_codes:
                    yield Problem(
                        "NCDK-DOCTOR-035",
                        ("endpoints", name, *at, index),
                        f"the catalogue does not know the quota of {instance_type}, so it was not compared",
                        fix=f'look for "{instance_type} for endpoint usage" in Service Quotas',
                    )


def needs(deployment: Deployment) -> tuple[Need, ...]:
    """What the file needs of every quota it touches, in the order of the file."""
    found: dict[tuple[str, str], Need] = {}

    def add(service: str, code: str | None, use: Use) -> None:
        if code and use.count:
            found.setdefault((service, code), Need(service, code)).uses.append(use)

    for name, fleet in deployment.fleets.items():
        for kind in dict.fromkeys(_COUNTED.values()):
            for preferred, count in ((True, _preferred(fleet, kind)), (False, _fallback(fleet, kind))):
                for code, vcpus in _vcpus(fleet.instance_types, kind).items():
                    add("ec2", code, Use(("fleets", name, "size", "max"), count, vcpus, preferred))
    for name, cluster in deployment.training_clusters.items():
        if cluster.engine == "batch":  # HyperPod's instances are SageMaker's, by quotas the catalogue has no codes of
            for code, vcpus in _vcpus([cluster.instance_type], "on-demand").items():
                add("ec2", code, Use(("training_clusters", name, "size", "max"), cluster.size.max, vcpus, True))
    for name, endpoint in deployment.endpoints.items():
        several = variants(endpoint)
        for variant in several:
            at = ("endpoints", name, *size_at(endpoint, variant), "max")
            most, part = most_instances(endpoint, variant), variant.name if len(several) > 1 else ""
            for index, instance_type in enumerate(variant.types):
                add("sagemaker", _endpoint_code(instance_type), Use(at, most, 1, index == 0, part))
    return tuple(found.values())


def _preferred(fleet: Fleet, kind: str) -> int:
    """How many instances of a fleet are of this kind when all goes well: its first pool, and its base."""
    first, *others = pools(fleet.capacity)
    if kind in {_COUNTED.get(each) for each in first.kinds}:
        return fleet.size.max
    return sum(pool.base for pool in others) if kind == "on-demand" else 0


def _fallback(fleet: Fleet, kind: str) -> int:
    """How many there may be when other pools are short."""
    _, *others = pools(fleet.capacity)
    kinds = {_COUNTED.get(each) for pool in others for each in pool.kinds}
    return fleet.size.max if kind in kinds else 0


def _endpoint_code(instance_type: str) -> str | None:
    host = instance(instance_type)
    return host.quota_codes.get("endpoint") if host else None


def _vcpus(instance_types: tuple[str, ...] | list[str], kind: str) -> dict[str, int]:
    """Quota code to the vCPUs of the largest type that counts against it."""
    largest: dict[str, int] = {}
    for host in filter(None, map(instance, instance_types)):
        if code := host.quota_codes.get(kind):
            largest[code] = max(largest.get(code, 0), host.vcpu)
    return largest


def _short(need: Need, quota: Quota, region: str) -> Problem:
    preferred = quota.granted < need.preferred
    wanted = need.preferred if preferred else need.all
    uses = [use for use in need.uses if use.preferred or not preferred]
    places = list(dict.fromkeys(use.at for use in uses))
    at: Pointer = places[0] if len(places) == 1 else places[0][:1]
    unit = "vCPUs" if need.service == "ec2" else "instances"
    when = "at max" if need.service == "ec2" else "in an update at max"
    largest = {(use.at, use.part): use for use in sorted(uses, key=lambda use: use.units)}
    why = ", ".join(str(largest[owner]) for owner in dict.fromkeys((use.at, use.part) for use in uses))
    role = "" if preferred else ", fallbacks counted"
    return Problem(
        "NCDK-DOCTOR-006" if preferred else "NCDK-DOCTOR-007",
        at,
        f"{quota.name} ({need.code}) grants {quota.granted:,.0f} {unit}, and {wanted:,} are needed {when}{role}: {why}",
        f"up to {quota.granted:,.0f} {unit}",
        f"request {need.all:,} {unit}: aws service-quotas request-service-quota-increase "
        f"--service-code {need.service} --quota-code {need.code} --desired-value {need.all} --region {region}",
        given=f"{wanted:,} {unit}",
    )
