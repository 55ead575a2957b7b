"""Prices: there with their day and source, or not at all."""

from __future__ import annotations

import pytest

from neuron_cdk.catalog import prices, software
from neuron_cdk.catalog.prices import Price


def test_an_on_demand_price_has_its_day_and_source() -> None:
    assert prices.on_demand_hourly("us-east-1", "trn1.32xlarge") == Price(21.5, "2026-07-20", "karpenter")


def test_a_dated_spot_reading_wins_over_an_undated_one() -> None:
    assert prices.spot_hourly("us-east-2", "trn1.32xlarge") == Price(2.15, "2026-10-03", "live-trn2")


def test_a_spot_price_is_the_lowest_of_the_zones() -> None:
    assert prices.spot_hourly("sa-east-1", "trn2.3xlarge") == Price(2.569, "2026-10-03", "live-trn2")


def test_an_endpoint_has_a_price_of_its_own() -> None:
    assert prices.sagemaker_hourly("us-east-1", "ml.inf2.xlarge") == Price(0.99, "2026-09-27", "sagemaker-prices")


def test_a_processing_job_has_a_price_of_its_own() -> None:
    assert prices.processing_hourly("us-east-1", "ml.r5.4xlarge") == Price(1.21, "2026-09-27", "sagemaker-prices")


@pytest.mark.parametrize("target", ["cpu", "inf2", "trn1", "trn2"])
@pytest.mark.parametrize("engine", software.ENGINES)
def test_a_compile_in_us_east_1_has_a_price_on_every_host(engine: str, target: str) -> None:
    hosts = software.compile_hosts(target, engine)
    assert [host for host in hosts if prices.processing_hourly("us-east-1", host) is None] == []


def test_a_price_nobody_gives_is_none() -> None:
    assert prices.on_demand_hourly("us-east-2", "trn2.48xlarge") is None
    assert prices.processing_hourly("eu-west-1", "ml.m5.large") is None


def test_what_an_endpoint_costs_is_not_taken_for_a_job() -> None:
    assert prices.processing_hourly("us-east-1", "ml.inf2.xlarge") is None


def test_yuan_are_not_taken_for_dollars() -> None:
    assert prices.on_demand_hourly("cn-north-1", "inf1.xlarge") is None
