"""What AWS's scaling policies do, as arithmetic: target tracking, step scaling, cool-downs, queue backlog.

Imports nothing. Three callers share these rules: the controller of a fleet (``neuron_hooks``), the embedded AWS, and
whoever wants to know beforehand what a policy would do. Times are seconds on any clock, the same one throughout;
capacities are whole numbers; datapoints are one a minute, oldest first, ``None`` where a minute has none. Nothing here
knows a minimum or a maximum: ``bounded`` comes last.

Sources, all in AWS's documentation:

- *target tracking*: Application Auto Scaling User Guide, "How target tracking scaling for Application Auto Scaling
  works"; EC2 Auto Scaling User Guide, "Target tracking scaling policies for Amazon EC2 Auto Scaling";
- *steps*: Application Auto Scaling User Guide, "How step scaling for Application Auto Scaling works"; the API
  references' ``StepAdjustment``;
- *queue*: EC2 Auto Scaling User Guide, "Scaling policy based on Amazon SQS".

The alarms that target tracking makes are seen in an account, not promised in a guide, which only says "usually more
than 10% lower" and that it may change: ``AlarmHigh`` fires after three one-minute datapoints above the target,
``AlarmLow`` after fifteen below a part of it, nine tenths in Application Auto Scaling, seven in EC2 Auto Scaling.
"""

HIGH_DATAPOINTS = 3
LOW_DATAPOINTS = 15
APPLICATION_LOW_FRACTION = 0.9
EC2_LOW_FRACTION = 0.7
# A metric is published a little after its minute: an alarm looks further back than it evaluates (CloudWatch User Guide,
# "Configuring how CloudWatch alarms treat missing data", evaluation range). Older than this, data says nothing.
LATE_DATAPOINTS = 2

CHANGE_IN_CAPACITY = "ChangeInCapacity"
PERCENT_CHANGE_IN_CAPACITY = "PercentChangeInCapacity"
EXACT_CAPACITY = "ExactCapacity"

Datapoints = list[float | None] | tuple[float | None, ...]
# A step: its lower and its upper bound relative to the threshold, ``None`` for infinity, and its adjustment.
Step = tuple[float | None, float | None, int]


class Cooldown:
    """What a policy remembers of what it did. Immutable; ``after`` gives the next one.

    :param out_at: when it last scaled out, ``None`` when never, or when a scale-in ended that.
    :param out_from: the capacity before that scale-out.
    :param in_at: when it last scaled in, ``None`` when never, or when a scale-out ended that.
    """

    __slots__ = ("in_at", "out_at", "out_from")

    def __init__(self, out_at: int | None = None, out_from: int = 0, in_at: int | None = None) -> None:
        self.out_at = out_at
        self.out_from = out_from
        self.in_at = in_at

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cooldown) and (self.out_at, self.out_from, self.in_at) == (
            other.out_at,
            other.out_from,
            other.in_at,
        )

    def __hash__(self) -> int:
        return hash((self.out_at, self.out_from, self.in_at))

    def __repr__(self) -> str:
        return f"Cooldown(out_at={self.out_at}, out_from={self.out_from}, in_at={self.in_at})"

    def is_out(self, now: int, seconds: int) -> bool:
        """Whether a scale-out's cool-down is on."""
        return self.out_at is not None and now < self.out_at + seconds

    def is_in(self, now: int, seconds: int) -> bool:
        """Whether a scale-in's cool-down is on."""
        return self.in_at is not None and now < self.in_at + seconds

    def basis(self, capacity: int, now: int, seconds: int) -> int:
        """The capacity a scale-out is reckoned from.

        While a scale-out cools down, what it added counts as part of the next one: a policy that added 2 and would now
        add 3 adds 1 more. So the next is reckoned from the capacity before it ("Cooldown period", step scaling).
        """
        return min(capacity, self.out_from) if self.is_out(now, seconds) else capacity

    def after(self, before: int, capacity: int, now: int, seconds: int) -> "Cooldown":
        """What to remember once ``before`` became ``capacity``.

        A larger scale-out within the cool-down starts it anew and keeps what it is reckoned from; a scale-out ends the
        cool-down of a scale-in, which "stops and doesn't complete".

        :param seconds: the scale-out cool-down.
        """
        if capacity > before:
            return Cooldown(now, self.basis(before, now, seconds), None)
        if capacity < before:
            return Cooldown(None, 0, now)
        return self


def bounded(capacity: int, least: int, most: int) -> int:
    """A capacity inside its limits; a policy never leaves them."""
    return max(least, min(capacity, most))


def proportional(measured: int, metric: float, target: float) -> int:
    """The least capacity that keeps a metric at its target, when ``measured`` instances show ``metric``.

    Rounded up in both directions: AWS acts "conservatively by rounding up or down", so that it never adds too little
    and never removes too much.
    """
    return _ceiling(measured * metric / target)


def backlog(messages: float, target: float) -> int:
    """The capacity that leaves each instance at most ``target`` messages of a queue; works from no capacity at all."""
    return _ceiling(messages / target)


def is_high(datapoints: Datapoints, threshold: float) -> bool:
    """Whether ``AlarmHigh`` is on: the last three datapoints are above the threshold."""
    last = _last(datapoints, HIGH_DATAPOINTS)
    return bool(last) and all(value > threshold for value in last)


def is_low(datapoints: Datapoints, threshold: float) -> bool:
    """Whether ``AlarmLow`` is on: the last fifteen datapoints are below the threshold.

    With fewer the alarm has insufficient data, and target tracking does not scale in.
    """
    last = _last(datapoints, LOW_DATAPOINTS)
    return bool(last) and all(value < threshold for value in last)


def target_tracking(
    *,
    capacity: int,
    measured: int,
    datapoints: Datapoints,
    target: float,
    cooldown: Cooldown,
    out_seconds: int,
    in_seconds: int,
    now: int,
    low_fraction: float = APPLICATION_LOW_FRACTION,
    scale_in: bool = True,
) -> int:
    """The capacity a target tracking policy asks for; ``capacity`` when it asks for nothing.

    Out in proportion and as soon as ``AlarmHigh`` is on, within a cool-down only further than before; in only when
    ``AlarmLow`` is on and no scale-in cools down, and never below what the highest of its fifteen minutes needed.

    :param measured: the instances that the metric was measured over: those in service. Application Auto Scaling takes
        ``capacity`` for it; EC2 Auto Scaling leaves out what has not warmed up.
    :param low_fraction: the part of the target below which ``AlarmLow`` looks.
    :param scale_in: false for a policy with ``DisableScaleIn``.
    """
    if is_high(datapoints, target):
        latest = _last(datapoints, HIGH_DATAPOINTS)[-1]
        basis = cooldown.basis(measured, now, out_seconds)
        return max(capacity, proportional(basis, latest, target))
    if scale_in and is_low(datapoints, low_fraction * target) and not cooldown.is_in(now, in_seconds):
        highest = max(_last(datapoints, LOW_DATAPOINTS))
        return min(capacity, proportional(measured, highest, target))
    return capacity


def queue_tracking(
    *,
    capacity: int,
    datapoints: Datapoints,
    target: float,
    cooldown: Cooldown,
    in_seconds: int,
    now: int,
) -> int:
    """The capacity for a queue of ``datapoints`` messages, ``target`` of them an instance.

    The metric does not fall when capacity is added, so it is compared with the capacity, not with the target. Three
    minutes that need more scale out, one is enough when nothing runs; fifteen that need less scale in, to what the
    highest of them needed. The need is absolute, so a scale-out's cool-down holds nothing back: whatever is more than
    the capacity is the larger scale-out that may be made.
    """
    needs: list[float | None] = [None if value is None else backlog(value, target) for value in datapoints]
    woken = capacity == 0 and any(need > 0 for need in _last(needs, 1))
    if woken or is_high(needs, capacity):
        return max(capacity, int(_last(needs, 1)[-1]))
    if is_low(needs, capacity) and not cooldown.is_in(now, in_seconds):
        return int(max(_last(needs, LOW_DATAPOINTS)))
    return capacity


def step_adjustment(steps: list[Step] | tuple[Step, ...], threshold: float, metric: float) -> int | None:
    """The adjustment of the step a breach falls into; ``None`` when it falls into none.

    Bounds are relative to the threshold. At or above it the lower bound is part of a step and the upper is not; below
    it, the other way round.
    """
    breach = metric - threshold
    for lower, upper, adjustment in steps:
        low = float("-inf") if lower is None else lower
        high = float("inf") if upper is None else upper
        if low <= breach < high if breach >= 0 else low < breach <= high:
            return adjustment
    return None


def adjusted(capacity: int, kind: str, adjustment: int, least_magnitude: int = 0) -> int:
    """A capacity after one adjustment; never below 0.

    Percentages are rounded towards zero, but never to nothing: 12.7 is 12, 0.67 is 1, -0.58 is -1, -6.67 is -6.

    :param kind: ``ChangeInCapacity``, ``PercentChangeInCapacity`` or ``ExactCapacity``.
    :param least_magnitude: ``MinAdjustmentMagnitude``: the least a percentage changes.
    :raises ValueError: another kind.
    """
    if kind == EXACT_CAPACITY:
        return adjustment
    if kind == CHANGE_IN_CAPACITY:
        return max(0, capacity + adjustment)
    if kind == PERCENT_CHANGE_IN_CAPACITY:
        return max(0, capacity + _percent(capacity, adjustment, least_magnitude))
    raise ValueError(
        f"an adjustment is {CHANGE_IN_CAPACITY}, {PERCENT_CHANGE_IN_CAPACITY} or {EXACT_CAPACITY}, not {kind!r}"
    )


def step_scaling(
    *,
    capacity: int,
    kind: str,
    steps: list[Step] | tuple[Step, ...],
    threshold: float,
    metric: float,
    cooldown: Cooldown,
    seconds: int,
    now: int,
    least_magnitude: int = 0,
) -> int:
    """The capacity a step scaling policy asks for when its alarm is on; ``capacity`` when it asks for nothing.

    Within a scale-out's cool-down only a larger one is made, reckoned from the capacity before it; a scale-in's
    cool-down holds back scale-ins and nothing else.

    :param seconds: the policy's ``Cooldown``.
    """
    adjustment = step_adjustment(steps, threshold, metric)
    if adjustment is None:
        return capacity
    asked = adjusted(capacity, kind, adjustment, least_magnitude)
    if asked > capacity:
        basis = cooldown.basis(capacity, now, seconds)
        return max(capacity, adjusted(basis, kind, adjustment, least_magnitude))
    if asked < capacity and cooldown.is_in(now, seconds):
        return capacity
    return asked


def _last(datapoints: Datapoints, count: int) -> list[float]:
    """The newest ``count`` datapoints; empty unless all are there, up to ``LATE_DATAPOINTS`` late ones apart."""
    end = len(datapoints)
    while end > 0 and len(datapoints) - end < LATE_DATAPOINTS and datapoints[end - 1] is None:
        end -= 1
    values = [value for value in datapoints[max(0, end - count) : end] if value is not None]
    return values if len(values) == count else []


def _percent(capacity: int, percent: int, least_magnitude: int) -> int:
    if percent == 0:
        return 0
    sign = 1 if percent > 0 else -1
    # In whole numbers: a third of ten percent must not become 0.9999.
    magnitude = max(1, capacity * abs(percent) // 100, least_magnitude)
    return sign * magnitude


def _ceiling(value: float) -> int:
    """Rounded up, but for what floating point adds to a whole number."""
    nearest = round(value)
    return nearest if abs(value - nearest) < 1e-9 * max(1.0, abs(value)) else int(-(-value // 1))
