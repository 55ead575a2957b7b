"""What must be an artifact before a model can be compiled: the mirror of its source, and the parts it is joined from.

A *part* is the same model in one shape, where the engine makes one program a shape: it has a key of its own, is
compiled beside the others, and is found again when the model gets another shape, or is asked for in this one alone. A
*mirror* is a Hugging Face repository, copied once. Both are requests as any other, so all that holds of artifacts holds
of them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..model_request import ModelRequest, Source
from . import artifact

REPOSITORY = "repository/"
"""Where in a mirror the files lie (``neuron_jobs.mirror``)."""


class NeedError(Exception):
    """What is needed was obtained, and is not there."""


def is_split(model: ModelRequest) -> bool:
    """Whether the model is joined from parts."""
    return model.splits and len(model.shapes) > 1


def parts(model: ModelRequest) -> list[ModelRequest]:
    """One request a shape, in the order of the shapes."""
    return [
        replace(model, batch_sizes=(batch,), sequence_lengths=() if length is None else (length,))
        for batch, length in model.shapes
    ]


def shape(model: ModelRequest) -> str:
    """The one shape of a part in words: ``batch 4, sequence 128``."""
    ((batch, length),) = model.shapes
    return f"batch {batch}" if length is None else f"batch {batch}, sequence {length}"


def part_properties(properties: Mapping[str, Any], part: ModelRequest) -> dict[str, Any]:
    """The properties of a part's request."""
    return {
        **properties,
        "BatchSizes": list(part.batch_sizes),
        "SequenceLengths": list(part.sequence_lengths),
        "Need": shape(part),
    }


def mirror_properties(properties: Mapping[str, Any], model: ModelRequest) -> dict[str, Any]:
    """The properties of the request for a source's mirror: those of ``Mirror``, and nothing of what is compiled."""
    return {
        **properties,
        "Engine": artifact.MIRROR,
        "Target": "cpu",
        "Dtype": "fp32",
        "BatchSizes": [],
        "SequenceLengths": [],
        "TensorParallel": 1,
        "CompilerArgs": [],
        "Splits": "",
        **model.mirror,
        "Need": f"the mirror of {model.source.repository}",
    }


def mirrored(artifact_uri: str) -> Source:
    """The source that a mirror is."""
    bucket, _, prefix = artifact_uri.removeprefix("s3://").partition("/")
    return Source("s3", bucket, prefix + REPOSITORY)


def unmet(obtained: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The first need that was not met, as an outcome of who needed it; ``None`` when all were.

    :param obtained: the outcomes of the needs' requests, each with ``need``, what it was.
    """
    for outcome in obtained:
        if outcome["status"] == "ready":
            continue
        told = {name: outcome[name] for name in ("log_url", "execution", "error", "state") if name in outcome}
        reason = outcome.get("reason")
        return {**told, "status": outcome["status"], **({"reason": f"{outcome['need']}: {reason}"} if reason else {})}
    return None


def check_progress(wanted: Sequence[Mapping[str, Any]], obtained: Sequence[Mapping[str, Any]]) -> None:
    """:raises NeedError: when something is needed that was obtained just now: asking on would never end."""
    had = {outcome["need"] for outcome in obtained}
    if again := [need["Need"] for need in wanted if need["Need"] in had]:
        raise NeedError(f"{', '.join(again)} was obtained and is not in the registry: deploy again to ask anew")
