"""An endpoint's scaling, brought to what a declaration says. Every step may be done again.

Alarms go before the policies they call: a policy that is gone does not tell what alarm it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import endpoint_aws, endpoint_scaling, log
from .endpoint_declaration import Declaration, Target
from .endpoint_scaling import Address
from .endpoint_seen import Registered


def settle(
    endpoint: str, declaration: Declaration | None, before: Iterable[Declaration], variants: Iterable[str]
) -> None:
    """Register what is declared and remove everything else.

    :param before: declarations whose remains are to go.
    :param variants: what is in service: one of them may be registered that no declaration knows.
    """
    wanted, known = endpoint_scaling.declared(endpoint, declaration), _known(endpoint, before)
    strange = [endpoint_scaling.variant(endpoint, name) for name in variants]
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
    wanted = endpoint_scaling.declared(endpoint, declaration)
    there = endpoint_aws.registered(wanted)
    missing = [at for at, target in wanted.items() if not endpoint_scaling.is_whole(at, target, there.get(at))]
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
    alarms = endpoint_scaling.standing_alarms(at, there)
    for old in before:
        alarms |= endpoint_scaling.alarms(at, old)
    for name in sorted(alarms):
        endpoint_aws.delete_alarm(name)
    if there is not None:
        endpoint_aws.deregister(at)
        log.decision("deregistered", key=at.id)


def _known(endpoint: str, before: Iterable[Declaration]) -> dict[Address, list[Target]]:
    found: dict[Address, list[Target]] = {}
    for declaration in before:
        for at, target in endpoint_scaling.declared(endpoint, declaration).items():
            found.setdefault(at, []).append(target)
    return found


def _fit(endpoint: str, at: Address, target: Target, there: Registered | None, before: Sequence[Target]) -> None:
    stale = endpoint_scaling.standing_alarms(at, there)
    for old in before:
        stale |= endpoint_scaling.alarms(at, old)
    for name in sorted(stale - endpoint_scaling.alarms(at, target)):
        endpoint_aws.delete_alarm(name)
    if there is not None:
        for name in endpoint_scaling.undeclared_policies(target, there):
            endpoint_aws.delete_policy(at, name)
        for name in endpoint_scaling.undeclared_schedules(target, there):
            endpoint_aws.delete_schedule(at, name)
    if not endpoint_scaling.keeps_limits(target, there, before):
        endpoint_aws.register(at, target)
    for policy in target.policies:
        endpoint_aws.put_policy(at, policy, endpoint)
    for schedule in target.schedules:
        endpoint_aws.put_schedule(at, schedule)
