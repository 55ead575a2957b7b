"""What housekeeping removes, what it keeps, and that it can be interrupted anywhere."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
from botocore.stub import ANY, Stubber

DAY = 86400
NOW = 1_800_000_000
USER = "arn:aws:cloudformation:us-east-1:123456789012:stack/models/guid|Minilm"


def key(letter: str) -> str:
    return letter * 64


@pytest.fixture
def decisions(capsys):
    """The lines printed since the last call: decisions and metrics."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def hook(load, aws, monkeypatch, now):
    monkeypatch.setenv("KEEP_DAYS", "30")
    monkeypatch.setenv("GRACE_SECONDS", "3600")
    module = load("housekeeping.hook")
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now.at))
    return module


@pytest.fixture
def now():
    """The time by which everything is judged; a test moves it."""
    return SimpleNamespace(at=NOW)


@pytest.fixture
def collect(hook):
    """A daily run; what became of each artifact, by the letter of its key."""

    def run(**event):
        answer = hook.handler(event or {"task": "collect"}, None)
        return {one["key"][0]: one["verdict"] for one in answer["artifacts"]}

    return run


@pytest.fixture
def put(aws):
    """An artifact with two objects, used last 31 days ago unless a field says otherwise."""

    def make(letter, **fields):
        item = {
            "state": "ready",
            "attempt": "a1",
            "model": "minilm",
            "registered_at": NOW - 60 * DAY,
            "last_used": NOW - 31 * DAY,
            "users_since": NOW - 60 * DAY,
            **fields,
        }
        typed = {
            name: {"SS": sorted(value)}
            if isinstance(value, set)
            else {"S": value}
            if isinstance(value, str)
            else {"N": str(value)}
            for name, value in item.items()
            if value is not None
        }
        aws.dynamodb.put_item(TableName="registry", Item={"artifact_key": {"S": key(letter)}, **typed})
        for name in ("manifest.json", "model/a.neff"):
            aws.put("artifacts", f"artifacts/{key(letter)}/{item['attempt']}/{name}", b"12345")
        aws.put("artifacts", f"requests/{key(letter)}/{item['attempt']}/request.json", b"{}")

    return make


def objects(aws, letter):
    return [one for one in aws.keys("artifacts") if key(letter) in one]


def test_what_nobody_used_for_thirty_days_retires_and_goes_an_hour_later(put, collect, aws, now):
    put("a")
    assert collect() == {"a": "retire"}
    assert aws.item(key("a"))["state"] == "retiring"
    assert len(objects(aws, "a")) == 3

    now.at += 3599
    assert collect() == {"a": "wait"}
    now.at += 1
    assert collect(task="watch") == {"a": "delete"}
    assert objects(aws, "a") == []
    assert aws.item(key("a")) == {}
    assert collect() == {}


def test_what_is_kept_says_for_whom_before_it_says_since_when(put, hook):
    put("a", last_used=NOW, used_by={USER})
    put("b", last_used=NOW - 60)
    put("c", last_used=NOW - DAY)
    put("d", last_used=NOW - 2 * DAY)
    kept = hook.handler({"task": "collect"}, None)["artifacts"]
    assert {one["key"][0]: one["why"] for one in kept} == {
        "a": "used by Minilm of models",
        "b": "last used within a day, kept for 30 days",
        "c": "last used a day ago, kept for 30 days",
        "d": "last used 2 days ago, kept for 30 days",
    }


def test_only_what_goes_goes(put, collect, aws, now):
    put("a")
    put("b", last_used=NOW - 29 * DAY)
    collect()
    now.at += 3600
    collect()
    assert objects(aws, "a") == []
    assert len(objects(aws, "b")) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"last_used": NOW - 29 * DAY},
        {"used_by": {USER}},
        {"state": "compiling", "lease_expires": NOW + 60},
        {"state": "failed"},
        {"users_since": None},
    ],
    ids=["used lately", "a stack has it", "compiling", "failed", "of a version that wrote no users"],
)
def test_what_is_kept_by_its_own_item(fields, put, collect, aws):
    put("a", **fields)
    assert collect() == {"a": "keep"}
    assert aws.item(key("a"))["state"] == fields.get("state", "ready")


def release(**fields):
    return {"current": None, "previous": None, "pending": None, "history": [], **fields}


def past(letter, outcome="released"):
    return {"id": letter, "artifact_key": key(letter), "outcome": outcome}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("model#minilm", {"document": "{}", "users": {f"{USER}|{key('a')}"}}),
        ("release#endpoint/embed", {"document": json.dumps(release(current=past("a")))}),
        ("release#endpoint/embed", {"document": json.dumps(release(previous=past("a")))}),
        ("release#endpoint/embed", {"document": json.dumps(release(pending=past("a")))}),
        ("release#endpoint/embed", {"document": json.dumps(release(history=[past("b"), past("b"), past("a")]))}),
        ("release#fleet/serve", {"document": f"of another version: {key('a')}"}),
        ("release#fleet/serve", {"document": json.dumps(release(declaration=f'{{"key": "{key("a")}"}}'))}),
    ],
    ids=["model", "current", "previous", "pending", "last good", "unreadable", "declared"],
)
def test_what_others_refer_to_is_kept(name, fields, put, collect, aws):
    put("a")
    typed = {k: {"SS": sorted(v)} if isinstance(v, set) else {"S": v} for k, v in fields.items()}
    aws.dynamodb.put_item(TableName="registry", Item={"artifact_key": {"S": name}, **typed})
    assert collect() == {"a": "keep"}


@pytest.mark.parametrize(
    "history",
    [[past("a", "rolled back")], [past("b"), past("c"), past("a")]],
    ids=["never served", "two later ones were good"],
)
def test_history_keeps_what_a_target_could_go_back_to_and_no_more(history, put, collect, aws):
    put("a")
    aws.set("release#endpoint/embed", document=json.dumps(release(history=history)))
    assert collect() == {"a": "retire"}


def test_parts_are_kept_by_their_wholes_and_go_with_them(put, collect, aws):
    put("a", parts={key("b")}, used_by={USER})
    put("b", parts={key("c")})
    put("c")
    assert collect() == {"a": "keep", "b": "keep", "c": "keep"}

    aws.dynamodb.update_item(
        TableName="registry", Key={"artifact_key": {"S": key("a")}}, UpdateExpression="REMOVE used_by"
    )
    assert collect() == {"a": "retire", "b": "retire", "c": "retire"}


def test_a_mirror_is_kept_by_the_models_that_come_from_it(put, collect, aws, load, model):
    source = {"Kind": "huggingface", "Repository": "org/name", "Revision": "0" * 40}
    parsed = load("model_request").parse({**model, "Source": source}).source
    mirror = load("compile.artifact").mirror_key(parsed)
    aws.dynamodb.put_item(
        TableName="registry",
        Item={
            "artifact_key": {"S": mirror},
            "state": {"S": "ready"},
            "attempt": {"S": "a1"},
            "last_used": {"N": "1"},
            "users_since": {"N": "1"},
        },
    )
    document = {"S": json.dumps({**model, "Source": source})}
    name = {"artifact_key": {"S": "model#minilm"}}
    users = {"SS": [f"{USER}|{key('a')}"]}
    aws.dynamodb.put_item(TableName="registry", Item={**name, "document": document, "users": users})
    assert set(collect().values()) == {"keep"}

    aws.dynamodb.put_item(TableName="registry", Item={**name, "document": document})
    assert set(collect().values()) == {"retire"}


def test_what_is_referred_to_again_within_the_hour_comes_back(put, collect, aws, now):
    put("a")
    collect()
    aws.set("release#endpoint/embed", document=json.dumps(release(pending=past("a"))))
    now.at += 3600
    assert collect(task="watch") == {"a": "restore"}
    item = aws.item(key("a"))
    assert item["state"] == "ready"
    assert "retired_at" not in item
    assert len(objects(aws, "a")) == 3


def test_what_has_lost_objects_never_comes_back(put, collect, aws, now, hook, monkeypatch):
    put("a")
    collect()
    now.at += 3600
    with monkeypatch.context() as broken:
        broken.setattr(hook.housekeeping_aws, "delete_objects", lambda *_: 1 / 0)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            collect()
    aws.set("release#endpoint/embed", document=json.dumps(release(current=past("a"))))
    assert collect() == {"a": "delete"}
    assert aws.item(key("a")) == {}


def test_a_hit_between_judgement_and_write_wins(put, hook, load, aws, monkeypatch):
    """The registry is read, then somebody finds the artifact, then it is to retire."""
    put("a")
    registry, write = load("registry"), hook.retirement.retire

    def hit_first(table, one, at):
        hit = registry.count_hit("registry", key("a"), asked="x", execution="e", now=NOW)
        aws.dynamodb.update_item(**hit)
        return write(table, one, at)

    monkeypatch.setattr(hook.retirement, "retire", hit_first)
    (one,) = hook.handler({}, None)["artifacts"]
    assert one["verdict"] == "changed"
    assert aws.item(key("a"))["state"] == "ready"


def test_a_lease_taken_while_objects_go_stays(put, collect, hook, aws, now, monkeypatch):
    put("a")
    collect()
    now.at += 3600
    delete = hook.housekeeping_aws.delete_objects

    def lease_first(bucket, prefix):
        lease = {"state": "compiling", "attempt": "a2", "lease_owner": "e2", "lease_expires": NOW + 9999}
        aws.set(key("a"), **lease)
        return delete(bucket, prefix)

    monkeypatch.setattr(hook.housekeeping_aws, "delete_objects", lease_first)
    assert collect() == {"a": "changed"}
    assert aws.item(key("a"))["attempt"] == "a2"


def test_an_artifact_that_retires_again_has_its_hour_again(put, collect, aws, now):
    """What an earlier retirement left in the item counts for nothing."""
    put("a", deleting=NOW - 40 * DAY, retired_at=NOW - 40 * DAY)
    collect()
    item = aws.item(key("a"))
    assert (item["state"], item["retired_at"]) == ("retiring", str(NOW))
    assert "deleting" not in item


def test_a_dry_run_says_what_would_be_and_does_nothing(put, collect, hook, aws, now):
    put("a")
    put("b", state="retiring", retired_at=NOW - DAY)
    aws.put("artifacts", f"artifacts/{key('c')}/a1/manifest.json", b"{}")
    now.at += 40 * DAY
    before = aws.keys("artifacts"), aws.item(key("a")), aws.item(key("b"))
    answer = hook.handler({"dry_run": True}, None)

    assert {one["key"][0]: one["verdict"] for one in answer["artifacts"]} == {"a": "retire", "b": "delete"}
    assert [one["prefix"] for one in answer["uploads"]] == [f"artifacts/{key('c')}/a1/"]
    assert (aws.keys("artifacts"), aws.item(key("a")), aws.item(key("b"))) == before
    assert answer["artifacts"][0]["size"] == 10


class Context:
    """Lambda's, with so many more steps' worth of time."""

    aws_request_id = "r1"

    def __init__(self, steps):
        self.steps = steps

    def get_remaining_time_in_millis(self):
        self.steps -= 1
        return 900_000 if self.steps >= 0 else 59_000


def test_a_run_without_time_says_that_there_is_more(put, hook, aws):
    for letter in "abc":
        put(letter)
    answer = hook.handler({}, Context(2))
    assert sorted(one["verdict"] for one in answer["artifacts"]) == ["later", "retire", "retire"]
    assert answer["more"] is True
    assert hook.handler({}, Context(9))["more"] is False


def test_one_that_fails_keeps_no_other_from_going(put, hook, aws, monkeypatch):
    put("a")
    put("b")
    write = hook.retirement.retire
    monkeypatch.setattr(
        hook.retirement, "retire", lambda t, one, at: 1 / 0 if one.key == key("a") else write(t, one, at)
    )
    answer = hook.handler({"dry_run": False}, None)
    assert {one["key"][0]: one["verdict"] for one in answer["artifacts"]} == {"a": "failed", "b": "retire"}
    assert "ZeroDivisionError" in answer["problems"][0]


# -- Uploads ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def later(now):
    """moto dates objects by the real clock; two days later they are old."""
    now.at = int(time.time()) + 2 * DAY


@pytest.mark.parametrize("kind", ["artifacts", "requests"])
@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"state": "ready", "attempt": "a2"}, True),
        ({"state": "ready", "attempt": "a1"}, False),
        ({"state": "compiling", "attempt": "a2", "lease_expires": 9_999_999_999}, True),
        ({"state": "compiling", "attempt": "a1", "lease_expires": 9_999_999_999}, False),
        ({"state": "failed", "attempt": "a1"}, True),
        (None, True),
    ],
    ids=["another is published", "published", "another is leased", "leased", "failed", "of no item"],
)
def test_uploads_of_attempts_that_came_to_nothing_go_after_a_day(kind, fields, left, hook, aws, later):
    path = f"{kind}/{key('a')}/a1/request.json"
    aws.put("artifacts", path, b"12345")
    if fields:
        aws.set(key("a"), users_since=1, last_used=2_000_000_000, **fields)
    answer = hook.handler({}, None)
    assert [one["verdict"] for one in answer["uploads"]] == (["delete"] if left else [])
    assert (path not in aws.keys("artifacts")) is left


def test_uploads_of_today_stay(hook, aws, now):
    now.at = int(time.time())
    aws.put("artifacts", f"artifacts/{key('a')}/a1/manifest.json", b"{}")
    assert hook.handler({}, None)["uploads"] == []


def test_objects_of_another_layout_are_not_judged(hook, aws, later):
    for path in ("artifacts/readme", f"artifacts/{key('a')}", "artifacts/x/y/z", f"else/{key('a')}/a1/x"):
        aws.put("artifacts", path, b"1")
    assert hook.handler({}, None)["uploads"] == []
    assert len(aws.keys("artifacts")) == 4


def test_an_upload_that_is_published_meanwhile_stays(hook, aws, later, monkeypatch):
    path = f"artifacts/{key('a')}/a1/manifest.json"
    aws.put("artifacts", path, b"{}")
    look = hook.aws.get_item

    def published_first(request):
        aws.set(key("a"), state="ready", attempt="a1", last_used=2_000_000_000)
        return look(request)

    monkeypatch.setattr(hook.aws, "get_item", published_first)
    assert [one["verdict"] for one in hook.handler({}, None)["uploads"]] == ["changed"]
    assert aws.keys("artifacts") == [path]


# -- Stuck leases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ran_out", "count"), [(3601, 1), (3599, 0), (-60, 0)])
def test_a_lease_that_ran_out_an_hour_ago_is_counted_and_told(ran_out, count, hook, aws, decisions):
    aws.set(key("a"), state="compiling", attempt="a1", lease_owner="e1", lease_expires=NOW - ran_out, model="minilm")
    answer = hook.handler({"task": "watch"}, None)
    lines = decisions()
    assert len(answer["stuck"]) == count
    assert [line["holder"] for line in lines if line.get("decision") == "stuck lease"] == ["e1"] * count
    (document,) = (line for line in lines if "StuckLeases" in line)
    assert document["StuckLeases"] == count
    assert document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[]]


def test_compiler_runs_in_endpoints_are_counted(hook, aws, decisions, now):
    aws.set("endpoint#embed", document=json.dumps({"endpoint": "prod-embed"}))
    aws.set("release#endpoint/ask", document=json.dumps(release(current={"facts": {"endpoint": "prod-ask"}})))
    aws.set("endpoint#new", document=json.dumps({"endpoint": "no-log-yet"}))
    with Stubber(hook.aws.client("logs")) as logs:
        for endpoint, lines in (("no-log-yet", None), ("prod-ask", 2), ("prod-embed", 0)):
            group = f"/aws/sagemaker/Endpoints/{endpoint}"
            asked = {"logGroupName": group, "startTime": (NOW - 1200) * 1000, "filterPattern": ANY}
            if lines is None:
                logs.add_client_error("filter_log_events", "ResourceNotFoundException", expected_params=asked)
            else:
                logs.add_response("filter_log_events", {"events": [{"message": "x"}] * lines}, asked)
        hook.handler({"task": "watch"}, None)
        logs.assert_no_pending_responses()
    lines = decisions()
    assert [line["endpoint"] for line in lines if line.get("decision") == "compiled at run time"] == ["prod-ask"]
    (document,) = (line for line in lines if "RuntimeMisses" in line)
    assert document["RuntimeMisses"] == 2


def test_watching_reads_no_bucket_and_retires_nothing(put, hook, aws, monkeypatch):
    put("a")
    monkeypatch.setattr(hook.housekeeping_aws, "objects", lambda *_: 1 / 0)
    assert hook.handler({"task": "watch"}, None)["artifacts"] == []
    assert aws.item(key("a"))["state"] == "ready"


def test_a_versioned_bucket_keeps_what_was_deleted(put, collect, aws, now):
    """The lifecycle rule of the store removes it thirty days later; till then it can be had back."""
    aws.s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    put("a")
    collect()
    now.at += 3600
    collect()
    versions = aws.s3.list_object_versions(Bucket="artifacts")
    assert len(versions["Versions"]) == len(versions["DeleteMarkers"]) == 3
