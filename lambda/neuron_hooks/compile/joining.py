"""What an artifact of several shapes is, made of artifacts of one shape each. Pure: manifests in, a manifest out.

The joined artifact is what one job would have made of all the shapes: the programs of all parts under their own names,
what they have in common once, and descriptions of inputs and outputs in which a dimension that follows the shapes is
``"batch"`` or ``"sequence"``. A part's description has a number where its one shape does not tell; the other parts do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..manifests import ArtifactError, File

GOLDEN = "golden.json"
MOST_GOLDEN_BYTES = 256 << 10
_MOST_EXAMPLES = 4
LOG = "compile.log"
# Made anew, not copied.
_MADE = (GOLDEN, LOG)
# What the manifests of all parts say alike; the first says it for all.
_ALIKE = ("schema", "engine", "target", "sdk", "dtype", "compiler", "flags", "command")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """An artifact of one shape. ``document``: its manifest. ``prefix``: where its files lie."""

    key: str
    attempt: str
    prefix: str
    batch_size: int
    sequence_length: int | None
    document: Document
    files: tuple[File, ...]

    @property
    def shape(self) -> str:
        sequence = "" if self.sequence_length is None else f"-sequence-{self.sequence_length}"
        return f"batch-{self.batch_size}{sequence}"

    def size(self, dimension: object) -> object:
        """What a dimension of a description is in this part's shape."""
        return {"batch": self.batch_size, "sequence": self.sequence_length}.get(str(dimension), dimension)


@dataclass(frozen=True)
class Plan:
    """``copies``: a part's file and the path it gets. ``files``: what the manifest says of them. ``manifest``: all but
    its files. ``log``: the text of the whole's own log."""

    manifest: dict[str, Any]
    copies: list[tuple[Part, File, str]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    log: str = ""


def plan(key: str, parts: Sequence[Part]) -> Plan:
    """How to join parts, in the order of their shapes.

    :raises ArtifactError: they do not fit together.
    """
    made = Plan(_manifest(key, parts), log=_log(parts))
    seen: dict[str, File] = {}
    for part in parts:
        for file in part.files:
            if file.path == GOLDEN:
                continue
            path = f"logs/{part.shape}.log" if file.path == LOG else file.path
            if path in seen:  # what serves them is in each
                if seen[path].sha256 != file.sha256:
                    raise ArtifactError(f"{path} of {part.shape} is another than that of {parts[0].shape}")
                continue
            seen[path] = file
            made.copies.append((part, file, path))
            made.files.append({"path": path, "sha256": file.sha256, "bytes": file.size})
    return made


def golden(contents: Sequence[bytes]) -> bytes:
    """One ``golden.json`` of several: an example of each shape in turn, as many as one file takes.

    :raises ArtifactError: one cannot be read.
    """
    try:
        documents = [json.loads(content) for content in contents]
        queues = [list(document["examples"]) for document in documents]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{GOLDEN} cannot be read: {error!r}") from error
    tolerance = {name: max(document["tolerance"][name] for document in documents) for name in documents[0]["tolerance"]}
    taken: list[Any] = []
    while any(queues) and len(taken) < _MOST_EXAMPLES:
        for queue in queues:
            if queue and len(taken) < _MOST_EXAMPLES:
                example = queue.pop(0)
                if example not in taken and len(_golden(tolerance, [*taken, example])) <= MOST_GOLDEN_BYTES:
                    taken.append(example)
    return _golden(tolerance, taken)


def _golden(tolerance: Document, examples: Sequence[Any]) -> bytes:
    return json.dumps({"tolerance": tolerance, "examples": examples}, separators=(",", ":")).encode()


def _manifest(key: str, parts: Sequence[Part]) -> dict[str, Any]:
    documents = [part.document for part in parts]
    first = documents[0]
    for name in ("engine", "target", "sdk", "dtype", "compiler"):
        if any(document.get(name) != first.get(name) for document in documents):
            raise ArtifactError(f"the parts have different {name}: {[document.get(name) for document in documents]}")
    return {
        **{name: first[name] for name in _ALIKE if name in first},
        "artifact_key": key,
        "shapes": [{"batch_size": part.batch_size, "sequence_length": part.sequence_length} for part in parts],
        "programs": [program for document in documents for program in document["programs"]],
        "inputs": _described("inputs", parts),
        "outputs": _described("outputs", parts),
        "log": LOG,
        "compile_seconds": round(sum(float(document["compile_seconds"]) for document in documents), 3),
        **({"started_at": min(started)} if (started := _all(documents, "started_at")) else {}),
        **({"host": hosts[0]} if (hosts := _all(documents, "host")) else {}),
        **({"verification": _verification(parts)} if all("verification" in one for one in documents) else {}),
        "parts": [
            {"artifact_key": part.key, "attempt": part.attempt, "programs": [one["file"] for one in programs(part)]}
            for part in parts
        ],
    }


def programs(part: Part) -> list[dict[str, Any]]:
    """What a part's manifest lists as compiled."""
    listed: list[dict[str, Any]] = part.document["programs"]
    return listed


def _all(documents: Sequence[Document], name: str) -> list[Any]:
    return [document[name] for document in documents if name in document]


def _described(name: str, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Inputs or outputs of all shapes, from what each part says of its own."""
    columns = [part.document.get(name, []) for part in parts]
    if len({len(column) for column in columns}) != 1:
        raise ArtifactError(f"the parts have different {name}")
    described = []
    for several in zip(*columns, strict=True):
        first = several[0]
        alike = {(one["name"], one["dtype"], len(one["shape"])) for one in several}
        if len(alike) != 1:
            raise ArtifactError(f"the parts have different {name}: {sorted(alike)}")
        axes = zip(*(one["shape"] for one in several), strict=True)
        described.append({**first, "shape": [_dimension(f"{name} {first['name']}", axis, parts) for axis in axes]})
    return described


def _dimension(where: str, said: Sequence[object], parts: Sequence[Part]) -> object:
    """One dimension of all shapes: what every part calls it, or what the sizes it has in them follow."""
    if len(set(said)) == 1:
        return said[0]
    sizes = [part.size(one) for part, one in zip(parts, said, strict=True)]
    if "sequence" in said and sizes == [part.sequence_length for part in parts]:
        return "sequence"
    if "batch" in said and sizes == [part.batch_size for part in parts]:
        return "batch"
    if len(set(sizes)) == 1:
        return sizes[0]
    if sizes == [part.sequence_length for part in parts]:
        return "sequence"
    if sizes == [part.batch_size for part in parts]:
        return "batch"
    raise ArtifactError(f"{where} has a dimension that follows neither batch nor sequence: {sizes}")


def _verification(parts: Sequence[Part]) -> dict[str, Any]:
    """What was checked of every part, what of any was left, the worst error."""
    each = [part.document["verification"] for part in parts]
    ran = [name for name in each[0].get("ran", []) if all(name in one.get("ran", []) for one in each)]
    left = list(dict.fromkeys(reason for one in each for reason in one.get("left", [])))
    left += [
        f"{name}: not of every shape"
        for name in dict.fromkeys(name for one in each for name in one.get("ran", []))
        if name not in ran and not any(reason.startswith(f"{name}:") for reason in left)
    ]
    errors = [one["max_error"] for one in each if one.get("max_error") is not None]
    rest = {name: each[0][name] for name in ("tolerance", "reference") if name in each[0]}
    return {
        "ran": ran,
        "left": left,
        **({"examples": sum(one.get("examples", 0) for one in each)} if any("examples" in one for one in each) else {}),
        **({"max_error": max(errors)} if errors else {}),
        **rest,
        **({"seconds": round(sum(one["seconds"] for one in each), 3)} if all("seconds" in one for one in each) else {}),
    }


def _log(parts: Sequence[Part]) -> str:
    lines = [f"{part.shape}: compiled as artifact {part.key}, logs/{part.shape}.log" for part in parts]
    return "\n".join(["joined, nothing was compiled:", *lines, ""])
