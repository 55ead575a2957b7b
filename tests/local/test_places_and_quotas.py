"""Zones, offerings and quotas of the embedded AWS: the catalogue's, and what a test says is granted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.catalog import regions
from neuron_cdk.local import EmbeddedAws, LocalError

Clients = Callable[[str], Any]


def test_zones_are_the_catalogues(client: Clients) -> None:
    zones = client("ec2").describe_availability_zones()["AvailabilityZones"]

    assert tuple(zone["ZoneId"] for zone in zones) == regions.get("us-east-1").zones
    assert {zone["ZoneName"]: zone["ZoneId"] for zone in zones}["us-east-1e"] == "use1-az5"
    assert {zone["OptInStatus"] for zone in zones} == {"opt-in-not-required"}


def test_a_zone_is_found_by_id_and_an_unknown_one_is_an_error(client: Clients, code_of: Any) -> None:
    ec2 = client("ec2")

    (found,) = ec2.describe_availability_zones(ZoneIds=["use1-az6"])["AvailabilityZones"]

    assert found["ZoneName"] == "us-east-1f"
    assert code_of(ec2.describe_availability_zones, ZoneIds=["use1-az9"]).code == "InvalidParameterValue"


def test_a_subnet_goes_to_the_zone_of_its_id(client: Clients) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]

    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZoneId="use1-az5")["Subnet"]

    assert (subnet["AvailabilityZone"], subnet["AvailabilityZoneId"]) == ("us-east-1e", "use1-az5")


def test_offerings_are_the_catalogues_by_zone_and_by_region(client: Clients) -> None:
    ec2 = client("ec2")
    only = [{"Name": "instance-type", "Values": ["trn1.32xlarge", "trn2.*"]}]

    by_zone = ec2.describe_instance_type_offerings(LocationType="availability-zone-id", Filters=only)
    by_region = ec2.describe_instance_type_offerings(LocationType="region", Filters=only)

    offered = {(item["InstanceType"], item["Location"]) for item in by_zone["InstanceTypeOfferings"]}
    for name in ("trn1.32xlarge", "trn2.48xlarge"):
        assert {zone for kind, zone in offered if kind == name} == set(regions.zones_offering("us-east-1", name))
    assert ("trn1.32xlarge", "us-east-1") in {
        (item["InstanceType"], item["Location"]) for item in by_region["InstanceTypeOfferings"]
    }


@pytest.fixture
def granted(embedded_aws: EmbeddedAws) -> Any:
    def grant(quotas: dict[str, Any]) -> None:
        embedded_aws.control("quotas", quotas)

    yield grant
    grant({})


def test_quotas_are_generous_until_a_test_says_otherwise(client: Clients, granted: Any, code_of: Any) -> None:
    quotas = client("service-quotas")

    def value(service: str, code: str) -> tuple[str, float]:
        quota = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
        return quota["QuotaName"], quota["Value"]

    assert value("ec2", "L-2C3B7624") == ("Running On-Demand Trn instances", 10_000.0)
    granted({"L-2C3B7624": 256})
    assert value("ec2", "L-2C3B7624")[1] == 256.0
    assert value("sagemaker", "L-C8AB7CDA") == ("ml.inf2.xlarge for endpoint usage", 10_000.0)
    default = quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode="L-2C3B7624")["Quota"]
    assert default["Value"] == 0.0
    listed = quotas.list_service_quotas(ServiceCode="ec2")["Quotas"]
    assert {"L-2C3B7624", "L-6B0D517C"} <= {quota["QuotaCode"] for quota in listed}
    assert code_of(quotas.get_service_quota, ServiceCode="ec2", QuotaCode="L-FFFFFFFF").code == (
        "NoSuchResourceException"
    )


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"L-2C3B7624": "x"}, "L-2C3B7624 is 'x': give a number from 0 to 1,000,000,000, or null"),
        ({"L-2C3B7624": -2}, "L-2C3B7624 is -2: give a number from 0"),
        ({"L-2C3B7624": float("nan")}, "L-2C3B7624 is nan: give a number from 0"),
        ({"L-2C3B7624": True}, "L-2C3B7624 is True: give a number from 0"),
        ({"L-FFFFFFFF": 2}, "L-FFFFFFFF is no quota known here: give codes that ListServiceQuotas lists"),
    ],
)
def test_what_is_no_quota_is_refused_and_changes_nothing(
    client: Clients, granted: Any, wanted: dict[str, Any], why: str
) -> None:
    granted({"L-6B0D517C": 4})
    with pytest.raises(LocalError, match=why):
        granted({"L-6B0D517C": 8} | wanted)
    quota = client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-6B0D517C")["Quota"]
    assert quota["Value"] == 4.0


def test_null_takes_a_quota_away(client: Clients, granted: Any) -> None:
    granted({"L-6B0D517C": 4})
    granted({"L-6B0D517C": None})
    quota = client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-6B0D517C")["Quota"]
    assert quota["Value"] == 10_000.0
