"""What is told of a compile and of a release: the log, the event, the metrics."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from botocore.stub import Stubber

from tests.hooks import told_events

KEY = "ab" * 32
TOLD = {"key": KEY, "execution": "e1", "model": "minilm"}
SURELY = {
    "started": {"attempt": "a1", "engine": "torch-neuronx", "target": "inf2", "sdk": "2.31.1"},
    "hit": {"artifact_uri": "s3://artifacts/x/"},
    "ready": {"artifact_uri": "s3://artifacts/x/"},
    "failed": {"attempt": "a1", "reason": "no"},
    "release started": {"release_target": "endpoint/embed", "trigger": "deploy"},
    "awaiting approval": {"release_target": "endpoint/embed"},
    "released": {"release_target": "endpoint/embed"},
    "rolled back": {"release_target": "endpoint/embed", "reason": "alarms"},
}


@pytest.fixture
def decisions(capsys):
    """The lines printed since the last call: decisions and metrics."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def events(load):
    return load("model_events")


@pytest.fixture
def bus(load, events, monkeypatch):
    """What the default bus was given, as {detail type: detail}."""
    given = []

    class Events:
        @staticmethod
        def put_events(Entries):  # noqa: N803
            given.extend(Entries)
            return {"FailedEntryCount": 0}

    monkeypatch.setattr(events.aws, "client", lambda *_: Events)
    return given


def metrics(lines):
    return [line for line in lines if "_aws" in line]


@pytest.mark.parametrize(
    ("name", "detail_type"),
    [
        ("started", "Neuron Compile Started"),
        ("hit", "Neuron Artifact Hit"),
        ("miss", "Neuron Artifact Missed"),
        ("ready", "Neuron Artifact Ready"),
        ("failed", "Neuron Compile Failed"),
        ("released", "Neuron Model Released"),
        ("rolled back", "Neuron Release Rolled Back"),
        ("release started", "Neuron Release Started"),
        ("awaiting approval", "Neuron Release Awaiting Approval"),
    ],
)
def test_an_event_is_told_under_its_name(name, detail_type, events, bus, decisions):
    facts = {**SURELY.get(name, {}), "trigger": "deploy"}
    events.tell(name, **TOLD, **facts)
    (sent,) = bus
    assert (sent["Source"], sent["DetailType"]) == ("neuron-cdk.models", detail_type)
    detail = json.loads(sent["Detail"])
    assert detail.pop("time") > 1_700_000_000
    assert detail == {"version": 1, "model": "minilm", "key": KEY, "execution": "e1", **facts}
    assert decisions()[0] == {"decision": name, **TOLD, **facts}


@pytest.mark.parametrize("name", ["waiting", "remembered"])
def test_what_is_no_event_is_logged(name, events, bus, decisions):
    events.tell(name, **TOLD)
    assert decisions()[0]["decision"] == name
    assert bus == []


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("hit", "Hits"),
        ("miss", "Misses"),
        ("failed", "Failures"),
        ("remembered", "RememberedFailures"),
        ("released", "Released"),
        ("rolled back", "RolledBack"),
    ],
)
def test_it_is_counted_for_the_model_and_for_all(name, metric, events, bus, decisions):
    events.tell(name, **TOLD, **SURELY.get(name, {}))
    (document,) = metrics(decisions())
    assert (document["Model"], document[metric]) == ("minilm", 1)
    (directive,) = document["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "NeuronCdk/Models",
        "Dimensions": [["Model"], []],
        "Metrics": [{"Name": metric, "Unit": "Count"}],
    }


@pytest.mark.parametrize(("trigger", "count"), [("deploy", 1), ("person", None), ("watch", None), ("need", None)])
def test_a_deployment_that_waits_for_a_compile_is_counted_as_such(trigger, count, events, bus, decisions):
    events.tell("miss", **TOLD, trigger=trigger)
    (document,) = metrics(decisions())
    assert (document["Misses"], document.get("DeployMisses")) == (1, count)


def test_a_compile_is_measured_in_minutes_dollars_and_error(events, bus, decisions):
    events.tell("ready", **TOLD, **SURELY["ready"], compile_seconds=90, usd=0.0123, max_error=0.001)
    (document,) = metrics(decisions())
    assert document["CompileMinutes"] == 1.5
    assert document["CompileUsd"] == 0.0123
    assert document["VerificationMaxError"] == 0.001


def test_a_failed_compile_costs_what_it_costs(events, bus, decisions):
    events.tell("failed", **TOLD, **SURELY["failed"], compile_seconds=60, usd=1)
    (document,) = metrics(decisions())
    assert (document["Failures"], document["CompileMinutes"], document["CompileUsd"]) == (1, 1, 1)


def test_what_is_not_known_is_left_out(events, bus, decisions):
    """A price that nobody knows is no price of nothing."""
    events.tell("ready", **TOLD, **SURELY["ready"], compile_seconds=60, usd=None, host="", max_error=float("nan"))
    line, document = decisions()
    assert "usd" not in line
    assert [metric["Name"] for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]] == ["CompileMinutes"]
    assert {"usd", "host", "max_error"}.isdisjoint(json.loads(bus[0]["Detail"]))


def test_what_is_not_in_the_schema_stays_in_the_log(events, bus, decisions):
    events.tell("failed", **TOLD, **SURELY["failed"], lease_expires=1)
    assert decisions()[0]["lease_expires"] == 1
    assert "lease_expires" not in json.loads(bus[0]["Detail"])


def test_a_number_is_one_whatever_it_came_as(events, bus, decisions):
    events.tell("ready", **TOLD, **SURELY["ready"], compile_seconds="12.5")
    assert json.loads(bus[0]["Detail"])["compile_seconds"] == 12.5


def test_a_long_reason_keeps_its_end(events, bus, decisions):
    events.tell("failed", **TOLD, attempt="a1", reason="x" * 9000 + "the end")
    reason = json.loads(bus[0]["Detail"])["reason"]
    assert len(reason) == 3000
    assert reason.endswith("the end")


@pytest.mark.parametrize(
    "stub",
    [
        lambda client: client.add_client_error("put_events", "ThrottlingException"),
        lambda client: client.add_response(
            "put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        ),
    ],
    ids=["refused", "not taken"],
)
def test_an_event_that_is_lost_fails_nothing_and_is_logged(stub, events, decisions):
    with Stubber(events.aws.client("events", 3, 2)) as bus:
        stub(bus)
        events.tell("hit", **TOLD, **SURELY["hit"])
    told, document, lost = decisions()
    assert (told["decision"], document["Hits"]) == ("hit", 1)
    assert (lost["decision"], lost["event"], lost["key"]) == ("event lost", "Neuron Artifact Hit", KEY)


def test_the_news_does_not_use_up_a_hooks_minute(events):
    config = events.aws.client("events", 3, 2).meta.config
    longest = config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)
    assert longest < 20


def test_every_name_has_a_kind_and_every_kind_tells_of_known_facts(events):
    assert set(get_args(events.Name)) == set(events.KINDS)
    for kind in events.KINDS.values():
        assert set(kind.surely) <= set(events.FACTS)
        assert not kind.counts or kind.counts in events.UNITS


def test_the_schema_requires_what_is_always_there(events):
    schema = events.schema("failed")
    assert schema["required"] == ["version", "time", "model", "key", "execution", "attempt", "reason"]
    assert schema["properties"]["compile_seconds"]["type"] == "number"


def test_an_event_that_is_not_as_documented_is_found_out(events):
    """The check that every test of a hook makes when it ends."""
    schema = events.schema("failed")
    _, detail = events.event("failed", **TOLD, facts={"attempt": "a1", "reason": "no"}, now=1.5)
    assert told_events.problems(schema, detail) == []
    broken = {**detail, "usd": "free", "more": 1}
    del broken["reason"]
    assert told_events.problems(schema, broken) == [
        "Neuron Compile Failed: reason is missing",
        "Neuron Compile Failed: more is not in the schema",
        "Neuron Compile Failed: usd is 'free', no number",
    ]
