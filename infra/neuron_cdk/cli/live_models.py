"""Models and their artifacts as the registry has them. Fields that an older pipeline did not write are empty."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuron_cdk.doctor.boto import answered

from .deployed import ask, choose, load, output
from .failure import WrongInputError
from .live_releases import Target, targets

if TYPE_CHECKING:
    from neuron_cdk.doctor.boto import BotoAws

_DECLARED = "model#"
_NOT_AN_ARTIFACT = "#"
_MIRROR = "mirror"
_TEXTS = (
    *("state", "model", "attempt", "engine", "target", "sdk", "host", "job_name"),
    *("artifact_uri", "reason", "log_url", "lease_owner"),
)
_NUMBERS = ("registered_at", "last_used", "lease_expires", "hits")

_STACK = re.compile(r"[a-z0-9-]+-(Endpoint|Fleet)-(.+)")
"""Of a deployment, whose name has no capitals."""

Item = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One item of the registry. Times are seconds since the epoch, 0 where they are not known."""

    key: str
    state: str
    model: str = ""
    attempt: str = ""
    engine: str = ""
    target: str = ""
    sdk: str = ""
    host: str = ""
    job_name: str = ""
    artifact_uri: str = ""
    reason: str = ""
    log_url: str = ""
    lease_owner: str = ""
    registered_at: int = 0
    last_used: int = 0
    lease_expires: int = 0
    hits: int = 0
    compile_seconds: float = 0
    job_seconds: float = 0
    """How long its jobs ran, which is billed; of what is joined from parts, what theirs did together."""
    usd: float | None = None
    """None where no price is known; of what is joined from parts, what they cost together."""
    used_by: tuple[str, ...] = ()
    """``<stack arn>|<logical id>`` each."""
    parts: tuple[str, ...] = ()
    verification: Mapping[str, Any] = field(default_factory=dict)
    """As the manifest has it: ``ran``, ``left``, ``examples``, ``max_error``, ``tolerance``, ``reference``."""

    @property
    def compiled(self) -> str:
        """When, in UTC, to the minute."""
        return f"{datetime.fromtimestamp(self.registered_at, UTC):%Y-%m-%d %H:%M}" if self.registered_at else "-"

    @property
    def cost(self) -> str:
        return "-" if self.usd is None else f"${self.usd:.4f}"

    @property
    def cost_or_time(self) -> str:
        """What it cost, or what that can be reckoned from; nothing where no job ran, or an older pipeline wrote it."""
        if self.usd is not None or not self.job_seconds:
            return "" if self.usd is None else self.cost
        return f"its jobs ran {self.job_seconds:.0f} s; no price is known"

    @property
    def verified(self) -> str:
        """What of the verification ran, in a few words."""
        if not self.verification:
            return "-"
        ran = ", ".join(map(str, self.verification.get("ran", ()))) or "nothing ran"
        worst = self.verification.get("max_error")
        return f"{ran}, error {worst:.2g}" if isinstance(worst, int | float) else ran


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A model that a deploy has declared, or that only the file has (``document`` is None)."""

    name: str
    document: Mapping[str, Any] | None = None
    """The model's properties as last declared: what a compile is started with."""
    users: tuple[str, ...] = ()
    """``<stack arn>|<logical id>|<artifact key>`` each."""
    artifacts: tuple[Artifact, ...] = ()
    """The newest first; copies of sources and parts of others are not among them."""
    pieces: tuple[Artifact, ...] = ()
    """Single shapes of a model of several that nothing was joined from: a compile is at it, or one of them failed."""

    @property
    def shapes(self) -> str:
        """Those that it is compiled in, as last declared: ``batch 1, 4; sequence 128``."""
        lists = {"batch": self._list("BatchSizes"), "sequence": self._list("SequenceLengths")}
        return "; ".join(f"{name} {', '.join(values)}" for name, values in lists.items() if values)

    @property
    def is_joined(self) -> bool:
        """Whether each of its shapes is compiled by itself, and it is joined from them."""
        split = str((self.document or {}).get("Splits", "")).lower() == "true"
        return split and len(self._list("BatchSizes")) * max(1, len(self._list("SequenceLengths"))) > 1

    def _list(self, name: str) -> list[str]:
        return [str(each) for each in (self.document or {}).get(name, ())]

    @property
    def current(self) -> Artifact | None:
        """The artifact that stacks have; else what is ready, then what compiles, then what failed."""
        used = {user.rpartition("|")[2] for user in self.users}
        order = ("ready", "compiling", "failed")
        ranked = sorted(
            self.artifacts,
            key=lambda one: (one.key not in used, order.index(one.state) if one.state in order else len(order)),
        )
        return ranked[0] if ranked else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be known of it."""
        current = self.current
        others = [one for one in self.artifacts if current and one.key != current.key]
        compiling = sum(one.state == "compiling" for one in others)
        failed = [one for one in others if one.state == "failed"]
        newer = [
            one for one in others if current and one.state == "ready" and one.registered_at > current.registered_at
        ]
        notes = []
        making = sum(one.state == "compiling" for one in self.pieces)
        broken = [one for one in self.pieces if one.state == "failed"]
        if making:
            notes.append(f"compiling {making} shape{'s' if making > 1 else ''} of it")
        if broken:
            notes.append(f"{len(broken)} of its shapes failed: {first_line(broken[0].reason)}")
        if newer:
            notes.append(f"{newer[0].key[:12]} is newer")
        if self.document is None:
            notes.append("not declared: cdk deploy does that")
        if compiling:
            notes.append(f"{compiling} more compiling")
        if failed:
            notes.append(f"{len(failed)} more failed")
        if current and current.state == "failed":
            notes.append(first_line(current.reason))
        if self.document is not None and not current and not self.pieces:
            notes.append(f"no artifact: neuron-cdk models show {self.name} says why")
        return tuple(notes)

    def to_json(self) -> dict[str, Any]:
        current = self.current
        return {
            "name": self.name,
            "declared": self.document is not None,
            "current": current.key if current else None,
            "users": list(self.users),
            "artifacts": [asdict(one) for one in self.artifacts],
            "pieces": [asdict(one) for one in self.pieces],
        }


@dataclass(frozen=True, slots=True)
class Found:
    """A deployment's models, and where they were found."""

    aws: BotoAws
    deployment: str
    file: Path
    table: str
    """The registry."""
    models: Sequence[LiveModel]
    targets: Sequence[Target] = ()
    """What the release pipeline changes, by the file."""

    def pick(self, name: str) -> LiveModel:
        """One model by name. Raises ``WrongInputError`` with names that are nearly so."""
        names = [model.name for model in self.models]
        if name in names:
            return self.models[names.index(name)]
        near = difflib.get_close_matches(name, names)
        hint = f"perhaps {' or '.join(near)}" if near else f"its models: {', '.join(names) or 'none'}"
        raise WrongInputError(f"{self.deployment} has no model {name}; {hint}")


def find(file: Path | None, state: Path, as_json: bool) -> Found:
    """The models of a deployment file. To be called under ``in_words``; leaves with 2 when the file is not valid."""
    chosen = choose(file)
    deployment = load(chosen, as_json)
    aws = ask(chosen, deployment, state)
    table = output(aws, deployment.name, "Artifacts", "RegistryTable")
    models = read(aws, table, deployment.models)
    return Found(aws, deployment.name, chosen, table, models, tuple(targets(deployment)))


def read(aws: BotoAws, table: str, names: Iterable[str]) -> list[LiveModel]:
    """Every model that is named or declared, by name; one reading of the whole registry. Raises ``AskError``."""
    declared, artifacts = dict[str, Item](), list[Artifact]()
    for item in _items(aws, table):
        key = item["artifact_key"]["S"]
        if key.startswith(_DECLARED):
            declared[key.removeprefix(_DECLARED)] = item
        elif _NOT_AN_ARTIFACT not in key:
            artifacts.append(artifact(item))
    every = {one.key: one for one in artifacts}
    parts = {part for one in artifacts for part in one.parts}
    whole = [_with_cost(one, every) for one in artifacts if one.engine != _MIRROR and one.key not in parts]
    whole.sort(key=lambda one: (one.registered_at or one.lease_expires, one.key), reverse=True)
    found = []
    for name in sorted({*names, *declared}):
        item = declared.get(name, {})
        model = LiveModel(name, document=_object(_text(item, "document")) or None, users=_set(item, "users"))
        mine = tuple(one for one in whole if one.model == name)
        # One that somebody has is no piece: the model had one shape when it was deployed.
        pieces = tuple(one for one in mine if model.is_joined and not one.parts and not one.used_by)
        rest = tuple(one for one in mine if one not in pieces)
        found.append(replace(model, artifacts=rest, pieces=pieces))
    return found


def user(text: str) -> str:
    """Who has an artifact, for people: ``endpoint embed (stack prod-Endpoint-embed)``."""
    arn, logical_id = [*text.split("|"), ""][:2]
    stack = arn.partition("/")[2].partition("/")[0] or arn
    known = _STACK.fullmatch(stack)
    return f"{known[1].lower()} {known[2]} (stack {stack})" if known else f"{logical_id} of stack {stack}"


def _with_cost(one: Artifact, every: Mapping[str, Artifact]) -> Artifact:
    """What is joined from parts cost what they did."""
    parts = [every[part] for part in one.parts if part in every]
    if not parts or len(parts) < len(one.parts):
        return one
    costs = [part.usd for part in parts]
    known = [cost for cost in costs if cost is not None]
    usd = sum(known) if len(known) == len(costs) else one.usd
    return replace(one, usd=usd, job_seconds=sum(part.job_seconds for part in parts))


def read_artifact(aws: BotoAws, table: str, key: str) -> Artifact | None:
    """One artifact. Raises ``AskError``."""
    with answered("dynamodb:GetItem"):
        found = aws.client("dynamodb").get_item(TableName=table, Key={"artifact_key": {"S": key}}, ConsistentRead=True)
    return artifact(found["Item"]) if "Item" in found else None


def read_artifacts(aws: BotoAws, table: str) -> list[Artifact]:
    """Every artifact, parts and copies of sources too. Raises ``AskError``."""
    return [artifact(item) for item in _items(aws, table) if _NOT_AN_ARTIFACT not in item["artifact_key"]["S"]]


def artifact(item: Item) -> Artifact:
    """Read an item as DynamoDB gives it."""
    usd = item.get("usd", {}).get("N")
    return Artifact(
        key=_text(item, "artifact_key"),
        **{name: _text(item, name) for name in _TEXTS},  # type: ignore[arg-type]
        **{name: int(float(item.get(name, {}).get("N", 0))) for name in _NUMBERS},  # type: ignore[arg-type]
        compile_seconds=float(item.get("compile_seconds", {}).get("N", 0)),
        job_seconds=float(item.get("job_seconds", {}).get("N", 0)),
        usd=None if usd is None else float(usd),
        used_by=_set(item, "used_by"),
        parts=_set(item, "parts"),
        verification=_object(_text(item, "verification")),
    )


def first_line(text: str, most: int = 100) -> str:
    """The beginning of a reason, for a table."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= most else line[: most - 1] + "…"


def _items(aws: BotoAws, table: str) -> Iterator[Item]:
    with answered("dynamodb:Scan"):
        for page in aws.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            yield from page["Items"]


def _text(item: Item, name: str) -> str:
    return str(item.get(name, {}).get("S", ""))


def _set(item: Item, name: str) -> tuple[str, ...]:
    return tuple(sorted(item.get(name, {}).get("SS", ())))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
