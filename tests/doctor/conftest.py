"""An AWS of plain values, in which everything is well until a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuron_cdk import spec
from neuron_cdk.catalog import instances, regions
from neuron_cdk.doctor import Report, examine
from neuron_cdk.doctor.aws import Image, Quota, Reservation, Subnet, Vpc, Zone

REGION = "us-east-1"
ACCOUNT = "111122223333"


@dataclass
class FakeAws:
    """``Aws`` by fields. ``raises`` has what a method raises instead of answering."""

    account_id: str = ACCOUNT
    region: str | None = "opt-in-not-required"
    quotas: dict[str, float] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=lambda: {"/cdk-bootstrap/hnb659fds/version": "32"})
    images: dict[str, Image] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    vpcs: dict[str, Vpc] = field(default_factory=dict)
    subnet: dict[str, Subnet] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
    buckets: dict[str, bool] = field(default_factory=lambda: {"models": True})
    silent: set[str] = field(default_factory=set)
    secrets: dict[str, bool] = field(default_factory=dict)
    stacks: dict[str, str] = field(default_factory=lambda: {"CDKToolkit": "UPDATE_COMPLETE"})
    has: tuple[Zone, ...] = tuple(
        Zone(f"use1-az{number}", f"{REGION}{letter}") for number, letter in zip(range(1, 7), "cdfbea", strict=True)
    )
    offered: dict[str, set[str]] | None = None
    raises: dict[str, Exception] = field(default_factory=dict)

    def _maybe(self, method: str) -> None:
        if method in self.raises:
            raise self.raises[method]

    def account(self) -> str:
        self._maybe("account")
        return self.account_id

    def region_status(self) -> str | None:
        self._maybe("region_status")
        return self.region

    def zones(self) -> Collection[Zone]:
        self._maybe("zones")
        return self.has

    def offerings(self, instance_types: Collection[str]) -> Mapping[str, Collection[str]]:
        self._maybe("offerings")
        if self.offered is not None:
            return self.offered
        return {name: regions.zones_offering(REGION, name) for name in instance_types}

    def quota(self, service: str, code: str) -> Quota | None:
        self._maybe("quota")
        granted = self.quotas.get(code, 10_000)
        return None if granted < 0 else Quota(f"{service} quota", granted)

    def parameter(self, name: str) -> str | None:
        self._maybe("parameter")
        return self.named.get(name, "ami-0123456789abcdef0" if "/neuron/" in name else None)

    def image(self, image_id: str) -> Image | None:
        self._maybe("image")
        return self.images.get(image_id)

    def reservation(self, reservation_id: str) -> Reservation | None:
        self._maybe("reservation")
        return self.reservations.get(reservation_id)

    def vpc(self, vpc_id: str) -> Vpc | None:
        self._maybe("vpc")
        return self.vpcs.get(vpc_id)

    def subnets(self, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        self._maybe("subnets")
        return {name: subnet for name, subnet in self.subnet.items() if name in subnet_ids}

    def certificate_status(self, arn: str) -> str | None:
        self._maybe("certificate_status")
        return self.certificates.get(arn)

    def holds_objects(self, bucket: str, prefix: str) -> bool | None:
        self._maybe("holds_objects")
        return self.buckets.get(bucket)

    def sends_events(self, bucket: str) -> bool | None:
        self._maybe("sends_events")
        return bucket not in self.silent if bucket in self.buckets else None

    def secret_is_readable(self, arn: str) -> bool | None:
        self._maybe("secret_is_readable")
        return self.secrets.get(arn)

    def stack_status(self, name: str) -> str | None:
        self._maybe("stack_status")
        return self.stacks.get(name)


def vcpus(instance_type: str) -> int:
    return instances.get(instance_type).vcpu


@pytest.fixture
def diagnose(tmp_path: Path) -> Callable[..., Report]:
    """Examine a deployment: the smallest one, with ``sections`` instead of its own, against a ``FakeAws``."""

    def run(sections: Mapping[str, Any], **aws: Any) -> Report:
        content = {
            "name": "sandbox",
            "environment": {"account": ACCOUNT, "region": REGION},
            "network": {"cidr": "10.40.0.0/16", "availability_zones": ["use1-az4", "use1-az5"], "egress": "nat"},
        } | dict(sections)
        path = tmp_path / "file.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return examine(spec.load(path).deployment, FakeAws(**aws))

    return run
