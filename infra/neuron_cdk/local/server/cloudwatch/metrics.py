"""Metrics: what is recorded, kept in buckets of ten seconds for three hours.

A bucket keeps count, sum, least and greatest, and for percentiles how often each value came: exactly for the first
``_EXACT`` different values, the rest to three significant digits. So a bucket's size does not grow with the requests
it counts.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region

from ..clock import clock

BUCKET_SECONDS = 10
KEPT_SECONDS = 3 * 3600
"""As long as CloudWatch keeps data of less than a minute ("Metrics retention", CloudWatch user guide)."""
_SAVED_SECONDS = 1800
_EXACT = 128

Key = tuple[str, str, str, str, tuple[tuple[str, str], ...]]
"""Account, region, namespace, name, and the dimensions in their order by name."""

_lock = threading.Lock()
_series: dict[Key, Series] = {}


class Bucket:
    """What was recorded of one metric in one span of time."""

    __slots__ = ("count", "high", "low", "total", "values")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.low = math.inf
        self.high = -math.inf
        self.values: dict[float, float] | None = {}
        """How often each value; None where a statistic set hides it."""

    def add(self, value: float, count: float) -> None:
        self.count += count
        self.total += value * count
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value
        if self.values is not None:
            seen = self.values.get(value)
            if seen is None and len(self.values) >= _EXACT:
                value = float(f"{value:.3g}")
                seen = self.values.get(value)
            self.values[value] = (seen or 0.0) + count

    def merge(self, other: Bucket) -> None:
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        if self.values is None or other.values is None:
            self.values = None
            return
        for value, count in other.values.items():
            self.values[value] = self.values.get(value, 0.0) + count

    def statistic(self, name: str) -> float | None:
        """``Average``, ``Sum``, ``Minimum``, ``Maximum``, ``SampleCount`` or a percentile as ``p99.9``.

        None where there is none: no data, or percentiles of negative values and of statistic sets ("Percentiles",
        CloudWatch user guide).
        """
        if not self.count:
            return None
        if name == "Average":
            return self.total / self.count
        if name == "SampleCount":
            return self.count
        if name == "Sum":
            return self.total
        if name == "Minimum":
            return self.low
        if name == "Maximum":
            return self.high
        return self._percentile(float(name[1:]))

    def listed(self) -> list[tuple[float, float]] | None:
        """The values and how often each."""
        return None if self.values is None else list(self.values.items())

    def _percentile(self, percent: float) -> float | None:
        """Between the two nearest ranks in proportion."""
        if self.values is None or self.low < 0:
            return None
        rank = percent / 100 * max(self.count - 1, 0)
        below = math.floor(rank)
        at_below = at_above = None
        seen = 0.0
        for value in sorted(self.values):
            seen += self.values[value]
            if at_below is None and below < seen:
                at_below = value
            if below + 1 < seen:
                at_above = value
                break
        low = self.high if at_below is None else at_below
        high = self.high if at_above is None else at_above
        return low + (rank - below) * (high - low)


class Series:
    """One metric: its buckets by the time they start, in epoch seconds."""

    __slots__ = ("buckets", "unit")

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.buckets: dict[int, Bucket] = {}

    def bucket(self, moment: float, now: float) -> Bucket:
        start = int(moment // BUCKET_SECONDS) * BUCKET_SECONDS
        found = self.buckets.get(start)
        if found is None:
            for old in [old for old in self.buckets if old < now - KEPT_SECONDS]:
                del self.buckets[old]
            found = self.buckets[start] = Bucket()
        return found


def record(namespace: str, name: str, dimensions: Mapping[str, str], value: float, unit: str = "None") -> None:
    """Note one value now, by the clock, for the account and region of this thread's context. From any thread."""
    key, now = key_of(namespace, name, dimensions), clock.now()
    with _lock:
        _of(key, unit).bucket(now, now).add(value, 1.0)


def put(
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    unit: str,
    moment: float,
    values: Iterable[tuple[float, float]],
) -> None:
    """Note values and how often each came at ``moment``, in epoch seconds."""
    key, now = key_of(namespace, name, dimensions), clock.now()
    with _lock:
        bucket = _of(key, unit).bucket(moment, now)
        for value, count in values:
            bucket.add(value, count)


def put_set(
    namespace: str, name: str, dimensions: Mapping[str, str], unit: str, moment: float, given: Mapping[str, float]
) -> None:
    """Note a statistic set: ``SampleCount``, ``Sum``, ``Minimum``, ``Maximum``."""
    count, low, high = given["SampleCount"], given["Minimum"], given["Maximum"]
    if low == high:  # it is one value, so often
        put(namespace, name, dimensions, unit, moment, ((low, count),))
        return
    coming = Bucket()
    coming.count, coming.total, coming.low, coming.high, coming.values = count, given["Sum"], low, high, None
    key, now = key_of(namespace, name, dimensions), clock.now()
    with _lock:
        _of(key, unit).bucket(moment, now).merge(coming)


def key_of(namespace: str, name: str, dimensions: Mapping[str, str]) -> Key:
    return get_account_id(), get_region(), namespace, name, tuple(sorted(dimensions.items()))


def statistics(key: Key, period: int, start: float, end: float) -> dict[int, Bucket]:
    """What was recorded in each period of ``period`` seconds that starts at ``start`` or later and before ``end``."""
    found: dict[int, Bucket] = {}
    with _lock:
        series = _series.get(key)
        if series is None:
            return found
        first = int(start // BUCKET_SECONDS) * BUCKET_SECONDS
        moments: Iterable[int] = range(first, int(end) + period, BUCKET_SECONDS)
        if len(range(first, int(end) + period, BUCKET_SECONDS)) > len(series.buckets):
            moments = sorted(series.buckets)
        for moment in moments:
            bucket = series.buckets.get(moment)
            beginning = moment // period * period
            if bucket is not None and start <= beginning < end:
                found.setdefault(beginning, Bucket()).merge(bucket)
    return found


def unit_of(key: Key) -> str:
    series = _series.get(key)
    return series.unit if series else "None"


def listed(namespace: str | None, name: str | None) -> Iterator[Key]:
    """The metrics of this account and region that had data in the last three hours."""
    since = clock.now() - KEPT_SECONDS
    with _lock:
        for key in [key for key, series in _series.items() if max(series.buckets, default=0.0) < since]:
            del _series[key]
        here = [key for key in _series if key[:2] == (get_account_id(), get_region())]
    for key in here:
        if namespace in (None, key[2]) and name in (None, key[3]):
            yield key


def get_state() -> list[list[Any]]:
    """The last half hour, which is what alarms look back at."""
    since = clock.now() - _SAVED_SECONDS
    with _lock:
        return [
            [
                [*key[:4], [list(pair) for pair in key[4]]],
                series.unit,
                [
                    [start, bucket.count, bucket.total, bucket.low, bucket.high, bucket.listed()]
                    for start, bucket in series.buckets.items()
                    if start >= since
                ],
            ]
            for key, series in _series.items()
        ]


def load_persisted_state(saved: list[list[Any]]) -> None:
    for key, unit, buckets in saved:
        series = Series(unit)
        for start, count, total, low, high, values in buckets:
            bucket = series.buckets[start] = Bucket()
            bucket.count, bucket.total, bucket.low, bucket.high = count, total, low, high
            bucket.values = None if values is None else dict(values)
        _series[(*key[:4], tuple((name, value) for name, value in key[4]))] = series


def reset() -> None:
    with _lock:
        _series.clear()


def _of(key: Key, unit: str) -> Series:
    found = _series.get(key)
    if found is None:
        found = _series[key] = Series(unit)
    return found
