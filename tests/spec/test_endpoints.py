"""What an endpoint's entry comes to: variants, rollout, instances during an update."""

from __future__ import annotations

from typing import Any

import pytest

from neuron_cdk.spec import (
    Compile,
    Endpoint,
    Range,
    Shift,
    Surroundings,
    Variant,
    endpoint_problems,
    most_instances,
    require_possible,
    rollout_kind,
    shift,
    shifts,
    variants,
)

ONE = {"min": 1, "max": 1}
COMPONENT = {"model": "m", "copies": {"min": 0, "max": 2}, "accelerators": 1, "memory_mib": 1024}


def endpoint(**fields: Any) -> Endpoint:
    given = {"model": "m", "instance_types": ("ml.inf2.xlarge",), "size": {"min": 2, "max": 4}} | fields
    return Endpoint.model_validate({name: value for name, value in given.items() if value is not None})


def test_an_endpoint_is_one_variant() -> None:
    types = ("ml.inf2.xlarge", "ml.trn1.2xlarge")
    (main,) = variants(endpoint(instance_types=types, pool_models={"ml.trn1.2xlarge": "t"}))

    assert main == Variant("Main", "m", types, Range(min=2, max=4), 1, {"ml.trn1.2xlarge": "t"})
    assert [main.model_of(name) for name in main.types] == ["m", "t"]


def test_further_variants_have_the_endpoints_types_and_size_unless_they_say_otherwise() -> None:
    several = endpoint(
        weight=3,
        pool_models={"ml.inf2.xlarge": "other"},
        variants={
            "b": {"model": "n"},
            "c": {"model": "o", "weight": 0, "instance_types": ("ml.trn1.2xlarge",), "size": ONE},
        },
    )

    assert variants(several)[1:] == (
        Variant("b", "n", ("ml.inf2.xlarge",), Range(min=2, max=4), 1),
        Variant("c", "o", ("ml.trn1.2xlarge",), Range(min=1, max=1), 0),
    )
    assert variants(several)[0].weight == 3


def test_a_shadow_comes_last_with_its_percentage() -> None:
    *_, shadow = variants(endpoint(shadow={"model": "n", "percent": 25}))

    assert shadow == Variant("Shadow", "n", ("ml.inf2.xlarge",), Range(min=2, max=4), 25, shadow=True)


def test_the_variant_of_components_has_no_model() -> None:
    (main,) = variants(endpoint(model=None, components=[COMPONENT]))

    assert main.model is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "rolling"),
        ({"size": ONE}, "all-at-once"),
        ({"rollout": {"kind": "canary"}}, "canary"),
        ({"variants": {"b": {"model": "n"}}}, "all-at-once"),
        ({"shadow": {"model": "n", "percent": 25}}, "all-at-once"),
        ({"instance_types": ("ml.inf1.xlarge",)}, "all-at-once"),
        ({"model": None, "components": [COMPONENT], "size": ONE}, "rolling"),
    ],
)
def test_rolling_is_the_default_where_there_are_two_instances_and_sagemaker_rolls(
    fields: dict[str, Any], expected: str
) -> None:
    assert rollout_kind(endpoint(**fields)) == expected


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        ({}, Shift("rolling", 50, 0, 0, None)),
        ({"max_error_rate": 0.01}, Shift("rolling", 50, 300, 0, None)),
        ({"percent": 20, "bake_minutes": 10, "max_minutes": 90}, Shift("rolling", 20, 600, 0, 5400)),
        ({"wait_minutes": 2}, Shift("rolling", 50, 120, 0, None)),
        ({"kind": "canary"}, Shift("canary", 10, 0, 0, None)),
        ({"kind": "canary", "wait_minutes": 3, "bake_minutes": 7}, Shift("canary", 10, 180, 420, None)),
        ({"kind": "linear", "alarms": ["a"]}, Shift("linear", 25, 300, 300, None)),
        ({"kind": "all-at-once", "max_p99_ms": 900}, Shift("all-at-once", None, 0, 300, None)),
        ({"kind": "all-at-once", "bake_minutes": 0, "max_p99_ms": 900}, Shift("all-at-once", None, 0, 0, None)),
    ],
)
def test_waits_go_where_the_kind_of_rollout_has_them(rollout: dict[str, Any], expected: Shift) -> None:
    assert shift(endpoint(rollout=rollout)) == expected


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        ({"kind": "all-at-once"}, 1),
        ({"kind": "canary", "percent": 5}, 2),
        ({"kind": "linear", "percent": 30}, 4),
        ({"kind": "rolling", "percent": 50}, 2),
    ],
)
def test_traffic_moves_in_as_many_shifts_as_shares_make_a_whole(rollout: dict[str, Any], expected: int) -> None:
    assert shifts(endpoint(rollout=rollout)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"rollout": {"kind": "canary"}}, 8),
        ({"size": ONE}, 2),
        ({}, 6),
        ({"rollout": {"percent": 5}}, 5),
        ({"size": {"min": 2, "max": 3}, "rollout": {"percent": 50}}, 5),
        ({"instance_types": ("ml.inf1.xlarge",)}, 8),
    ],
)
def test_blue_green_takes_twice_the_instances_and_rolling_one_batch_of_whole_ones(
    fields: dict[str, Any], expected: int
) -> None:
    rolled = endpoint(**fields)

    assert most_instances(rolled, variants(rolled)[0]) == expected


def test_nothing_is_said_about_surroundings_that_are_not_known() -> None:
    reserved = endpoint(
        instance_types=("ml.trn1.32xlarge",),
        reservation="arn:aws:sagemaker:eu-west-1:111122223333:training-plan/serving",
        size={"min": 2, "max": 2},
    )

    elsewhere = Surroundings(region="us-east-1", account="111122223333")

    assert list(endpoint_problems(reserved)) == []
    assert [problem.code for problem in endpoint_problems(reserved, elsewhere)] == ["NCDK-ENDPOINT-015"]


def test_a_chip_each_its_own_artifact_is_nothing_to_remark_on() -> None:
    pools = endpoint(
        instance_types=("ml.inf2.xlarge", "ml.trn1.2xlarge", "ml.inf2.8xlarge"),
        pool_models={"ml.trn1.2xlarge": "n"},
        provision_timeout_minutes=60,
        size={"min": 2, "max": 2},
        rollout={"percent": 50, "bake_minutes": 60, "max_minutes": 480, "max_error_rate": 0.5},
    )
    models = {name: Compile(engine="torch-neuronx", target=target) for name, target in (("m", "inf2"), ("n", "trn1"))}

    assert list(endpoint_problems(pools, Surroundings(region="us-east-1", models=models))) == []


def test_warnings_do_not_stop_an_endpoint_in_code() -> None:
    watched_by_nobody = endpoint(size={"min": 2, "max": 2}, rollout={"kind": "canary", "bake_minutes": 5})

    require_possible(watched_by_nobody)

    assert [problem.code for problem in endpoint_problems(watched_by_nobody)] == [
        "NCDK-ROLLOUT-007",
        "NCDK-ROLLOUT-008",
    ]
