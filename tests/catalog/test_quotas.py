"""Quotas that instances count against, by code and by the console's name."""

from __future__ import annotations

import pytest

from neuron_cdk.catalog import instances, quotas
from neuron_cdk.catalog.quotas import Quota, Use

INF = Quota("ec2", "L-1945791B", "Running On-Demand Inf instances", "vCPU")
INF_SPOT = Quota("ec2", "L-B5D1601B", "All Inf Spot Instance Requests", "vCPU")
TRN = Quota("ec2", "L-2C3B7624", "Running On-Demand Trn instances", "vCPU")
TRN_SPOT = Quota("ec2", "L-6B0D517C", "All Trn Spot Instance Requests", "vCPU")


@pytest.mark.parametrize(
    ("name", "use", "expected"),
    [
        ("inf1.xlarge", "on-demand", INF),
        ("inf2.48xlarge", "on-demand", INF),
        ("inf2.48xlarge", "reservation", INF),
        ("inf2.48xlarge", "spot", INF_SPOT),
        ("trn1.32xlarge", "on-demand", TRN),
        ("trn1n.32xlarge", "spot", TRN_SPOT),
        ("trn2.48xlarge", "reservation", TRN),
        ("trn2.48xlarge", "capacity-block", None),
        ("p6-b200.48xlarge", "spot", None),
        ("inf2.xlarge", "endpoint", Quota("sagemaker", "L-C8AB7CDA", "ml.inf2.xlarge for endpoint usage", "instance")),
        ("trn2.3xlarge", "endpoint", None),
    ],
)
def test_an_instance_counts_against_the_quota_of_its_family(name: str, use: Use, expected: Quota | None) -> None:
    assert quotas.quota(instances.get(name), use) == expected


def test_every_quota_code_of_the_catalogue_has_a_name() -> None:
    for instance in instances.all_types():
        for use in ("on-demand", "spot", "endpoint"):
            found = quotas.quota(instance, use)
            assert (found.code if found else None) == instance.quota_codes.get(use)
            assert found is None or found.name


def test_every_neuron_type_has_a_quota_for_each_way_it_is_bought_by_the_hour() -> None:
    for instance in instances.all_types():
        if instance.neuron_cores:
            uses: set[Use] = {use for use in ("on-demand", "spot") if use in instance.purchase}
            assert all(quotas.quota(instance, use) for use in uses), instance.name
