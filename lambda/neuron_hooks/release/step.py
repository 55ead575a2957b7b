"""The steps of the release machine. The registry's record says how far a release is; the machine does what it is told.

Event: ``{"step", "execution", "input"}`` with the machine's input (see ``release.wanted``), and for some ``error``
(``{"Error", "Cause"}``) or ``token``. Gives ``{"next": a step, "wait": seconds before it}``; the machine waits longer
the longer it has waited.

- ``acquire``: take the target's lease, which one release holds at a time, or wait for it.
- ``ask``: keep the task token for a person to let the release go on with, or not; ``reject``: they did not, or could
  not be asked.
- ``apply``, ``progress``, ``verify``, ``promote``, ``take_back``, ``remove``: the target's kind does it. ``trouble``:
  one of them failed.
- ``finish``: tidy up, answer CloudFormation if it asked, tell, give the lease back. With ``untidy`` it leaves what is
  left over, which costs nothing but names: the next release tries again.
- ``late``: CloudFormation's hour is nearly over: answer that it failed, and take it back.

Every step may be called twice, and killed anywhere. One that comes when the record is at another stage leads there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from .. import aws, log, registry, settings
from ..compile import failure
from . import answer as release_answer
from . import aws as release_aws
from . import record as release_record
from . import wanted
from .kind import Kind, NotYetError, Outcome, Progress, Release, ReleaseError, Stage
from .record import Record
from .wanted import Unchanged

SETTINGS = settings.load(settings.Release)
KIND = cast(Kind, import_module(f"{__package__}.{SETTINGS.target.partition('/')[0]}"))

_STEPS: dict[Stage, str] = {"approval": "approve", "back": "take_back"}
"""The step of a stage, where it is not called the same."""
_VERIFY_SECONDS = 800  # of the 900 that Lambda gives
_OVERTIME_SECONDS = 120  # beyond a request's deadline, of the five minutes that CloudFormation waits then
_SUPERSEDED = "another release was asked for meanwhile"

Event = dict[str, Any]
Answer = dict[str, Any]


class LostError(Exception):
    """Somebody else wrote the record between reading and writing; the step is called again."""


def handler(event: Event, _context: object) -> Answer:
    answer = _STEP[event["step"]](event)
    log.decision(f"release {event['step']}", execution=event["execution"], target=SETTINGS.target, **answer)
    return answer


# -- The lease -------------------------------------------------------------------------------------------------------


def _acquire(event: Event) -> Answer:
    record, now, execution = _read(), int(time.time()), event["execution"]
    if mine := record.mine(execution):
        return _on(mine)
    asked = event["input"]
    if asked["trigger"] == "repair" and record.mine(asked["died"]):
        record = _write(release_record.adopted(record, execution, asked["reason"], now))
        return _on(cast(Release, record.pending))
    if _past(record, event):
        return _to("finish")
    if asked["trigger"] == "repair":
        return _to("finish", outcome="refused", reason=asked["reason"])
    if wanted.is_settled(record, asked):
        return _to("finish", outcome="unchanged", reason="this is what was recorded before")
    free = record.is_free(execution, now)
    if not free and not record.approval_token:
        return _queue(record)
    try:  # while a person is waited for nothing moves: what comes to nothing must not end what they decide on
        release = wanted.wanted(record, asked, execution, approval=SETTINGS.approval == "yes")
        if isinstance(release, Unchanged):
            return _to("finish", outcome="unchanged", reason=release.reason)
        if not free and _is_asked_already(record, release):
            return _to("finish", outcome="unchanged", reason=f"the release of {release.artifact_key} awaits approval")
        if release.stage != "remove" and not release.artifact_uri:
            release = _found(release)
    except ReleaseError as error:
        return _to("finish", outcome="refused", reason=str(error))
    if not free:
        return _queue(record)
    if not release.asked_at:
        release = replace(release, asked_at=now)
    _write(release_record.begun(record, release, now))
    release_answer.started(release)
    return _on(release)


def _is_asked_already(record: Record, release: Release) -> bool:
    """Whether a person has been asked about this very artifact, and has not answered."""
    waits = record.pending
    return release.stage == "approval" and waits is not None and waits.artifact_key == release.artifact_key


def _queue(record: Record) -> Answer:
    """Wait for whoever is at it; nobody waits for a person, whose answer would be about what is old by then."""
    if record.approval_token:
        release_aws.fail_task(record.approval_token, "Superseded", _SUPERSEDED)
    holder = record.pending.id if record.pending else ""
    return _to("acquire", wait=SETTINGS.poll_seconds, holder=holder)


def _found(release: Release) -> Release:
    """The release with its artifact's place.

    :raises ReleaseError: there is no such artifact, or it is another model's.
    """
    item = aws.get_item(registry.get(SETTINGS.registry_table, release.artifact_key))
    entry = registry.entry(item) if item else None
    if item is None or entry is None or entry.state != registry.READY:
        raise ReleaseError(f"there is no artifact {release.artifact_key}: it never was, or was deleted")
    model = item.get("model", {}).get("S", "")
    if release.model and model and model != release.model:
        raise ReleaseError(
            f"artifact {release.artifact_key} is of model {model}; {release.target} serves {release.model}"
        )
    return replace(release, artifact_uri=entry.artifact_uri, model=model or release.model)


# -- A person --------------------------------------------------------------------------------------------------------


def _ask(event: Event) -> Answer:
    record, release = _mine(event)
    if release.stage == "approval":
        record = release_record.asking(record, event["token"], int(time.time()))
        _write(record)
        release_answer.asked(release)
    return _on(release)


def _reject(event: Event) -> Answer:
    record, release = _mine(event)
    if release.stage == "approval":
        return _end(record, release, *_answer(event["error"]))
    return _on(release)


def _answer(error: Event) -> tuple[Outcome, str]:
    """What came of asking, and why. Only a person's no, or a day of silence, speaks against the artifact."""
    match error.get("Error"):
        case "States.Timeout":
            return "rejected", "nobody approved it within a day"
        case "Rejected":
            return "rejected", error.get("Cause", "")
        case "Superseded":
            return "superseded", error.get("Cause", "")
    return "failed", f"nobody could be asked: {failure.explain(error).reason}"


# -- The target ------------------------------------------------------------------------------------------------------


def _apply(event: Event) -> Answer:
    record, release = _mine(event)
    now = int(time.time())
    if release.stage == "approval":  # approved
        record = release_record.at_stage(record, release, "apply", now)
        record, release = _write(record), cast(Release, record.pending)
    if release.stage != "apply":
        return _on(release)
    try:
        facts = KIND.apply(release, record.current)
    except NotYetError as reason:
        return _look_again(record, release, str(reason))
    except ReleaseError as error:
        return _take_it_back(record, release, str(error))
    return _stage(record, release, "progress", facts={**release.facts, **facts})


def _progress(event: Event) -> Answer:
    record, release = _mine(event)
    if release.stage != "progress":
        return _on(release)
    progress = _careful(lambda: KIND.progress(release))
    if progress.kind == "moving":
        return _look_again(record, release, progress.reason)
    if progress.kind == "failed":
        return _take_it_back(record, release, progress.reason)
    return _stage(record, release, "verify")


def _verify(event: Event) -> Answer:
    record, release = _mine(event)
    if release.stage != "verify":
        return _on(release)
    try:
        problem = KIND.verify(release, _seconds_to_verify(event["input"]))
    except ReleaseError as error:
        problem = str(error)
    return _take_it_back(record, release, problem) if problem else _stage(record, release, "promote")


def _seconds_to_verify(asked: Event) -> int:
    """All that Lambda gives, but where CloudFormation waits little more than it has: what comes after is quick."""
    if "request" not in asked:
        return _VERIFY_SECONDS
    return max(0, min(_VERIFY_SECONDS, int(asked["deadline"] + _OVERTIME_SECONDS - time.time())))


def _promote(event: Event) -> Answer:
    record, release = _mine(event)
    if release.stage != "promote":
        return _on(release)
    try:
        KIND.settle(release, record.current)
    except ReleaseError as error:
        return _take_it_back(record, release, str(error))
    record = _write(release_record.promoted(record, release, int(time.time())))
    return _on(cast(Release, record.pending))


def _take_back(event: Event) -> Answer:
    record, release = _mine(event)
    if release.stage != "back":
        return _on(release)
    progress = _careful(lambda: KIND.take_back(release, record.current))
    if progress.kind == "moving":
        return _look_again(record, release, progress.reason)
    if progress.kind == "failed":
        return _end(record, release, "failed", f"{release.reason}; and it could not be taken back: {progress.reason}")
    return _end(record, release, "rolled back", release.reason)


def _remove(event: Event) -> Answer:
    if not _read().version:
        return _to("finish", outcome="deleted")
    record, release = _mine(event)
    if release.stage != "remove":
        return _on(release)
    progress = _careful(lambda: KIND.remove(release, record.current))
    if progress.kind == "moving":
        return _look_again(record, release, progress.reason)
    if progress.kind == "failed":
        return _end(record, release, "failed", f"it could not be deleted: {progress.reason}")
    aws.delete_item(release_record.delete(SETTINGS.registry_table, SETTINGS.target))
    return _to("finish", outcome="deleted")


def _trouble(event: Event) -> Answer:
    """A step failed, tried again and again: take the release back, or if that is what failed, leave it so."""
    record, release = _mine(event)
    why = failure.explain(event["error"]).reason
    if release.stage == "remove":
        return _end(record, release, "failed", f"it could not be deleted: {why}")
    if release.stage == "back":
        return _end(record, release, "failed", f"{release.reason}; and it could not be taken back: {why}")
    return _on(release) if release.stage == "finish" else _take_it_back(record, release, why)


def _careful(work: Callable[[], Progress]) -> Progress:
    try:
        return work()
    except NotYetError as reason:
        return Progress("moving", str(reason))
    except ReleaseError as error:
        return Progress("failed", str(error))


# -- The end ---------------------------------------------------------------------------------------------------------


def _finish(event: Event) -> Answer:
    record = _read()
    release = record.mine(event["execution"])
    if release is not None and release.stage != "finish":
        return _on(release)
    if release is not None and release.trigger != "delete":
        kept = [one for one in (record.current, record.previous) if one]
        if kept and not event.get("untidy"):
            KIND.tidy(kept)
        release_answer.ended(release, record)
    outcome, reason = event.get("outcome") or "lost", event.get("reason") or ""
    if past := _past(record, event):
        outcome, reason = past.outcome, past.reason
    if request := event["input"].get("request"):
        release_answer.deliver(request, record, outcome, reason)
    if release is not None:
        _write(release_record.freed(record))
    return _to("done", outcome=outcome, reason=reason)


def _past(record: Record, event: Event) -> release_record.Past | None:
    """How the release of this execution ended, or that of the dead one it speaks for; None when neither did."""
    return record.past(release_record.release_id(event["input"].get("died") or event["execution"]))


def _late(event: Event) -> Answer:
    record = _read()
    release = record.mine(event["execution"])
    if release is not None and release.stage in ("promote", "finish"):
        return _on(release)
    release_answer.late(event["input"]["request"], release, SETTINGS.target)
    if release is None:
        return _to("done")
    if release.stage in ("back", "remove"):
        return _on(release)
    return _take_it_back(record, release, "it took longer than CloudFormation waits, which is an hour")


# -- Parts -----------------------------------------------------------------------------------------------------------


def _read() -> Record:
    item = aws.get_item(release_record.get(SETTINGS.registry_table, SETTINGS.target))
    return release_record.read(item, SETTINGS.target)


def _write(record: Record) -> Record:
    """The record as the registry has it then.

    :raises LostError: somebody else wrote meanwhile.
    """
    if not aws.update_item(release_record.write(SETTINGS.registry_table, record)):
        raise LostError(f"the record of {SETTINGS.target} is no longer what was read")
    return replace(record, version=record.version + 1)


def _mine(event: Event) -> tuple[Record, Release]:
    """The record and the release that this execution works on.

    :raises LostError: another works on the target: the lease ran out, or went to whoever repairs.
    """
    record = _read()
    release = record.mine(event["execution"])
    if release is None:
        raise LostError(f"execution {event['execution']} does not hold {SETTINGS.target} any more")
    return record, release


def _stage(record: Record, release: Release, stage: Stage, **changes: Any) -> Answer:
    record = _write(release_record.at_stage(record, release, stage, int(time.time()), **changes))
    return _on(cast(Release, record.pending))


def _take_it_back(record: Record, release: Release, reason: str) -> Answer:
    log.decision("take back", key=release.artifact_key, execution=release.execution, reason=reason)
    return _stage(record, release, "back", reason=reason)


def _end(record: Record, release: Release, outcome: Outcome, reason: str) -> Answer:
    record = _write(release_record.ended(record, release, outcome, reason, int(time.time())))
    return _on(cast(Release, record.pending))


def _look_again(record: Record, release: Release, reason: str) -> Answer:
    record = _write(release_record.looked(record, release, int(time.time())))
    return {**_on(release), "wait": SETTINGS.poll_seconds, "moving": reason}


def _on(release: Release) -> Answer:
    return _to(_STEPS.get(release.stage, release.stage))


def _to(step: str, *, wait: int = 0, **facts: str) -> Answer:
    return {"next": step, "wait": wait, **facts}


_STEP: dict[str, Callable[[Event], Answer]] = {
    "acquire": _acquire,
    "ask": _ask,
    "reject": _reject,
    "apply": _apply,
    "progress": _progress,
    "verify": _verify,
    "promote": _promote,
    "take_back": _take_back,
    "remove": _remove,
    "trouble": _trouble,
    "finish": _finish,
    "late": _late,
}
