"""Hit, lease or wait: begin_compile against S3 and conditional writes in DynamoDB."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
Begin = Callable[..., dict[str, Any]]

REQUEST = {
    "RequestType": "Update",
    "RequestId": "request-2",
    "ResponseURL": "https://cloudformation.example/answer",
    "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/embed/1",
    "LogicalResourceId": "Model",
}


@pytest.fixture
def begin(load: Load, aws: Any, model: dict[str, Any]) -> Begin:
    """Call the handler as one execution, of a model whose files are in S3."""
    aws.put("models", "minilm/model.pt", b"weights")
    module = load("compile.begin_compile")

    def call(
        execution: str = "request-1",
        has: str = "",
        force: bool = False,
        asked_at: int | None = None,
        obtained: list[dict[str, Any]] | None = None,
        **changed: Any,
    ) -> dict[str, Any]:
        event = {
            "model": {**model, **changed},
            **({"request": {**REQUEST, "PhysicalResourceId": has}} if has else {}),
            "execution": execution,
            "force": force,
            "asked_at": asked_at or int(time.time()),
            "obtained": obtained or [],
        }
        answer: dict[str, Any] = module.handler(event, None)
        return answer

    return call


def test_a_new_artifact_is_leased_to_the_one_who_asks(begin: Begin, aws: Any) -> None:
    before = int(time.time())
    answer = begin()
    item = aws.item(answer["key"])
    assert answer["status"] == "leased"
    assert {name: item[name] for name in ("state", "attempt", "lease_owner", "model", "engine", "target", "sdk")} == {
        "state": "compiling",
        "attempt": answer["attempt"],
        "lease_owner": "request-1",
        "model": "minilm",
        "engine": "torch-neuronx",
        "target": "inf2",
        "sdk": "2.31.1",
    }
    # The compile's own limit of two hours, and ten minutes beside it.
    assert before + 7800 <= int(item["lease_expires"]) <= int(time.time()) + 7800


def test_the_job_finds_its_request_where_it_is_told_to_look(begin: Begin, aws: Any) -> None:
    answer = begin()
    uri = answer["compile"]["job"]["ProcessingInputs"][2]["S3Input"]["S3Uri"]
    assert uri == f"s3://artifacts/requests/{answer['key']}/{answer['attempt']}/request.json"
    body = aws.s3.get_object(Bucket="artifacts", Key=uri.removeprefix("s3://artifacts/"))["Body"].read()
    document = json.loads(body)
    assert (document["artifact_key"], document["attempt"]) == (answer["key"], answer["attempt"])
    assert document["model"]["batch_sizes"] == [1, 4]
    # The files that the key was made of: the job refuses others that came in meanwhile.
    (file,) = document["model"]["source"]["files"]
    assert (file["path"], file["size"], file["content"].partition(":")[0]) == ("model.pt", 7, "md5")


def test_the_same_event_twice_gives_the_same_answer_and_one_lease(begin: Begin, aws: Any) -> None:
    first = begin()
    item = aws.item(first["key"])
    assert begin() == first
    assert aws.item(first["key"]) == item


def test_another_execution_waits_and_learns_for_whom(begin: Begin, aws: Any) -> None:
    leased = begin("request-1")
    waiting = begin("request-2")
    assert (waiting["status"], waiting["key"], waiting["attempt"]) == ("waiting", leased["key"], leased["attempt"])
    assert waiting["compile"] == {"execution_name": leased["compile"]["execution_name"]}
    assert aws.item(leased["key"])["lease_owner"] == "request-1"


def test_of_two_holders_in_a_race_one_gets_the_lease(
    begin: Begin, load: Load, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second takes the lease after the first has seen that there is none, and before it writes.
    write_json, others = load("aws").write_json, []

    def overtaken(*arguments: Any) -> None:
        monkeypatch.setattr(load("aws"), "write_json", write_json)
        others.append(begin("request-2"))
        write_json(*arguments)

    monkeypatch.setattr(load("aws"), "write_json", overtaken)
    first, second = begin("request-1"), others[0]
    assert (first["status"], second["status"]) == ("waiting", "leased")
    assert first["attempt"] == second["attempt"]
    assert aws.item(first["key"])["lease_owner"] == "request-2"


def test_an_expired_lease_is_taken_over_with_a_new_attempt(begin: Begin, aws: Any) -> None:
    dead = begin("request-1")
    aws.set(
        dead["key"],
        state="compiling",
        attempt=dead["attempt"],
        lease_owner="request-1",
        lease_expires=int(time.time()) - 1,
    )
    taken = begin("request-2")
    assert taken["status"] == "leased"
    assert taken["attempt"] != dead["attempt"]
    assert aws.item(dead["key"])["lease_owner"] == "request-2"


class TestFailedBefore:
    """A failure that is final is remembered; others are tried again."""

    @pytest.fixture
    def key(self, begin: Begin) -> str:
        found: str = begin("maker")["key"]
        return found

    @pytest.fixture
    def failed(self, aws: Any, key: str) -> Callable[..., None]:
        def fail(**fields: Any) -> None:
            item = {
                "artifact_key": {"S": key},
                "state": {"S": "failed"},
                "attempt": {"S": "old"},
                "reason": {"S": "operator Foo is not supported"},
                "log_url": {"S": "https://log"},
                "failed_at": {"N": str(fields.pop("failed_at", 1_800_000_000))},
                **fields,
            }
            aws.dynamodb.put_item(TableName="registry", Item=item)

        return fail

    def test_what_is_not_final_is_tried_again(self, begin: Begin, aws: Any, key: str, failed: Any) -> None:
        failed(final={"BOOL": False})
        again = begin("request-2")
        assert again["status"] == "leased"
        assert again["attempt"] != "old"
        assert "reason" not in aws.item(key)

    def test_what_version_0_1_0_recorded_is_tried_again(self, begin: Begin, failed: Any) -> None:
        failed()
        assert begin("request-2")["status"] == "leased"

    def test_what_is_final_is_answered_and_nothing_is_started(
        self, begin: Begin, aws: Any, key: str, failed: Any
    ) -> None:
        failed(final={"BOOL": True})
        item, objects = aws.item(key), aws.keys("artifacts")
        answer = begin("request-2")
        assert (answer["status"], answer["key"], answer["log_url"]) == ("failed", key, "https://log")
        assert answer["reason"].startswith("operator Foo is not supported\n(It failed so at 2027-01-15 08:00 UTC")
        assert answer["reason"].endswith("neuron-cdk models compile minilm --force)")
        assert (aws.item(key), aws.keys("artifacts")) == (item, objects)

    def test_another_key_is_tried(self, begin: Begin, failed: Any) -> None:
        failed(final={"BOOL": True})
        assert begin("request-2", Sdk="2.32.0")["status"] == "leased"

    def test_force_tries_again_what_failed_before_it_asked(self, begin: Begin, failed: Any) -> None:
        failed(final={"BOOL": True})
        assert begin("request-2", force=True, asked_at=1_800_000_001)["status"] == "leased"

    def test_force_is_satisfied_by_an_attempt_that_failed_since_it_asked(self, begin: Begin, failed: Any) -> None:
        failed(final={"BOOL": True}, failed_at=1_800_000_010)
        assert begin("request-2", force=True, asked_at=1_800_000_001)["status"] == "failed"

    def test_several_who_force_start_one_compile(self, begin: Begin, failed: Any) -> None:
        failed(final={"BOOL": True})
        answers = [begin(f"request-{n}", force=True, asked_at=1_900_000_000)["status"] for n in range(4)]
        assert answers == ["leased", "waiting", "waiting", "waiting"]

    @pytest.mark.parametrize(("minutes", "status"), [("120", "failed"), ("60", "failed"), ("121", "leased")])
    def test_what_ran_out_of_its_time_is_tried_with_more(
        self, begin: Begin, failed: Any, minutes: str, status: str
    ) -> None:
        failed(final={"BOOL": True}, failed_minutes={"N": "120"})
        assert begin("request-2", TimeoutMinutes=minutes)["status"] == status


def test_what_housekeeping_is_removing_is_compiled_anew(begin: Begin, aws: Any) -> None:
    key = begin("maker")["key"]
    aws.set(key, state="retiring", attempt="a1", artifact_uri="s3://artifacts/x/", retired_at=1, deleting=2)
    again = begin("request-2")
    assert again["status"] == "leased"
    assert not {"retired_at", "deleting"} & aws.item(key).keys()


class TestHit:
    @pytest.fixture
    def ready(self, begin: Begin, aws: Any) -> str:
        key: str = begin("maker")["key"]
        aws.set(key, state="ready", attempt="a1", artifact_uri="s3://artifacts/x/", compile_seconds=42, hits=0)
        return key

    def test_it_gives_the_artifact_and_starts_nothing(self, begin: Begin, ready: str, aws: Any) -> None:
        objects = aws.keys("artifacts")
        assert begin() == {
            "status": "ready",
            "key": ready,
            "attempt": "a1",
            "sdk": "2.31.1",
            "artifact_uri": "s3://artifacts/x/",
            "compile_seconds": 42.0,
        }
        assert aws.keys("artifacts") == objects

    def test_it_is_counted_once_for_an_execution(self, begin: Begin, ready: str, aws: Any) -> None:
        for execution in ("request-1", "request-1", "request-2"):
            begin(execution)
        assert aws.item(ready)["hits"] == "2"


def test_another_shape_is_another_artifact(begin: Begin) -> None:
    assert begin()["key"] != begin(BatchSizes=["2"])["key"]


def test_every_decision_is_one_json_line_with_key_and_execution(begin: Begin, decisions: Any) -> None:
    answer = begin("request-1")
    begin("request-1")
    begin("request-2")
    lines = decisions()
    assert [line["decision"] for line in lines] == ["miss", "started", "leased before", "waiting"]
    assert {line["key"] for line in lines} == {answer["key"]}
    assert [line["execution"] for line in lines] == ["request-1", "request-1", "request-1", "request-2"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Source": {"Kind": "ftp"}}, "Source.Kind is 'ftp'"),
        ({"Source": {"Kind": "s3", "Bucket": "models"}}, "Model.Source.Prefix is missing"),
        ({"BatchSizes": ["0"]}, "BatchSizes must be a whole number from 1, not '0'"),
        ({"BatchSizes": "4"}, "BatchSizes must be a list"),
        ({"TimeoutMinutes": "soon"}, "TimeoutMinutes must be a whole number"),
        ({"Hosts": []}, "Model.Hosts is missing"),
        ({"Engine": ""}, "Model.Engine is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_property_that_cannot_be_read_is_named(
    begin: Begin, load: Load, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(load("model_request").RequestError, match=message):
        begin(**changed)


@pytest.fixture
def published(begin: Begin, load: Load, aws: Any) -> str:
    """The key of an artifact that is ready, whose source has gone since."""
    leased = begin()
    registry = load("registry")
    fields = {"artifact_uri": "s3://artifacts/it/", "compile_seconds": 1.5}
    update = registry.publish("registry", leased["key"], fields, attempt=leased["attempt"], now=1)
    aws.dynamodb.update_item(**update)
    aws.s3.delete_object(Bucket="models", Key="minilm/model.pt")
    return str(leased["key"])


def test_a_rollback_gets_its_artifact_though_the_source_is_gone(begin: Begin, published: str) -> None:
    answer = begin("request-2", has=published)
    assert (answer["status"], answer["key"], answer["artifact_uri"]) == ("ready", published, "s3://artifacts/it/")


def test_a_rollback_of_an_update_that_had_its_new_artifact_gets_the_old_one(
    begin: Begin, load: Load, aws: Any, published: str
) -> None:
    user = f"{REQUEST['StackId']}|{REQUEST['LogicalResourceId']}|{published}"
    aws.dynamodb.update_item(**load("registry").declare("registry", "minilm", document="{}", user=user))
    answer = begin("request-2", has="f" * 64)
    assert (answer["status"], answer["key"]) == ("ready", published)


def test_an_artifact_that_another_resource_has_is_no_reason(begin: Begin, load: Load, aws: Any, published: str) -> None:
    user = f"{REQUEST['StackId']}|Other|{published}"
    aws.dynamodb.update_item(**load("registry").declare("registry", "minilm", document="{}", user=user))
    with pytest.raises(load("compile.artifact").SourceError, match="there is no object under"):
        begin("request-2", has="f" * 64)


def test_a_resource_that_asks_for_something_else_needs_a_source(begin: Begin, load: Load, published: str) -> None:
    with pytest.raises(load("compile.artifact").SourceError, match="there is no object under"):
        begin("request-2", has=published, BatchSizes=["2"])


def test_a_new_resource_needs_a_source(begin: Begin, load: Load, published: str) -> None:
    with pytest.raises(load("compile.artifact").SourceError, match="there is no object under"):
        begin("request-2")
