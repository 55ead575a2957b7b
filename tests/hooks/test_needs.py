"""What must be an artifact first: parts of one shape each, the mirror of a repository."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


class Pipeline:
    """``begin_compile`` against S3 and DynamoDB, and what the compile machine does to the registry."""

    def __init__(self, load: Load, aws: Any, model: dict[str, Any]) -> None:
        self._load, self.aws = load, aws
        self.model = {**model, "Splits": "true"}
        aws.put("models", "minilm/model.pt", b"weights")

    def begin(self, model: dict[str, Any] | None = None, execution: str = "whole", **more: Any) -> dict[str, Any]:
        event = {"model": model or self.model, "execution": execution, "asked_at": int(time.time()), **more}
        answer: dict[str, Any] = self._load("compile.begin_compile").handler(event, None)
        return answer

    def publish(self, leased: dict[str, Any], **fields: Any) -> None:
        registry = self._load("registry")
        known = {"artifact_uri": f"s3://artifacts/artifacts/{leased['key']}/{leased['attempt']}/"}
        self.aws.dynamodb.update_item(
            **registry.publish(
                "registry",
                leased["key"],
                {**known, "compile_seconds": 1.5, **fields},
                attempt=leased["attempt"],
                now=int(time.time()),
            )
        )

    def fail(self, leased: dict[str, Any], *, final: bool = True) -> None:
        registry = self._load("registry")
        fields = {"reason": "operator Foo", "log_url": "https://log", "final": final}
        self.aws.dynamodb.update_item(
            **registry.fail("registry", leased["key"], fields, attempt=leased["attempt"], now=int(time.time()) - 10)
        )

    def obtain(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Have every need made; what the machine hears of each."""
        heard = []
        for need in answer["needs"]:
            leased = self.begin(need, execution=f"for {need['Need']}")
            self.publish(leased)
            heard.append({"status": "ready", "key": leased["key"], "need": need["Need"]})
        return heard


@pytest.fixture
def pipeline(load: Load, aws: Any, model: dict[str, Any]) -> Pipeline:
    return Pipeline(load, aws, model)


class TestParts:
    def test_a_model_of_several_shapes_needs_each_of_them(self, pipeline: Pipeline) -> None:
        answer = pipeline.begin()
        assert answer["status"] == "needs"
        assert [need["Need"] for need in answer["needs"]] == ["batch 1, sequence 128", "batch 4, sequence 128"]
        assert [(need["BatchSizes"], need["SequenceLengths"]) for need in answer["needs"]] == [
            ([1], [128]),
            ([4], [128]),
        ]
        assert pipeline.aws.item(answer["key"]) == {}

    @pytest.mark.parametrize("changed", [{"Splits": ""}, {"BatchSizes": ["4"]}], ids=["engine makes one whole", "one"])
    def test_what_is_not_split_is_compiled_as_a_whole(self, pipeline: Pipeline, changed: dict[str, Any]) -> None:
        answer = pipeline.begin({**pipeline.model, **changed})
        assert answer["status"] == "leased"
        assert "job" in answer["compile"]

    def test_a_part_is_the_artifact_of_the_model_in_that_shape(self, pipeline: Pipeline) -> None:
        pipeline.obtain(pipeline.begin())
        alone = pipeline.begin({**pipeline.model, "BatchSizes": ["4"]}, execution="other")
        assert alone["status"] == "ready"

    def test_when_all_are_there_they_are_joined(self, pipeline: Pipeline) -> None:
        obtained = pipeline.obtain(pipeline.begin())
        answer = pipeline.begin(obtained=obtained)
        assert answer["status"] == "leased"
        assert "job" not in answer["compile"]
        assert [(part["key"], part["batch_size"], part["sequence_length"]) for part in answer["compile"]["join"]] == [
            (obtained[0]["key"], 1, 128),
            (obtained[1]["key"], 4, 128),
        ]

    def test_the_same_event_twice_is_joined_once(self, pipeline: Pipeline) -> None:
        obtained = pipeline.obtain(pipeline.begin())
        assert pipeline.begin(obtained=obtained) == pipeline.begin(obtained=obtained)

    def test_another_shape_needs_that_shape_alone(self, pipeline: Pipeline) -> None:
        pipeline.obtain(pipeline.begin())
        answer = pipeline.begin({**pipeline.model, "BatchSizes": ["1", "4", "8"]})
        assert [need["Need"] for need in answer["needs"]] == ["batch 8, sequence 128"]

    def test_a_whole_that_is_there_needs_nothing(self, pipeline: Pipeline) -> None:
        pipeline.publish(pipeline.begin(obtained=pipeline.obtain(pipeline.begin())))
        assert pipeline.begin(execution="later")["status"] == "ready"

    def test_a_part_that_failed_before_is_told_with_its_shape(self, pipeline: Pipeline) -> None:
        need = pipeline.begin()["needs"][1]
        pipeline.fail(pipeline.begin(need, execution="part"))
        answer = pipeline.begin()
        assert (answer["status"], answer["log_url"]) == ("failed", "https://log")
        assert answer["reason"].startswith("batch 4, sequence 128: operator Foo")

    def test_a_part_that_may_do_next_time_is_needed_again(self, pipeline: Pipeline) -> None:
        need = pipeline.begin()["needs"][1]
        pipeline.fail(pipeline.begin(need, execution="part"), final=False)
        assert len(pipeline.begin()["needs"]) == 2

    def test_force_tries_a_part_again(self, pipeline: Pipeline) -> None:
        need = pipeline.begin()["needs"][1]
        pipeline.fail(pipeline.begin(need, execution="part"))
        assert len(pipeline.begin(force=True)["needs"]) == 2

    def test_a_need_that_was_not_met_ends_the_request(self, pipeline: Pipeline) -> None:
        heard = [
            {"status": "ready", "need": "batch 1, sequence 128"},
            {"status": "failed", "need": "batch 4, sequence 128", "reason": "no capacity", "log_url": ""},
        ]
        answer = pipeline.begin(obtained=heard)
        assert (answer["status"], answer["reason"]) == ("failed", "batch 4, sequence 128: no capacity")

    @pytest.mark.parametrize("status", ["running", "error"])
    def test_a_need_that_goes_on_or_broke_is_handed_on(self, pipeline: Pipeline, status: str) -> None:
        heard = [{"status": status, "need": "batch 4", "execution": "e", "state": "s", "error": {"Error": "E"}}]
        answer = pipeline.begin(obtained=heard)
        assert (answer["status"], answer["execution"], answer["error"]) == (status, "e", {"Error": "E"})

    def test_asking_for_what_was_obtained_and_is_gone_ends(self, pipeline: Pipeline, load: Load) -> None:
        obtained = pipeline.obtain(pipeline.begin())
        pipeline.aws.dynamodb.delete_item(TableName="registry", Key={"artifact_key": {"S": obtained[0]["key"]}})
        with pytest.raises(load("compile.needs").NeedError, match="batch 1, sequence 128 was obtained"):
            pipeline.begin(obtained=obtained)

    def test_what_is_to_be_joined_counts_as_used(self, pipeline: Pipeline) -> None:
        obtained = pipeline.obtain(pipeline.begin())
        for part in obtained:
            pipeline.aws.dynamodb.update_item(
                TableName="registry",
                Key={"artifact_key": {"S": part["key"]}},
                UpdateExpression="SET last_used = :long_ago",
                ExpressionAttributeValues={":long_ago": {"N": "1"}},
            )
        pipeline.begin(obtained=obtained)
        assert all(int(pipeline.aws.item(part["key"])["last_used"]) > 1 for part in obtained)

    def test_one_request_is_one_miss(self, pipeline: Pipeline, decisions: Any) -> None:
        answer = pipeline.begin()
        obtained = pipeline.obtain(answer)
        decisions()
        pipeline.begin(obtained=obtained)
        assert [line["decision"] for line in decisions() if line["execution"] == "whole"] == ["started"]


class TestMirror:
    @pytest.fixture
    def hub(self, pipeline: Pipeline) -> dict[str, Any]:
        """A model whose source is a repository."""
        source = {"Kind": "huggingface", "Repository": "org/name", "Revision": "1" * 40, "Include": ["*.bin"]}
        mirror = {
            "Hosts": [{"Type": "ml.m5.large", "UsdPerHour": ""}],
            "TimeoutMinutes": "60",
            "VolumeSizeGb": "200",
            "RoleArn": "arn:aws:iam::123456789012:role/mirror",
        }
        secret = {"TokenSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:hub"}
        return {**pipeline.model, "Splits": "", "Source": {**source, **secret}, "Mirror": mirror}

    def test_it_is_needed_first_and_is_no_compile(self, pipeline: Pipeline, hub: dict[str, Any]) -> None:
        answer = pipeline.begin(hub)
        (need,) = answer["needs"]
        leased = pipeline.begin(need, execution="mirror")
        job = leased["compile"]["job"]
        assert need["Need"] == "the mirror of org/name"
        assert (leased["status"], leased["compile"]["engine"]) == ("leased", "mirror")
        assert (job["RoleArn"], job["StoppingCondition"]) == (hub["Mirror"]["RoleArn"], {"MaxRuntimeInSeconds": 3600})

    def test_its_job_is_told_the_commit_and_where_the_token_is(self, pipeline: Pipeline, hub: dict[str, Any]) -> None:
        (need,) = pipeline.begin(hub)["needs"]
        leased = pipeline.begin(need, execution="mirror")
        key = f"requests/{leased['key']}/{leased['attempt']}/request.json"
        document = json.loads(pipeline.aws.s3.get_object(Bucket="artifacts", Key=key)["Body"].read())
        assert document["model"]["source"] == {
            "kind": "huggingface",
            "repository": "org/name",
            "revision": "1" * 40,
            "include": ["*.bin"],
            "token_secret_arn": hub["Source"]["TokenSecretArn"],
        }

    def test_the_model_is_compiled_from_it_under_its_digest(self, pipeline: Pipeline, hub: dict[str, Any]) -> None:
        (need,) = pipeline.begin(hub)["needs"]
        mirror = pipeline.begin(need, execution="mirror")
        pipeline.publish(mirror, content_digest="d" * 64)
        leased = pipeline.begin(hub, obtained=[{"status": "ready", "need": need["Need"]}])
        source = leased["compile"]["job"]["ProcessingInputs"][1]["S3Input"]["S3Uri"]
        assert source == f"s3://artifacts/artifacts/{mirror['key']}/{mirror['attempt']}/repository/"
        assert leased["key"] != pipeline.begin(execution="other", model={**hub, "Sdk": "1"})["key"]

    @pytest.mark.parametrize(
        ("changed", "same"),
        [
            ({"Revision": "2" * 40}, False),
            ({"Include": []}, False),
            ({"Repository": "org/other"}, False),
            ({"TokenSecretArn": ""}, True),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_its_key_is_what_is_fetched_not_who_may(
        self, load: Load, pipeline: Pipeline, hub: dict[str, Any], changed: dict[str, Any], same: bool
    ) -> None:
        def key(source: dict[str, Any]) -> str:
            parsed = load("model_request").parse({**hub, "Source": source})
            found: str = load("compile.artifact").mirror_key(parsed.source)
            return found

        assert (key(hub["Source"]) == key({**hub["Source"], **changed})) is same

    def test_models_of_one_repository_share_it(self, pipeline: Pipeline, hub: dict[str, Any]) -> None:
        first = pipeline.begin(pipeline.begin(hub)["needs"][0], execution="mirror")
        second = pipeline.begin(
            pipeline.begin({**hub, "Name": "other", "Task": "fill-mask"})["needs"][0], execution="mirror 2"
        )
        assert (second["status"], second["key"]) == ("waiting", first["key"])

    def test_a_prefix_that_holds_the_commit_already_is_a_source_as_any(
        self, pipeline: Pipeline, hub: dict[str, Any]
    ) -> None:
        source = {**hub["Source"], "MirrorPrefix": "s3://models/minilm/"}
        assert pipeline.begin({**hub, "Source": source})["status"] == "leased"
