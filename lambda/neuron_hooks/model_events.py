"""What the model hooks tell the world of a compile or a release: one call logs it, sends an event and measures it.

An event goes to the default bus with the source ``neuron-cdk.models``. Its detail always has ``version`` (1),
``time`` (seconds since the epoch), ``model``, ``key`` (the artifact key, 64 hexadecimal digits, or empty where a
release has none) and ``execution``, and of ``FACTS`` what is known. What is no fact of this list stays in the log.
Delivery is at least once: a hook that is called twice tells twice.

Metrics lie in ``NeuronCdk/Models``, each once with the dimension ``Model`` and once without any. Source of their form:
CloudWatch User Guide, "Specification: Embedded metric format"; a dimension set may be empty.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import aws, log

SOURCE = "neuron-cdk.models"
NAMESPACE = "NeuronCdk/Models"
VERSION = 1
_MOST_CHARACTERS = 3000

Name = Literal[
    "started",
    "hit",
    "miss",
    "ready",
    "failed",
    "remembered",
    "waiting",
    "release started",
    "awaiting approval",
    "released",
    "rolled back",
]


@dataclass(frozen=True)
class Fact:
    """A field of an event's detail: its JSON type and what it says."""

    type: Literal["string", "number"]
    meaning: str


ALWAYS = {
    "version": Fact("number", "Of this schema: 1. Fields are only added to a version."),
    "time": Fact("number", "When it was told, in seconds since the epoch."),
    "model": Fact("string", "The model's name in the deployment file."),
    "key": Fact(
        "string", "The artifact key: 64 hexadecimal digits. Empty where there is none yet: a mirror comes first."
    ),
    "execution": Fact("string", "The execution that did it; the log lines of its hooks have the same name."),
}
"""What every event has."""

FACTS = {
    "attempt": Fact("string", "Which attempt at the artifact: 8 hexadecimal digits."),
    "trigger": Fact("string", "Who asked: `deploy`, `person`, `watch` (a new source), `need` (of another artifact); "
                    "of a release also `artifact` and `rollback`."),
    "engine": Fact("string", "The compiler: `torch-neuronx`, `onnxruntime`, …"),
    "target": Fact("string", "The chip: `inf2`, `trn1`, …, or `cpu`."),
    "sdk": Fact("string", "The Neuron SDK's version, or ONNX Runtime's."),
    "host": Fact("string", "The instance type it was compiled on."),
    "job_seconds": Fact("number", "How long the processing jobs of all tries ran, in seconds; the last on `host`. They "
                        "are billed by the second, at the region's price."),
    "artifact_uri": Fact("string", "Where the artifact lies: `s3://bucket/artifacts/<key>/<attempt>/`."),
    "compile_seconds": Fact("number", "How long the compile took."),
    "usd": Fact("number", "What the compile cost; absent where no price is known."),
    "max_error": Fact("number", "The greatest difference from the golden outputs that verification saw."),
    "reason": Fact("string", "Why: the end of what the compiler or the check said, at most 3,000 characters."),
    "log_url": Fact("string", "The job's log in the CloudWatch console."),
    "release": Fact("string", "The release's id."),
    "release_target": Fact("string", "What is released to: `endpoint/embed`, `fleet/serve`."),
    "previous_key": Fact("string", "The artifact key that was served before, and is again after a roll-back."),
    "by": Fact("string", "Who asked for the release, where that is known."),
}  # fmt: skip
"""What an event may have beside."""


@dataclass(frozen=True)
class Kind:
    """One thing to tell. ``detail_type`` is empty for what is no event: log and metrics are enough.

    :param surely: facts that are always given.
    :param counts: the metric that goes up by one.
    """

    detail_type: str
    meaning: str
    surely: tuple[str, ...] = ()
    counts: str = ""


KINDS: dict[Name, Kind] = {
    "started": Kind(
        "Neuron Compile Started", "A lease was taken and a compile begins.", ("attempt", "engine", "target", "sdk")
    ),
    "hit": Kind("Neuron Artifact Hit", "A request found its artifact ready.", ("artifact_uri",), "Hits"),
    "miss": Kind("Neuron Artifact Missed", "A request found no artifact, so one is compiled.", (), "Misses"),
    "ready": Kind("Neuron Artifact Ready", "An artifact was compiled, checked and published.", ("artifact_uri",)),
    "failed": Kind("Neuron Compile Failed", "An attempt ended without an artifact.", ("attempt", "reason"), "Failures"),
    "remembered": Kind("", "A request was answered with an earlier failure.", counts="RememberedFailures"),
    "waiting": Kind("", "A request waits for a compile that another began."),
    "release started": Kind(
        "Neuron Release Started", "A release holds its target and begins.", ("release_target", "trigger")
    ),
    "awaiting approval": Kind(
        "Neuron Release Awaiting Approval", "A release waits for a person's yes.", ("release_target",)
    ),
    "released": Kind("Neuron Model Released", "The target serves the artifact.", ("release_target",), "Released"),
    "rolled back": Kind(
        "Neuron Release Rolled Back",
        "A release went wrong; the target serves what it served before.",
        ("release_target", "reason"),
        "RolledBack",
    ),
}

UNITS = {
    "Hits": "Count",
    "Misses": "Count",
    "DeployMisses": "Count",
    "Failures": "Count",
    "RememberedFailures": "Count",
    "Released": "Count",
    "RolledBack": "Count",
    "StuckLeases": "Count",
    "RuntimeMisses": "Count",
    "CompileMinutes": "None",
    "CompileUsd": "None",
    "VerificationMaxError": "None",
}


def tell(name: Name, *, key: str, execution: str, model: str, **facts: Any) -> None:
    """Tell it: first the log line and the metrics, which cannot fail, then the event.

    A fact that is None or empty is left out. An event that EventBridge does not take fails nobody's compile: an
    artifact would be lost for want of a message about it. The log then says which event was lost, and why.

    :param execution: the execution's name, or its hook's request id.
    :param facts: of ``FACTS``; others go to the log alone. Never a response URL or a token.
    """
    now = time.time()
    known = {fact: value for fact, value in facts.items() if value is not None and value != ""}
    log.decision(name, key=key, execution=execution, model=model, **known)
    if document := metrics(name, model, known, now):
        print(json.dumps(document), flush=True)
    if not KINDS[name].detail_type:
        return
    try:
        told = event(name, key=key, execution=execution, model=model, facts=known, now=now)
        aws.put_events(SOURCE, [told], hurried=True)
    except Exception as error:
        log.decision(
            "event lost",
            key=key,
            execution=execution,
            event=KINDS[name].detail_type,
            error=f"{type(error).__name__}: {error}",
        )


def event(
    name: Name, *, key: str, execution: str, model: str, facts: Mapping[str, Any], now: float
) -> tuple[str, dict[str, Any]]:
    """The detail type and the detail. Texts are kept to their last 3,000 characters."""
    common = {"version": VERSION, "time": int(now), "model": model, "key": key, "execution": execution}
    told = {fact: _typed(FACTS[fact], value) for fact, value in facts.items() if fact in FACTS}
    return KINDS[name].detail_type, {**common, **{fact: value for fact, value in told.items() if value is not None}}


def metrics(name: Name, model: str, facts: Mapping[str, Any], now: float) -> dict[str, Any] | None:
    """A document in CloudWatch's embedded metric format, to be printed as a line; None where nothing is measured."""
    values: dict[str, float] = {KINDS[name].counts: 1} if KINDS[name].counts else {}
    if name == "miss" and facts.get("trigger") == "deploy":
        values["DeployMisses"] = 1
    if name in ("ready", "failed"):  # a compile that failed took its time and its money too
        if "compile_seconds" in facts:
            values["CompileMinutes"] = round(float(facts["compile_seconds"]) / 60, 4)
        if "usd" in facts:
            values["CompileUsd"] = float(facts["usd"])
    # Values that are no numbers (NaN, infinite) come of models that are broken; CloudWatch takes none.
    if name == "ready" and math.isfinite(worst := float(facts.get("max_error", math.inf))):
        values["VerificationMaxError"] = worst
    return measured(values, model, now) if values else None


def measured(values: Mapping[str, float], model: str, now: float) -> dict[str, Any]:
    """Values for one model and for all; those without a model only for all."""
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Model"], []] if model else [[]],
        "Metrics": [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in values],
    }
    dimensions = {"Model": model} if model else {}
    return {"_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}, **dimensions, **values}


def schema(name: Name) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a detail."""
    kind = KINDS[name]
    facts = {**ALWAYS, **FACTS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.detail_type,
        "description": kind.meaning,
        "type": "object",
        "properties": {fact: {"type": facts[fact].type, "description": facts[fact].meaning} for fact in facts},
        "required": [*ALWAYS, *kind.surely],
    }


def _typed(fact: Fact, value: Any) -> str | float | None:
    if fact.type == "number":
        number = value if isinstance(value, int | float) else float(value)
        return number if math.isfinite(number) else None
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else "…" + text[1 - _MOST_CHARACTERS :]
