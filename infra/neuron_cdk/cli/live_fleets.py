"""Fleets as they are now: their stacks' outputs, their Auto Scaling groups, and what their controllers say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from neuron_cdk.doctor.aws import AskError, FailedError
from neuron_cdk.doctor.boto import answered

from .deployed import invoke
from .deployed import outputs as _outputs
from .failure import NotDoneError

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws

_AT_ONCE = 8
_GROUPS_A_CALL = 50  # as many names as DescribeAutoScalingGroups takes


@dataclass(frozen=True, slots=True)
class LivePool:
    """One Auto Scaling group; ``in_service`` counts the instances that serve now."""

    name: str
    group: str
    min: int
    max: int
    desired: int
    in_service: int


@dataclass(frozen=True, slots=True)
class LiveFleet:
    """A fleet of the file. Without a stack it is not deployed, and has nothing else."""

    name: str
    stack: str
    deployed: bool = False
    pools: tuple[LivePool, ...] = ()
    controller: str | None = None
    """Its function."""
    owns_size: bool = True
    """Whether the controller sets the size; else AWS scales the one group itself."""
    return_after_s: int = 0
    """How long the controller believes in a shortage, or in launches that fail, after it last saw one."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What the controller answers to ``show``: ``state``, ``seen``, ``refreshing``. ``error`` is why it does not."""

    @property
    def desired(self) -> int:
        return sum(pool.desired for pool in self.pools)

    @property
    def in_service(self) -> int:
        return sum(pool.in_service for pool in self.pools)

    @property
    def target(self) -> int | None:
        """How many instances there should be; None when the controller, who knows, does not say."""
        if not self.owns_size:
            return self.desired
        target = self.told.get("state", {}).get("target")
        return target if isinstance(target, int) else None

    @property
    def missing(self) -> str:
        """Why nothing can be done with a fleet that is not deployed."""
        return f"fleet {self.name} is not deployed: there is no stack {self.stack}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it, a sentence each."""
        state = self.told.get("state", {})
        short = self._lately({pool: shortage["at"] for pool, shortage in state.get("short", {}).items()})
        failing, refreshing = self._lately(state.get("failing", {})), self.told.get("refreshing")
        notes = {
            f"the controller does not answer: {self.told.get('error')}": "error" in self.told,
            f"{state.get('unplaced')} of the target are in no pool: all are short": bool(state.get("unplaced")),
            f"short of capacity: {', '.join(short)}": bool(short),
            f"launches fail in {', '.join(failing)}: see the group's activities": bool(failing),
            f"instances are being replaced, for version {refreshing}": bool(refreshing),
        }
        return tuple(note for note, true in notes.items() if true)

    def _lately(self, times: Mapping[str, int]) -> list[str]:
        """Pools of which a time is less than the controller's pause ago; it keeps older ones, and minds them no more.

        Ago by the controller's clock: the embedded AWS's may run ahead.
        """
        now = self.told.get("state", {}).get("now", 0)
        return sorted(pool for pool, at in times.items() if now < at + self.return_after_s)

    def to_json(self) -> dict[str, Any]:
        totals = {"desired": self.desired, "in_service": self.in_service, "target": self.target}
        return asdict(self) | (totals if self.deployed else {})


def read(aws: BotoAws, deployment: str, names: Iterable[str]) -> list[LiveFleet]:
    """The fleets of a deployment, by name. Raises ``AskError`` and ``NotDoneError``."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = list(threads.map(lambda name: _outputs(aws, f"{deployment}-Fleet-{name}"), wanted := list(names)))
        groups = _groups(aws, [group for outputs in found for _, group in _pools(outputs)])
        return list(threads.map(lambda name, outputs: _live(aws, deployment, name, outputs, groups), wanted, found))


def scale(aws: BotoAws, fleet: LiveFleet, target: int) -> None:
    """Ask for another number of instances: of the controller, or of the group where AWS scales the group itself.

    Raises ``AskError``, and ``NotDoneError`` with their words when they refuse.
    """
    if not fleet.deployed or fleet.controller is None:
        raise NotDoneError(fleet.missing)
    if fleet.owns_size:
        invoke(aws, fleet.controller, {"action": "target", "target": target})
        return
    if not fleet.pools:
        raise NotDoneError(f"fleet {fleet.name} has lost its Auto Scaling group: deploy {fleet.stack} again")
    pool = fleet.pools[0]
    if not pool.min <= target <= pool.max:  # in the controller's words: nobody need know whose size it is
        raise NotDoneError(
            f"fleet {fleet.name}: a target of {target} is not within {pool.min} to {pool.max}, the limits in force"
        )
    try:
        with answered("autoscaling:SetDesiredCapacity"):
            aws.client("autoscaling").set_desired_capacity(
                AutoScalingGroupName=pool.group, DesiredCapacity=target, HonorCooldown=False
            )
    except FailedError as error:
        raise NotDoneError(f"fleet {fleet.name} cannot have {target} instances: {error}") from error


def _configuration(aws: BotoAws, function: str) -> dict[str, Any]:
    """What a controller was told of its fleet."""
    with answered("lambda:GetFunctionConfiguration"):
        configuration = aws.client("lambda").get_function_configuration(FunctionName=function)
        fleet: dict[str, Any] = json.loads(configuration["Environment"]["Variables"]["FLEET"])
    return fleet


def _live(
    aws: BotoAws, deployment: str, name: str, outputs: Mapping[str, str] | None, groups: Mapping[str, dict[str, Any]]
) -> LiveFleet:
    stack = f"{deployment}-Fleet-{name}"
    if outputs is None:
        return LiveFleet(name, stack)
    controller = outputs.get("Controller")
    configuration, told = dict[str, Any](), dict[str, Any]()
    if controller:
        configuration = _configuration(aws, controller)
        try:
            told = invoke(aws, controller, {"action": "show"})
        except (AskError, NotDoneError) as error:
            told = {"error": str(error)}
    pools = tuple(_pool(pool, group, groups[group]) for pool, group in _pools(outputs) if group in groups)
    return LiveFleet(
        name,
        stack,
        deployed=True,
        pools=pools,
        controller=controller,
        owns_size=configuration.get("owns_size", True),
        return_after_s=configuration.get("return_after_s", 0),
        told=told,
    )


def _pool(name: str, group: str, described: Mapping[str, Any]) -> LivePool:
    serving = [each for each in described.get("Instances", ()) if each["LifecycleState"] == "InService"]
    return LivePool(
        name=name,
        group=group,
        min=described["MinSize"],
        max=described["MaxSize"],
        desired=described["DesiredCapacity"],
        in_service=len(serving),
    )


def _pools(outputs: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    """Pool and group: the output is ``spot=group-a,on-demand=group-b``."""
    for pair in filter(None, (outputs or {}).get("AutoScalingGroups", "").split(",")):
        pool, _, group = pair.partition("=")
        yield pool, group


def _groups(aws: BotoAws, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    client = aws.client("autoscaling")
    with answered("autoscaling:DescribeAutoScalingGroups"):
        for start in range(0, len(names), _GROUPS_A_CALL):
            asked = {"AutoScalingGroupNames": list(names[start : start + _GROUPS_A_CALL])}
            for page in client.get_paginator("describe_auto_scaling_groups").paginate(**asked):
                found |= {group["AutoScalingGroupName"]: group for group in page["AutoScalingGroups"]}
    return found
