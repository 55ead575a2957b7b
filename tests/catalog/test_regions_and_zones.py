"""Regions, zones and what is offered in them."""

from __future__ import annotations

import pytest

from neuron_cdk.catalog import instances, regions


@pytest.mark.parametrize(
    ("name", "partition", "suffix"),
    [
        ("us-east-1", "aws", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
    ],
)
def test_a_region_knows_its_partition_and_dns_suffix(name: str, partition: str, suffix: str) -> None:
    region = regions.get(name)
    assert (region.partition, region.dns_suffix) == (partition, suffix)


def test_zones_are_zone_ids() -> None:
    assert regions.get("us-west-2").zones == ("usw2-az1", "usw2-az2", "usw2-az3", "usw2-az4")


@pytest.mark.parametrize(
    ("given", "nearest"), [("us-east1", "us-east-1"), ("eu-cenral-1", "eu-central-1"), ("atlantis", None)]
)
def test_an_unknown_region_is_refused_with_the_nearest_name(given: str, nearest: str | None) -> None:
    with pytest.raises(regions.UnknownRegion) as refusal:
        regions.get(given)
    assert (refusal.value.name, refusal.value.nearest) == (given, nearest)
    assert repr(given) in str(refusal.value)
    assert (f"did you mean {nearest}?" in str(refusal.value)) == (nearest is not None)


def test_every_region_is_listed_once() -> None:
    names = [region.name for region in regions.all_regions()]
    assert len(names) == len(set(names))
    assert {"us-east-1", "ap-southeast-4", "cn-northwest-1", "us-gov-east-1"} <= set(names)


def test_zones_are_those_where_ec2_offers_the_type(ec2_zones: dict[str, dict[str, set[str]]]) -> None:
    ours = {
        (region, instance.name): set(regions.zones_offering(region, instance.name))
        for region in ec2_zones
        for instance in instances.all_types()
    }
    theirs = {
        (region, instance.name): types.get(instance.name, set())
        for region, types in ec2_zones.items()
        for instance in instances.all_types()
    }
    assert ours == theirs


def test_zones_of_a_type_are_sorted_and_belong_to_the_region() -> None:
    zones = regions.zones_offering("us-east-1", "trn1.32xlarge")
    assert zones == ("use1-az4", "use1-az5", "use1-az6")
    assert set(zones) < set(regions.get("us-east-1").zones)


@pytest.mark.parametrize(
    ("region", "instance_type", "offered"),
    [
        ("us-east-2", "trn2.48xlarge", True),
        ("eu-north-1", "trn1.32xlarge", False),
        ("us-gov-west-1", "inf1.xlarge", True),
        ("us-gov-west-1", "inf2.xlarge", False),
        ("us-iso-east-1", "inf2.xlarge", None),
    ],
)
def test_an_offer_is_known_refused_or_unknown(region: str, instance_type: str, offered: bool | None) -> None:
    assert regions.offers(region, instance_type) is offered


def test_a_region_without_zone_data_lists_no_zones() -> None:
    assert regions.zones_offering("us-gov-west-1", "inf1.xlarge") == ()


@pytest.mark.parametrize(
    ("region", "name", "service", "offered"),
    [
        ("us-east-1", "ml.inf2.xlarge", "endpoint", True),
        ("ca-central-1", "ml.inf2.xlarge", "endpoint", False),
        ("us-east-1", "ml.inf2.xlarge", "processing", False),  # the API takes it on endpoints only
        ("us-east-1", "ml.m5.4xlarge", "processing", True),
        ("us-iso-east-1", "ml.m5.4xlarge", "processing", True),  # no source covers the region
        ("us-east-2", "ml.trn2.48xlarge", "endpoint", True),  # no source lists its regions
        ("us-east-1", "ml.trn1.32xlarge", "training", True),
        ("us-east-1", "ml.trn2.3xlarge", "endpoint", False),
        ("us-east-1", "ml.nothing.xlarge", "endpoint", False),
    ],
)
def test_sagemaker_offers_follow_the_data_and_give_the_benefit_of_the_doubt(
    region: str, name: str, service: regions.SageMakerService, offered: bool
) -> None:
    assert regions.sagemaker_offers(region, name, service) is offered


@pytest.mark.parametrize(("region", "possible"), [("eu-west-3", False), ("us-east-1", True), ("mars-1", True)])
def test_where_endpoints_were_refused_to_be_empty_is_known(region: str, possible: bool) -> None:
    assert regions.endpoints_scale_to_zero(region) is possible
