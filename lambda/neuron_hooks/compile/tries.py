"""Which hosts a compile is tried on, in which order, how often, and for how long. Pure.

A *plan* is one try, as the compile machine carries it from state to state::

    {"number": 0,               # the job's name ends in it
     "cluster": {…},            # what the job's ClusterConfig says of instance types
     "left": ["ml.r5.4xlarge"], # types still to be tried one at a time, when this one cannot be had
     "short": false,            # in this round a type could not be had for now: it is worth waiting for another round
     "passing": 0,              # how often something passing went wrong
     "runs": 0,                 # how many jobs have run
     "too_small": 0,            # GiB of memory that were too little: hosts that have no more are not tried
     "start_by": 1800000000,    # when the job must have started; not there in the first
     "usd": 0.0,                # what the jobs before this one cost, where prices are known
     "job_seconds": 0.0}        # how long they ran; not there in the first

The first try leaves the choice to SageMaker (``InstancePreferences``, CreateProcessingJob's API reference: the first of
at most five types that has capacity). Where that is not known, or finds no host, each type is tried alone: a region's
SageMaker, or Step Functions' integration with it, may be older than the field. Then the round begins again after a
while, until there would be no time left under the lease. A job that has run takes nothing from that time: the lease is
renewed for the next one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import failure

Plan = dict[str, Any]

_MOST_PREFERENCES = 5
_MOST_PASSING = 3
_PASSING_SECONDS = 30
_ROUND_SECONDS = 120
_MOST_RUNS = 6  # jobs of hours, each paid for


def first(hosts: Sequence[str], too_small: int = 0) -> Plan:
    """The first try: any of the types.

    :param too_small: GiB of memory that were too little before.
    """
    return _plan(_large_enough(hosts, too_small)[:_MOST_PREFERENCES], number=0, too_small=too_small)


def after(
    plan: Mapping[str, Any], kind: str, *, hosts: Sequence[str], host: str, spent: float, ran: bool = False
) -> tuple[Plan, int] | None:
    """The try after one that failed, and how many seconds to wait before it; ``None`` when there is nothing to try.

    :param kind: of ``failure``.
    :param hosts: all the types of the model.
    :param host: the type it ran on, or "".
    :param spent: US dollars.
    :param ran: whether a job ran, however it ended.
    """
    number, several = plan["number"] + 1, "InstancePreferences" in plan["cluster"]
    keep = {"number": number, "usd": plan["usd"] + spent, "passing": plan["passing"], "short": plan["short"]}
    keep |= {"runs": plan.get("runs", 0) + ran, "too_small": too_small(plan, kind, host)}
    if keep["runs"] >= _MOST_RUNS:
        return None
    if kind == failure.PASSING:
        count = plan["passing"] + 1
        if count > _MOST_PASSING:
            return None
        again = {**plan, **keep, "passing": count}
        return again, _PASSING_SECONDS * 2 ** (count - 1)
    if kind == failure.MEMORY:
        more = larger(hosts, keep["too_small"]) if gib(host) else []
        return (_plan(more[:1], **keep, left=more[1:]), 1) if more else None
    hosts = _large_enough(hosts, keep["too_small"])
    if kind == failure.UNKNOWN_TO_SERVICE:
        return (_plan(hosts[:1], **keep, left=hosts[1:]), 1) if several else None
    if kind not in (failure.CAPACITY, failure.QUOTA, failure.NO_QUOTA):
        return None
    if several:
        return _plan(hosts[:1], **keep, left=hosts[1:]), 1
    keep["short"] = plan["short"] or kind != failure.NO_QUOTA
    if left := plan["left"]:
        return _plan(left[:1], **keep, left=left[1:]), 1
    if not keep["short"]:
        return None
    return _plan(hosts[:1], **{**keep, "short": False}, left=hosts[1:]), _ROUND_SECONDS


def too_small(plan: Mapping[str, Any] | None, kind: str, host: str) -> int:
    """GiB of memory that are known to be too little after a try that failed, or 0.

    :param kind: of ``failure``.
    :param host: the type it ran on, or "".
    """
    known = int((plan or {}).get("too_small", 0))
    return max(known, gib(host)) if kind == failure.MEMORY else known


def larger(hosts: Sequence[str], than: int) -> list[str]:
    """The types that are known to have more GiB of memory than were too little; none where that is not known (0)."""
    return [host for host in hosts if gib(host) > than > 0]


def _large_enough(hosts: Sequence[str], too_small: int) -> list[str]:
    """The types to choose from; those with the most memory where all were too small, and somebody insists."""
    if not too_small:
        return list(hosts)
    most = max(map(gib, hosts))
    return larger(hosts, too_small) or [host for host in hosts if gib(host) == most]


def _plan(
    hosts: Sequence[str],
    *,
    number: int,
    left: Sequence[str] = (),
    short: bool = False,
    passing: int = 0,
    runs: int = 0,
    too_small: int = 0,
    usd: float = 0.0,
) -> Plan:
    return {
        "number": number,
        "cluster": _cluster(hosts),
        "left": list(left),
        "short": short,
        "passing": passing,
        "runs": runs,
        "too_small": too_small,
        "usd": usd,
    }


def gib(host: str) -> int:
    """Memory of a general, compute or memory type by its name, else 0: 4, 2 or 8 GiB a vCPU (EC2's pages)."""
    found = re.fullmatch(r"ml\.([cmr])\d[a-z-]*\.(?:(\d*)x)?large", host)
    if not found:
        return 0
    vcpus = 2 if found[2] is None else 4 * int(found[2] or 1)
    return vcpus * {"c": 2, "m": 4, "r": 8}[found[1]]


def _cluster(hosts: Sequence[str]) -> dict[str, Any]:
    """``InstancePreferences`` and ``InstanceType`` exclude each other."""
    if len(hosts) == 1:
        return {"InstanceType": hosts[0], "InstanceCount": 1}
    return {"InstancePreferences": [{"InstanceType": host, "InstanceCount": 1} for host in hosts]}
