"""The one master of a fleet's size: how many instances there are, and in which of its pools.

Events:

- EventBridge's schedule, every minute (``detail-type`` ``Scheduled Event``): looks, scales, decides;
- ``aws.autoscaling`` events of the fleet's groups, ``aws.ec2`` interruptions and ends of capacity blocks: what they say
  is remembered, and the controller decides at once;
- ``{"action": "show"}``; ``{"action": "target", "target": n}``; ``{"action": "limits", "min": a, "max": b}``: give the
  state and what is seen;
- CloudFormation's request for ``Custom::NeuronFleetRelease``. ``Create`` resets what an older stack left. ``Update``
  with another ``Version`` refreshes the instances; a later run answers, when the refreshes ended or after 55 minutes.
  ``Delete`` ends the controller. Answered at once but for that.

Every run is the same: read the state, look, learn, decide, write, act. The write is conditional, so of two runs at once
one decides again; what is written and not acted on is acted on by the next run. Events to send are part of the state
until they are sent: each is sent at least once.

:raises FleetRequestError: what was asked for cannot be.
:raises ConflictError: other runs wrote the state each time; Lambda tries again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .. import aws, cloudformation, log, settings
from . import aws as fleet_aws
from . import capacity, events, instance_refresh, report, requests, scaling
from . import settings as fleet_settings
from . import state as fleet_state
from .capacity import Decision
from .instance_refresh import Progress
from .requests import Answered
from .seen import Seen
from .state import State

SETTINGS = settings.load(settings.FleetController)
FLEET = fleet_settings.parse(SETTINGS.fleet)
_ATTEMPTS = 5

Event = dict[str, Any]


class ConflictError(Exception):
    """Other runs wrote the state each time this one tried."""


class MissingGroupError(Exception):
    """The fleet's Auto Scaling groups are not all there."""


@dataclass(frozen=True, slots=True)
class Written:
    """A state that is in the table, what was seen when it was decided, and what it is to lead to."""

    state: State
    version: int
    seen: Seen
    decision: Decision
    at_once: bool


def handler(event: Event, _context: object) -> dict[str, Any]:
    if "RequestType" in event:
        return _stack(event)
    if event.get("action") == "show":
        state, _ = _read()
        return _shown(state or State(), _look())
    return _run(event)


def _stack(event: Event) -> dict[str, Any]:
    request = cloudformation.parse(event)
    try:
        return aws.patiently(lambda: _run(event))
    except cloudformation.AnswerError:
        raise
    except Exception as error:  # nobody else would answer, and CloudFormation would wait an hour
        log.decision("refused", key=FLEET.name, error=f"{type(error).__name__}: {error}")
        _answer(request, reason=str(error))
        return {}


def _run(event: Event) -> dict[str, Any]:
    for _ in range(_ATTEMPTS):
        written = _decide(event)
        if written is not None:
            return _act(event, written)
    raise ConflictError(f"the state of {FLEET.name} was written by others {_ATTEMPTS} times")


# -- Read, look, learn, decide, write --------------------------------------------------------------------------------


def _read() -> tuple[State | None, int]:
    return fleet_state.read(aws.get_item(fleet_state.get(SETTINGS.registry_table, FLEET.name)))


def _look() -> Seen:
    groups = fleet_aws.groups([pool.group for pool in FLEET.pools])
    missing = [pool.group for pool in FLEET.pools if pool.group not in groups]
    if missing:
        raise MissingGroupError(f"{FLEET.name}: there are no Auto Scaling groups {', '.join(missing)}")
    return Seen(
        groups={pool.name: groups[pool.group] for pool in FLEET.pools},
        reservations=fleet_aws.reservations([id for pool in FLEET.pools for id in pool.reservations]),
    )


def _decide(event: Event) -> Written | None:
    """The decision, written; ``None`` when another run wrote meanwhile."""
    found, version = _read()
    if event.get("RequestType") == "Delete":
        state = requests.deleted(found, cloudformation.parse(event))
        return _written(found, version, Seen({}, {}), Decision(state, {}))
    if found is not None and found.ended and event.get("RequestType") is None:
        return Written(found, version, Seen({}, {}), Decision(found, {}), at_once=True)
    seen, now = _look(), events.time_of(event) or int(time.time())
    asked = _asked(event, found, seen, now)
    state = events.learn(FLEET, fleet_state.fitted(asked.state, FLEET), seen, event, now)
    decision = capacity.decide(FLEET, _scaled(event, state, seen), seen)
    after = report.with_events(FLEET, found or state, decision.state, decision.moves)
    return _written(found, version, seen, replace(decision, state=after), asked.at_once)


def _written(found: State | None, version: int, seen: Seen, decision: Decision, at_once: bool = True) -> Written | None:
    if found == decision.state:
        return Written(decision.state, version, seen, decision, at_once)
    if not _write(decision.state, version):
        return None
    return Written(decision.state, version + 1, seen, decision, at_once)


def _asked(event: Event, found: State | None, seen: Seen, now: int) -> Answered:
    """The state after what the event asks for, if it does."""
    kind = event.get("RequestType")
    if kind == "Create":
        return requests.created(FLEET, found, seen, cloudformation.parse(event), now)
    state = fleet_state.fresh(FLEET, seen, now) if found is None or found.ended else found
    if kind == "Update":
        versions = (event.get("OldResourceProperties", {}).get("Version", ""), event["ResourceProperties"]["Version"])
        newest = {pool.group: fleet_aws.newest_refresh(pool.group) for pool in FLEET.pools}
        return requests.updated(FLEET, state, seen, cloudformation.parse(event), versions, newest, now)
    if "action" in event:
        return Answered(requests.sized(FLEET, fleet_state.fitted(state, FLEET), event))
    return Answered(state)


def _scaled(event: Event, state: State, seen: Seen) -> State:
    if FLEET.scaling is None or not FLEET.owns_size or event.get("detail-type") != "Scheduled Event":
        return state
    serving = sum(one.serving for group in seen.groups.values() for one in group.instances)
    datapoints = fleet_aws.datapoints(FLEET.scaling.query, state.now, scaling.MINUTES)
    return scaling.retarget(FLEET.scaling, state, serving, datapoints)


def _write(state: State, version: int) -> bool:
    return aws.update_item(fleet_state.put(SETTINGS.registry_table, FLEET.name, state, version))


# -- Act -------------------------------------------------------------------------------------------------------------


def _act(event: Event, written: Written) -> dict[str, Any]:
    state, seen = written.state, written.seen
    orders = _set_sizes(written)
    done = replace(state, outbox=())
    if "RequestType" in event and written.at_once:
        _answer(cloudformation.parse(event))
    elif state.renewal is not None and _renewed(state.renewal, state, seen):
        done = replace(done, renewal=None)
    aws.put_events(report.SOURCE, [(one["kind"], one["detail"]) for one in state.outbox])
    if done != state:
        _write(done, written.version)  # when another run wrote meanwhile, what was done here is done there once more
    _report(event, written, orders)
    return _shown(done, seen)


def _set_sizes(written: Written) -> dict[str, int]:
    """Set the groups that are not as decided: lower first, then raise, so that the sum stays within the maximum.

    Nothing is raised when another run has decided since: its decision counts, and it acts on it.
    """
    seen, changes = written.seen, {}
    for pool in FLEET.pools:
        group = seen.groups.get(pool.name)
        if group is not None and pool.name in written.decision.orders:
            # A group refuses what its own limits forbid.
            count = max(group.least, min(written.decision.orders[pool.name], group.most))
            if count != group.desired:
                changes[pool] = count
    lowered = {pool: count for pool, count in changes.items() if count < seen.groups[pool.name].desired}
    raised = {pool: count for pool, count in changes.items() if pool not in lowered}
    for pool, count in lowered.items():
        fleet_aws.set_desired_capacity(pool.group, count)
    for pool, count in raised.items():
        if _read()[1] != written.version:
            log.decision("overtaken", key=FLEET.name, version=written.version)
            return {pool.name: count for pool, count in lowered.items()}
        fleet_aws.set_desired_capacity(pool.group, count)
    return {pool.name: count for pool, count in changes.items()}


def _renewed(renewal: fleet_state.Renewal, state: State, seen: Seen) -> bool:
    """Bring the instance refreshes on; whether they ended, and CloudFormation has its answer."""
    sizes = {pool.group: len(seen.groups[pool.name].instances) for pool in FLEET.pools}
    newest = {group: fleet_aws.newest_refresh(group) for group in renewal.before}
    failing = {pool.group: state.failing[pool.name] for pool in FLEET.pools if pool.name in state.failing}
    progress = instance_refresh.look(renewal, newest, sizes, failing, state.now)
    for group in progress.cancel:
        fleet_aws.cancel_refresh(group)
    try:
        _start_refreshes(progress)
    except fleet_aws.RefreshRefusedError as error:
        progress = Progress(end="failed", reason=f"no instance refresh: {error}")
    if not progress.end:
        return False
    log.decision(f"refresh {progress.end}", key=FLEET.name, version=renewal.version, reason=progress.reason)
    request = cloudformation.parse(renewal.request)
    data = {"Refresh": "still running" if progress.end == "running" else "done"}
    try:
        _answer(request, reason=progress.reason, data=data)
    except cloudformation.AnswerError as error:  # the address has expired: nobody waits any more
        log.decision("unanswered", key=FLEET.name, error=str(error))
    return True


def _start_refreshes(progress: Progress) -> None:
    if FLEET.refresh is None:  # a deployment took it away while one was under way
        return
    for group in progress.start:
        fleet_aws.start_refresh(group, instance_refresh.preferences(FLEET.refresh))


def _answer(request: cloudformation.Request, reason: str = "", data: Mapping[str, str] | None = None) -> None:
    physical_id = fleet_state.key(FLEET.name)
    if reason:
        body = cloudformation.failure(request, physical_id, "The fleet was not changed:", detail=reason)
    else:
        body = cloudformation.success(request, physical_id, data or {})
    cloudformation.deliver(request, body)


# -- Tell ------------------------------------------------------------------------------------------------------------


def _report(event: Event, written: Written, orders: Mapping[str, int]) -> None:
    state, moves = written.state, written.decision.moves
    log.decision(
        "moved" if moves else "set" if orders else "kept",
        key=FLEET.name,
        woken_by=event.get("detail-type") or event.get("action") or event.get("RequestType"),
        target=state.target,
        desired=dict(state.desired),
        set=dict(orders),
        unplaced=state.unplaced,
        moves=[asdict(move) for move in moves],
    )
    if written.seen.groups:
        for document in report.metrics(FLEET, state, written.seen, len(moves)):
            print(json.dumps(document), flush=True)


def _shown(state: State, seen: Seen) -> dict[str, Any]:
    """The state without its request: that holds a presigned address."""
    return {
        "state": json.loads(fleet_state.to_json(replace(state, renewal=None))),
        "refreshing": state.renewal.version if state.renewal else None,
        "seen": asdict(seen),
    }
