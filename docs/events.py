"""The page about what models tell: events, metrics and log lines, from the code that tells them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from neuron_hooks import model_events

from .pages import table

_KEY = "5f0c" * 16
_EXAMPLES: dict[str, Any] = {
    "version": 1,
    "time": 1798761600,
    "model": "minilm",
    "key": _KEY,
    "execution": "0f7a3c1e-1111-2222-3333-444455556666",
    "attempt": "9b1d04ce",
    "trigger": "deploy",
    "engine": "torch-neuronx",
    "target": "inf2",
    "sdk": "2.31.1",
    "artifact_uri": f"s3://artifacts-111122223333/artifacts/{_KEY}/9b1d04ce/",
    "reason": "neuronx-cc: operator aten::foo is not supported",
    "release_target": "endpoint/embed",
}
_METRICS = {
    "Hits": "Requests that found their artifact ready.",
    "Misses": "Requests that found none, so that one is compiled.",
    "DeployMisses": "Of those, the ones a deployment waits for.",
    "Failures": "Attempts that ended without an artifact.",
    "RememberedFailures": "Requests that were answered with an earlier failure; nothing ran.",
    "CompileMinutes": "How long compiles took, in minutes.",
    "CompileUsd": "What they cost, by the catalogue's prices; a compile without a known price is not in it.",
    "VerificationMaxError": "The greatest difference from golden outputs that verification saw.",
    "Released": "Releases that ended well.",
    "RolledBack": "Releases that were taken back.",
    "StuckLeases": "Leases that ran out over an hour ago and nobody took over. Every 15 minutes, without `Model`.",
    "RuntimeMisses": "Compiler runs in serving endpoints within 20 minutes. Every 15 minutes, without `Model`.",
}

_ALARMS = [
    (
        "`stuck_leases`",
        "`StuckLeases` of 1 or more",
        "INSUFFICIENT_DATA: housekeeping itself does not run.",
    ),
    ("`failures`", "`Failures` of 1 or more in 5 minutes", "Not for failures that are answered from memory."),
    (
        "`deploy_misses`",
        "`DeployMisses` of 1 or more in 5 minutes",
        "Subscribe to it where models are compiled ahead; else the first deployment of each model is one.",
    ),
    (
        "`runtime_misses`",
        "`RuntimeMisses` of 1 or more",
        "Sees the endpoints of the registry by what Neuron's PyTorch XLA stack logs. vLLM's containers fail instead of "
        "compiling, and logs of EC2 fleets stay on the instances: neither is seen.",
    ),
]


def events() -> Iterator[str]:
    """The parts of the page."""
    kinds = {name: kind for name, kind in model_events.KINDS.items() if kind.detail_type}
    yield (
        f"What the compile and the release pipeline tell. Events go to the account's default bus with the source "
        f"`{model_events.SOURCE}`, at least once each. Details are of version {model_events.VERSION}: fields are only "
        "added to it."
    )
    yield table(
        ("detail type", "when", "always has, beside what all have"),
        [
            (f"`{kind.detail_type}`", kind.meaning, ", ".join(f"`{fact}`" for fact in kind.surely) or "-")
            for kind in kinds.values()
        ],
    )
    yield "A rule's pattern for compiles that fail and releases that are taken back:"
    yield _json(
        {"source": [model_events.SOURCE], "detail-type": ["Neuron Compile Failed", "Neuron Release Rolled Back"]}
    )
    yield "## Details"
    yield "Every detail has these."
    yield _facts(model_events.ALWAYS)
    yield "And of these what is known. What is not known is left out; no field is ever null."
    yield _facts(model_events.FACTS)
    yield "## Examples"
    yield "The least that each has:"
    for name, kind in kinds.items():
        yield f"### {kind.detail_type}"
        yield _json({fact: _EXAMPLES[fact] for fact in model_events.schema(name)["required"]})
    yield "## Metrics"
    yield (
        f"Namespace `{model_events.NAMESPACE}`, each with the dimension `Model` and, over all models, without any. "
        'A `CompilePipeline` has a method for each: `metric_hits()`, `metric_hits("minilm")`, and '
        "`metric_hit_rate()`, which is hits of all requests."
    )
    yield table(
        ("metric", "unit", "what"), [(f"`{name}`", model_events.UNITS[name], _METRICS[name]) for name in _METRICS]
    )
    yield "## Alarms"
    yield (
        "`CompilePipeline.alarms` has four, all without actions. Whom they tell is yours: "
        "`for alarm in pipeline.alarms: alarm.add_alarm_action(SnsAction(topic))`, or of one of them, "
        "`pipeline.alarms.failures`."
    )
    yield table(("alarm", "when", "to know"), _ALARMS)
    yield "## Log lines"
    yield (
        "Each decision of a hook is one line of JSON in its log group, with `decision`, `key` and `execution`; those "
        "that are told as events too have the event's facts. A message that EventBridge did not take is a line "
        "`event lost`: no compile fails for it."
    )


def _facts(facts: dict[str, model_events.Fact]) -> str:
    return table(("field", "type", "what"), [(f"`{name}`", fact.type, fact.meaning) for name, fact in facts.items()])


def _json(document: object) -> str:
    return f"```json\n{json.dumps(document, indent=2)}\n```"
