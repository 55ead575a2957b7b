"""An endpoint's scaling, brought to what a declaration says. Every step may be done again.

Alarms go before the policies they call: a policy that is gone does not tell what alarm it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import log
from . import aws as endpoint_aws
from . import scaling
from .declaration import Declaration, Target
from .scaling import Address
from .seen import Registered


def settle(
    endpoint: str, declaration: Declaration | None, before: Iterable[Declaration], variants: Iterable[str]
) -> None:
    """Register what is declared and remove everything else.

    :param before: declarations whose remains are to go.
    :param variants: what is in service: one of them may be registered that no declaration knows.
    """
    wanted, known = scaling.declared(endpoint, declaration), _known(endpoint, before)
    strange = [scaling.variant(endpoint, name) for name in variants]
    there = endpoint_aws.registered({*wanted, *known, *strange})
    for at in sorted({*there, *known} - set(wanted)):
        _remove(at, there.get(at), known.get(at, []))
    for at, target in wanted.items():
        _fit(endpoint, at, target, there.get(at), known.get(at, []))
    log.decision("scaling settled", key=endpoint, registered=[at.id for at in wanted])


def restore(endpoint: str, declaration: Declaration) -> list[str]:
    """Register what is declared and not there whole; the ids of that. What is there keeps its limits, which a schedule
    may have set.
    """
    wanted = scaling.declared(endpoint, declaration)
    there = endpoint_aws.registered(wanted)
    missing = [at for at, target in wanted.items() if not scaling.is_whole(at, target, there.get(at))]
    for at in missing:
        _fit(endpoint, at, wanted[at], there.get(at), [wanted[at]])
    return [at.id for at in missing]


def remove(endpoint: str, addresses: Iterable[Address], before: Iterable[Declaration]) -> None:
    """Deregister those that are registered, and delete the alarms that they have, or had in older declarations."""
    addresses, known = list(addresses), _known(endpoint, before)
    there = endpoint_aws.registered(addresses)
    for at in addresses:
        _remove(at, there.get(at), known.get(at, []))


def _remove(at: Address, there: Registered | None, before: Iterable[Target]) -> None:
    alarms = scaling.standing_alarms(at, there)
    for old in before:
        alarms |= scaling.alarms(at, old)
    for name in sorted(alarms):
        endpoint_aws.delete_alarm(name)
    if there is not None:
        endpoint_aws.deregister(at)
        log.decision("deregistered", key=at.id)


def _known(endpoint: str, before: Iterable[Declaration]) -> dict[Address, list[Target]]:
    found: dict[Address, list[Target]] = {}
    for declaration in before:
        for at, target in scaling.declared(endpoint, declaration).items():
            found.setdefault(at, []).append(target)
    return found


def _fit(endpoint: str, at: Address, target: Target, there: Registered | None, before: Sequence[Target]) -> None:
    stale = scaling.standing_alarms(at, there)
    for old in before:
        stale |= scaling.alarms(at, old)
    for name in sorted(stale - scaling.alarms(at, target)):
        endpoint_aws.delete_alarm(name)
    if there is not None:
        for name in scaling.undeclared_policies(target, there):
            endpoint_aws.delete_policy(at, name)
        for name in scaling.undeclared_schedules(target, there):
            endpoint_aws.delete_schedule(at, name)
    if not scaling.keeps_limits(target, there, before):
        endpoint_aws.register(at, target)
    for policy in target.policies:
        endpoint_aws.put_policy(at, policy, endpoint)
    for schedule in target.schedules:
        endpoint_aws.put_schedule(at, schedule)
