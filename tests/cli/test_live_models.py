"""Models as the registry has them, by moto's DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from neuron_cdk.cli.live_models import LiveModel, read, read_artifact, user

USER = "arn:aws:cloudformation:us-east-1:111122223333:stack/prod-Models/guid|Minilm|"


def key(letter: str) -> str:
    return letter * 64


class Aws:
    """A registry, and the client that ``BotoAws`` gives."""

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        self.dynamodb.create_table(
            TableName="registry",
            KeySchema=[{"AttributeName": "artifact_key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "artifact_key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def client(self, _service: str) -> Any:
        return self.dynamodb

    def put(self, artifact_key: str, **fields: Any) -> None:
        def typed(value: Any) -> dict[str, Any]:
            if isinstance(value, set):
                return {"SS": sorted(value)}
            return {"S": value} if isinstance(value, str) else {"N": str(value)}

        item = {name: typed(value) for name, value in {"artifact_key": artifact_key, **fields}.items()}
        self.dynamodb.put_item(TableName="registry", Item=item)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Aws()


def one(aws: Any, *names: str) -> LiveModel:
    (found,) = read(aws, "registry", names)
    return found


def test_a_model_is_its_declaration_and_its_artifacts(aws: Any) -> None:
    aws.put("model#minilm", document=json.dumps({"Name": "minilm"}), users={USER + key("a")})
    aws.put(
        key("a"),
        state="ready",
        model="minilm",
        registered_at=1_764_210_000,
        hits=3,
        usd=0.0123,
        verification=json.dumps({"ran": ["loads", "golden"], "max_error": 0.00012}),
    )

    found = one(aws)
    assert found.document == {"Name": "minilm"}
    assert found.users == (USER + key("a"),)
    current = found.current
    assert current is not None
    assert (current.key, current.compiled, current.cost, current.hits) == (key("a"), "2025-11-27 02:20", "$0.0123", 3)
    assert current.verified == "loads, golden, error 0.00012"
    assert found.notes == ()


def test_an_artifact_without_a_price_or_a_check_says_so(aws: Any) -> None:
    aws.put(key("a"), state="ready", model="minilm")

    found = one(aws, "minilm").current
    assert found is not None
    assert (found.cost, found.verified, found.compiled) == ("-", "-", "-")


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"usd": 0.5, "job_seconds": 90}, "$0.5000"),
        ({"job_seconds": 90.4}, "its jobs ran 90 s; no price is known"),
        ({}, ""),
    ],
    ids=["a price", "no price", "an older pipeline"],
)
def test_where_no_price_is_known_the_billed_seconds_are_told(aws: Any, known: dict[str, Any], told: str) -> None:
    aws.put(key("a"), state="ready", model="minilm", **known)

    found = one(aws, "minilm").current
    assert found is not None
    assert found.cost_or_time == told


def test_what_is_joined_ran_as_long_as_its_parts(aws: Any) -> None:
    aws.put(key("a"), state="ready", model="minilm", parts={key("b"), key("c")})
    aws.put(key("b"), state="ready", model="minilm", job_seconds=60)
    aws.put(key("c"), state="ready", model="minilm", job_seconds=40, usd=0.1)

    found = one(aws, "minilm").current
    assert found is not None
    assert found.cost_or_time == "its jobs ran 100 s; no price is known"


def test_a_model_of_the_file_that_was_never_deployed_is_not_declared(aws: Any) -> None:
    found = one(aws, "minilm")

    assert found.document is None
    assert found.current is None
    assert found.notes == ("not declared: cdk deploy does that",)


def test_the_current_artifact_is_the_one_that_stacks_have_whatever_came_later(aws: Any) -> None:
    aws.put("model#minilm", document='{"Name": "minilm"}', users={USER + key("a")})
    aws.put(key("a"), state="ready", model="minilm", registered_at=100)
    aws.put(key("b"), state="ready", model="minilm", registered_at=200)
    aws.put(key("c"), state="failed", model="minilm", reason="no")
    aws.put(key("d"), state="compiling", model="minilm", lease_expires=300)

    found = one(aws)
    assert found.current is not None
    assert found.current.key == key("a")
    assert found.notes == ("bbbbbbbbbbbb is newer", "1 more compiling", "1 more failed")


def test_without_users_the_newest_that_is_ready_is_current(aws: Any) -> None:
    aws.put(key("a"), state="ready", model="minilm", registered_at=100)
    aws.put(key("b"), state="ready", model="minilm", registered_at=200)
    aws.put(key("c"), state="compiling", model="minilm", lease_expires=300)

    found = one(aws, "minilm").current
    assert found is not None
    assert found.key == key("b")


def test_why_it_failed_is_noted(aws: Any) -> None:
    aws.put("model#minilm", document='{"Name": "minilm"}')
    aws.put(key("a"), state="failed", model="minilm", reason="neuronx-cc: operator\n" + "x" * 300)

    assert one(aws).notes == ("neuronx-cc: operator",)


def test_copies_of_sources_and_parts_of_others_are_no_artifacts_of_the_model(aws: Any) -> None:
    aws.put(key("a"), state="ready", model="minilm", parts={key("b")}, registered_at=1)
    aws.put(key("b"), state="ready", model="minilm", registered_at=2)
    aws.put(key("c"), state="ready", model="minilm", engine="mirror", registered_at=3)
    aws.put("release#endpoint/embed", document="{}")

    assert [artifact.key for artifact in one(aws, "minilm").artifacts] == [key("a")]


SPLIT = {"Name": "minilm", "Splits": "true", "BatchSizes": ["1", "4"], "SequenceLengths": ["128"]}


def test_single_shapes_that_are_not_joined_yet_are_no_artifacts_of_the_model(aws: Any) -> None:
    aws.put("model#minilm", document=json.dumps(SPLIT), users={USER + key("a")})
    aws.put(key("a"), state="ready", model="minilm", registered_at=1, parts={key("9")})
    aws.put(key("b"), state="ready", model="minilm", registered_at=2)
    aws.put(key("c"), state="compiling", model="minilm", lease_expires=3)
    found = one(aws)

    assert [each.key for each in found.artifacts] == [key("a")]
    assert {each.key for each in found.pieces} == {key("b"), key("c")}
    assert found.notes == ("compiling 1 shape of it",)


def test_a_shape_that_failed_is_told_with_its_reason(aws: Any) -> None:
    aws.put("model#minilm", document=json.dumps(SPLIT))
    aws.put(key("c"), state="failed", model="minilm", reason="ncc: no such operator\nmore")

    assert one(aws).notes == ("1 of its shapes failed: ncc: no such operator",)


@pytest.mark.parametrize(
    "document",
    [{**SPLIT, "Splits": "false"}, {**SPLIT, "BatchSizes": ["4"]}],
    ids=["one program of all shapes", "one shape"],
)
def test_what_is_compiled_whole_has_no_pieces(document: dict[str, Any], aws: Any) -> None:
    aws.put("model#minilm", document=json.dumps(document))
    aws.put(key("b"), state="ready", model="minilm")

    assert [each.key for each in one(aws).artifacts] == [key("b")]


def test_one_shape_that_a_stack_has_is_an_artifact(aws: Any) -> None:
    aws.put("model#minilm", document=json.dumps(SPLIT))
    aws.put(key("b"), state="ready", model="minilm", used_by={USER.rpartition("|")[0]})

    assert [each.key for each in one(aws).artifacts] == [key("b")]


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("prod-Endpoint-embed", "endpoint embed (stack prod-Endpoint-embed)"),
        ("my-prod-Fleet-serve-2", "fleet serve-2 (stack my-prod-Fleet-serve-2)"),
        ("prod-Models", "Minilm of stack prod-Models"),
    ],
)
def test_who_has_an_artifact_is_named_as_in_the_file(stack: str, said: str) -> None:
    assert user(f"arn:aws:cloudformation:us-east-1:111122223333:stack/{stack}/guid|Minilm") == said


def test_a_declared_model_without_an_artifact_says_where_the_reason_is(aws: Any) -> None:
    aws.put("model#minilm", document=json.dumps(SPLIT))

    assert one(aws).notes == ("no artifact: neuron-cdk models show minilm says why",)


def test_what_is_joined_from_parts_cost_what_they_did(aws: Any) -> None:
    aws.put(key("a"), state="ready", model="minilm", parts={key("b"), key("c")}, registered_at=1)
    aws.put(key("b"), state="ready", model="minilm", usd=0.25)
    aws.put(key("c"), state="ready", model="minilm", usd=0.5)
    assert [each.usd for each in one(aws, "minilm").artifacts] == [0.75]


def test_a_part_without_a_price_leaves_the_whole_without_one(aws: Any) -> None:
    aws.put(key("a"), state="ready", model="minilm", parts={key("b"), key("c")}, registered_at=1)
    aws.put(key("b"), state="ready", model="minilm", usd=0.25)
    aws.put(key("c"), state="ready", model="minilm")
    assert [each.usd for each in one(aws, "minilm").artifacts] == [None]


def test_a_registry_of_many_pages_is_read_to_its_end(aws: Any) -> None:
    for number in range(30):
        aws.put(f"{number:064d}", state="ready", model="minilm", reason="x" * 60_000, registered_at=number)

    assert len(one(aws, "minilm").artifacts) == 30


def test_one_artifact_by_its_key(aws: Any) -> None:
    aws.put(key("a"), state="compiling", attempt="a1")

    found = read_artifact(aws, "registry", key("a"))
    assert found is not None
    assert (found.state, found.attempt) == ("compiling", "a1")
    assert read_artifact(aws, "registry", key("b")) is None
