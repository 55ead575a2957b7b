"""Metrics in log events, in CloudWatch's embedded format, are metrics of the embedded AWS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

Clients = Callable[[str], Any]


@pytest.fixture
def document() -> dict[str, Any]:
    """Two metrics of a model and of all, in a namespace of the test's own."""
    directive = {
        "Namespace": f"Test/{uuid.uuid4().hex[:8]}",
        "Dimensions": [["Model"], []],
        "Metrics": [{"Name": "Hits", "Unit": "Count"}, {"Name": "CompileUsd", "Unit": "None"}],
    }
    return {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "Model": "minilm", "Hits": 1, "CompileUsd": 0.5}


@pytest.fixture
def total(client: Clients, later: Callable[[float], float]) -> Callable[..., float]:
    """The sum of a metric of a document's namespace, by the embedded clock."""

    def read(document: dict[str, Any], name: str, **dimensions: str) -> float:
        now = datetime.fromtimestamp(later(0), UTC)
        found = client("cloudwatch").get_metric_statistics(
            Namespace=document["_aws"]["CloudWatchMetrics"][0]["Namespace"],
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in found["Datapoints"]))

    return read


@pytest.fixture
def put(client: Clients) -> Callable[..., None]:
    """Log events, in a stream of their own."""

    def write(*messages: str) -> None:
        place = {"logGroupName": f"group-{uuid.uuid4().hex[:8]}", "logStreamName": "stream"}
        client("logs").create_log_group(logGroupName=place["logGroupName"])
        client("logs").create_log_stream(**place)
        now = int(datetime.now(UTC).timestamp() * 1000)
        client("logs").put_log_events(**place, logEvents=[{"timestamp": now, "message": one} for one in messages])

    return write


def test_each_metric_is_recorded_under_each_dimension_set(document: Any, put: Any, total: Any) -> None:
    put(json.dumps(document), json.dumps(document))

    assert total(document, "Hits", Model="minilm") == 2
    assert total(document, "Hits") == 2
    assert total(document, "CompileUsd") == 1.0


def test_what_is_no_such_document_is_a_log_event_and_nothing_else(document: Any, put: Any, total: Any) -> None:
    put('{"_aws": 1}', '{"_aws": {"CloudWatchMetrics": [{}]}}', 'not "_aws" json', "plain", json.dumps(document))

    assert total(document, "Hits") == 1


def test_what_a_function_prints_is_recorded(
    document: Any, client: Clients, function: Any, total: Any, eventually: Any
) -> None:
    name = function(f"def handler(event, context):\n    print({json.dumps(document)!r})\n")
    client("lambda").invoke(FunctionName=name)

    assert eventually(lambda: total(document, "Hits", Model="minilm"), within=20) == 1
