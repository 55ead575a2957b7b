"""Metric data queries: what GetMetricData asks for and what alarms watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..api import ServiceError
from . import expressions, metrics
from .expressions import Expression, Scope, Series, Value

Query = dict[str, Any]
_STATISTICS = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")


def dimensions(given: Sequence[dict[str, str]]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in given}


def check_statistic(name: str) -> None:
    """Raise ``ValidationException`` for anything but the five statistics and percentiles."""
    if name in _STATISTICS:
        return
    try:
        if name[:1] == "p" and 0 <= float(name[1:]) <= 100:
            return
    except ValueError:
        pass
    raise ServiceError(
        "ValidationException",
        f"The statistic {name} is not part of the embedded AWS, which knows {', '.join(_STATISTICS)} and percentiles "
        "as p99.9",
    )


def check(queries: Sequence[Query]) -> None:
    """Raise ``ValidationException`` for queries that cannot be answered: each is checked before any is."""
    ids = [query["Id"] for query in queries]
    if len(set(ids)) != len(ids):
        raise ServiceError("ValidationException", "The values for parameter id in MetricDataQueries are not unique.")
    for query in queries:
        if ("MetricStat" in query) == ("Expression" in query):
            raise ServiceError(
                "ValidationException", f"Give either MetricStat or Expression, not both, for the id {query['Id']}."
            )
        if "MetricStat" in query:
            check_statistic(query["MetricStat"]["Stat"])
        else:
            unknown = sorted(_parsed(query).ids - set(ids))
            if unknown:
                raise ServiceError(
                    "ValidationException",
                    f"Error in expression '{query['Id']}': the ids {', '.join(unknown)} are not among the queries",
                )
    _ordered(queries)


def period(queries: Sequence[Query]) -> int:
    """The one that an expression over these has: the longest."""
    given = [query["MetricStat"]["Period"] if "MetricStat" in query else query.get("Period", 0) for query in queries]
    return max(given, default=0) or 60


def answer(queries: Sequence[Query], start: float, end: float) -> dict[str, Series]:
    """Each query's datapoints by the time their period starts, of the periods from ``start`` to before ``end``."""
    longest = period(queries)
    times = tuple(range(-int(-start // longest) * longest, int(-(-end // 1)), longest))
    values: dict[str, Value] = {}
    for query in _ordered(queries):
        if "MetricStat" in query:
            stat = query["MetricStat"]
            metric = stat["Metric"]
            key = metrics.key_of(metric["Namespace"], metric["MetricName"], dimensions(metric.get("Dimensions", ())))
            values[query["Id"]] = datapoints(key, stat["Stat"], stat["Period"], start, end)
        else:
            values[query["Id"]] = _parsed(query).value(Scope(values, times))
    return {
        name: value if isinstance(value, dict) else dict.fromkeys(times, float(value)) for name, value in values.items()
    }


def datapoints(key: metrics.Key, statistic: str, seconds: int, start: float, end: float) -> Series:
    found = {time: bucket.statistic(statistic) for time, bucket in metrics.statistics(key, seconds, start, end).items()}
    return {time: value for time, value in found.items() if value is not None}


def _parsed(query: Query) -> Expression:
    try:
        return expressions.parse(query["Expression"])
    except expressions.ExpressionError as error:
        raise ServiceError("ValidationException", f"Error in expression '{query['Id']}': {error}") from error


def _ordered(queries: Sequence[Query]) -> list[Query]:
    """The queries with each after those it refers to."""
    waiting = {query["Id"]: query for query in queries}
    found: list[Query] = []
    while waiting:
        ready = [
            query for query in waiting.values() if "MetricStat" in query or not _parsed(query).ids & waiting.keys()
        ]
        if not ready:
            raise ServiceError("ValidationException", f"The expressions refer to each other: {', '.join(waiting)}")
        for query in ready:
            found.append(waiting.pop(query["Id"]))
    return found
