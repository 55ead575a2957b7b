"""The operations on metrics: PutMetricData, GetMetricData, GetMetricStatistics, ListMetrics."""

from __future__ import annotations

from typing import Any

from ..api import ServiceError
from ..clock import clock
from . import metrics, queries

Request = dict[str, Any]


def put(request: Request) -> Request:
    for datum in request.get("MetricData", ()):
        where = (
            request["Namespace"],
            datum["MetricName"],
            queries.dimensions(datum.get("Dimensions", ())),
            datum.get("Unit", "None"),
            datum.get("Timestamp", clock.now()),
        )
        if "StatisticValues" in datum:
            metrics.put_set(*where, datum["StatisticValues"])
        elif "Values" in datum:
            counts = datum.get("Counts", [1.0] * len(datum["Values"]))
            if len(counts) != len(datum["Values"]):
                raise ServiceError(
                    "InvalidParameterValue", "The parameters MetricData.Values and Counts must have the same length."
                )
            metrics.put(*where, list(zip(datum["Values"], counts, strict=True)))
        elif "Value" in datum:
            metrics.put(*where, [(datum["Value"], 1.0)])
        else:
            raise ServiceError(
                "InvalidParameterCombination", "At least one of the parameters must be specified: Value, Values."
            )
    return {}


def get(request: Request) -> Request:
    """GetMetricData, whole: there is no second page."""
    asked = request["MetricDataQueries"]
    queries.check(asked)
    found = queries.answer(asked, request["StartTime"], request["EndTime"])
    newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = []
    for query in asked:
        if query.get("ReturnData", True):
            series = sorted(found[query["Id"]].items(), reverse=newest_first)
            name = query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label", name),
                    "Timestamps": [float(time) for time, _ in series],
                    "Values": [float(value) for _, value in series],
                    "StatusCode": "Complete",
                }
            )
    return {"MetricDataResults": results, "Messages": []}


def statistics(request: Request) -> Request:
    """GetMetricStatistics."""
    basic, extended = request.get("Statistics", []), request.get("ExtendedStatistics", [])
    if not basic and not extended:
        raise ServiceError(
            "InvalidParameterCombination", "At least one of the parameters Statistics and ExtendedStatistics is needed."
        )
    for name in (*basic, *extended):
        queries.check_statistic(name)
    key = metrics.key_of(request["Namespace"], request["MetricName"], queries.dimensions(request.get("Dimensions", ())))
    unit = metrics.unit_of(key)
    points = []
    for time, bucket in metrics.statistics(key, request["Period"], request["StartTime"], request["EndTime"]).items():
        point: Request = {"Timestamp": float(time), "Unit": unit} | {name: bucket.statistic(name) for name in basic}
        if extended:
            values = {name: bucket.statistic(name) for name in extended}
            point["ExtendedStatistics"] = {name: value for name, value in values.items() if value is not None}
        points.append(point)
    return {"Label": request["MetricName"], "Datapoints": points}


def listed(request: Request) -> Request:
    """ListMetrics, whole: there is no second page."""
    wanted = request.get("Dimensions", ())
    return {
        "Metrics": [
            {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": dimension, "Value": value} for dimension, value in having],
            }
            for _, _, namespace, name, having in metrics.listed(request.get("Namespace"), request.get("MetricName"))
            if all(
                any(one["Name"] == dimension and one.get("Value", value) == value for dimension, value in having)
                for one in wanted
            )
        ]
    }
