"""Variants in the embedded AWS: weights and sizes change in service, and no request is lost while they do."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws, LocalError

Clients = Callable[[str], Any]


def _variants(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {variant["VariantName"]: variant for variant in described["ProductionVariants"]}


@pytest.fixture
def change(client: Clients, settled: Any) -> Callable[..., dict[str, Any]]:
    """Change the weight or size of variants and wait; the endpoint then."""

    def call(name: str, **wanted: dict[str, Any]) -> dict[str, Any]:
        client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": variant} | each for variant, each in wanted.items()],
        )
        described: dict[str, Any] = settled(name)
        return described

    return call


def test_requests_go_by_weight_and_to_the_variant_that_is_wanted(
    config_of: Any, endpoint_of: Any, ask: Any, change: Any
) -> None:
    name = endpoint_of(
        config_of(
            variants=[
                {"VariantName": "Main", "InitialVariantWeight": 1},
                {"VariantName": "Candidate", "InitialVariantWeight": 0},
            ]
        )
    )
    assert {ask(name)["InvokedProductionVariant"] for _ in range(8)} == {"Main"}
    assert ask(name, TargetVariant="Candidate")["InvokedProductionVariant"] == "Candidate"

    described = change(name, Main={"DesiredWeight": 1}, Candidate={"DesiredWeight": 1})

    assert [variant["CurrentWeight"] for variant in described["ProductionVariants"]] == [1, 1]
    asked = Counter(ask(name)["InvokedProductionVariant"] for _ in range(60))
    assert 10 < asked["Candidate"] < 50


def test_scaling_out_and_in_loses_no_request(
    embedded_aws: EmbeddedAws, config_of: Any, endpoint_of: Any, change: Any, under_load: Any
) -> None:
    name = endpoint_of(config_of())
    with under_load(name, clients=4, pause=0) as load:
        grown = change(name, Main={"DesiredInstanceCount": 3})
        pids = embedded_aws.status().endpoints[name]["pids"]
        shrunk = change(name, Main={"DesiredInstanceCount": 1})

    assert _variants(grown)["Main"]["CurrentInstanceCount"] == 3
    assert len(set(pids)) == 3
    assert _variants(shrunk)["Main"]["CurrentInstanceCount"] == 1
    assert load.done > 0
    assert load.lost == []


def test_an_endpoint_that_changes_takes_no_other_change(
    client: Clients, config_of: Any, endpoint_of: Any, settled: Any, code_of: Any
) -> None:
    name = endpoint_of(config_of())
    wanted = [{"VariantName": "Main", "DesiredInstanceCount": 2}]
    operation = client("sagemaker").update_endpoint_weights_and_capacities
    operation(EndpointName=name, DesiredWeightsAndCapacities=wanted)
    assert client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"

    refused = code_of(operation, EndpointName=name, DesiredWeightsAndCapacities=wanted)

    assert refused.code == "ValidationException"
    assert refused.message.startswith("Cannot update in-progress endpoint")
    settled(name)


def test_a_size_that_cannot_be_is_refused(client: Clients, config_of: Any, endpoint_of: Any, code_of: Any) -> None:
    name = endpoint_of(config_of())
    operation = client("sagemaker").update_endpoint_weights_and_capacities

    for wanted, why in (
        ({"VariantName": "Main", "DesiredInstanceCount": 0}, "must be at least 1"),
        ({"VariantName": "Other", "DesiredWeight": 1}, "Could not find variant"),
    ):
        assert why in code_of(operation, EndpointName=name, DesiredWeightsAndCapacities=[wanted]).message


def test_every_status_is_told_with_the_configuration_in_service(
    config_of: Any, endpoint_of: Any, told: Any, change: Any, eventually: Any
) -> None:
    received = told({"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]})
    config = config_of()
    name = endpoint_of(config)
    change(name, Main={"DesiredWeight": 2})
    seen: list[dict[str, Any]] = []

    def all_told() -> bool:
        seen.extend(event for event in received() if event["detail"]["EndpointName"] == name)
        return len(seen) >= 4

    eventually(all_told)
    assert [event["detail"]["EndpointStatus"] for event in seen] == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE"]
    assert seen[-1]["detail"]["EndpointConfigName"] == config
    assert seen[-1]["detail"]["ProductionVariants"] == [
        {"VariantName": "Main", "DesiredWeight": 2, "DesiredInstanceCount": 1}
    ]
    assert seen[-1]["resources"] == [f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"]


def test_the_image_that_runs_is_shown_by_its_digest(client: Clients, config_of: Any, endpoint_of: Any) -> None:
    name = endpoint_of(config_of())

    described = client("sagemaker").describe_endpoint(EndpointName=name)

    (image,) = _variants(described)["Main"]["DeployedImages"]
    assert image["SpecifiedImage"].endswith("/neuron-cdk-cpu:onnxruntime-1.32.0")
    repository, _, digest = image["ResolvedImage"].partition("@sha256:")
    assert repository.endswith("/neuron-cdk-cpu")
    assert len(digest) == 64


def test_what_goes_wrong_can_be_asked_for_and_only_that(
    embedded_aws: EmbeddedAws, config_of: Any, endpoint_of: Any, ask: Any, wrong: Any, code_of: Any
) -> None:
    config = config_of()
    name = endpoint_of(config)
    assert ask(name)

    shown = wrong(fail={config: {"error_rate": 1.0}})

    assert shown["fail"] == {config: {"error_rate": 1.0, "latency_ms": 0.0}}
    failed = code_of(ask, name=name)
    assert (failed.code, failed.response["OriginalStatusCode"]) == ("ModelError", 500)
    wrong(fail={})
    assert ask(name)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"broken": []}, "endpoints have no broken: give short, fail, fail_next, silent_rollback"),
        ({"short": {"inf2.xlarge": 0}}, "give one such as ml.inf2.xlarge"),
        ({"short": {"ml.inf2.xlarge": -1}}, "give how many instances there can be"),
        ({"fail": {"x": {"rate": 1}}}, "has no rate: give error_rate, latency_ms"),
        ({"fail": {"x": {"error_rate": 2}}}, "give a number from 0 to 1"),
        ({"silent_rollback": "x"}, 'give ["<endpoint>"]'),
    ],
)
def test_says_what_is_wrong_with_what_is_to_go_wrong(embedded_aws: EmbeddedAws, wanted: Any, why: str) -> None:
    with pytest.raises(LocalError, match=re.escape(why)):
        embedded_aws.control("endpoints", wanted)


def test_a_request_under_way_is_answered_by_an_instance_that_leaves(
    config_of: Any, endpoint_of: Any, ask: Any, change: Any, wrong: Any
) -> None:
    config = config_of(InitialInstanceCount=2)
    name = endpoint_of(config)
    wrong(fail={config: {"latency_ms": 800}})
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(name))) for _ in range(6)]
    for thread in threads:
        thread.start()

    change(name, Main={"DesiredInstanceCount": 1})

    for thread in threads:
        thread.join()
    assert len(answers) == 6


def test_an_instance_tells_how_many_requests_it_has_at_a_time(
    client: Clients,
    embedded_aws: EmbeddedAws,
    config_of: Any,
    endpoint_of: Any,
    under_load: Any,
    wrong: Any,
    later: Any,
    eventually: Any,
) -> None:
    config = config_of()
    name = endpoint_of(config)
    wrong(fail={config: {"latency_ms": 200}})

    def told(metric: str, statistic: str) -> float:
        found = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "Main"}],
            StartTime=embedded_aws.set_clock() - 3600,  # not this machine's time: tests let days pass
            EndTime=embedded_aws.set_clock() + 60,
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return max((float(each[statistic]) for each in found), default=0.0)

    with under_load(name, clients=4, pause=0) as load:
        eventually(lambda: load.done > 4)
        later(11)  # what was idle before is told
        eventually(lambda: load.done > 20)
        later(11)

    assert 2.5 < told("ConcurrentRequestsPerModel", "Maximum") <= 4.5
    assert told("ModelLatency", "Minimum") > 200_000, "microseconds"
    assert told("InvocationsPerInstance", "Sum") == told("Invocations", "Sum") > 8
