"""What somebody wants compiled: the ``Model`` property of ``Custom::NeuronCompiledModel``, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class RequestError(Exception):
    """The request cannot be understood; the message names the property."""


@dataclass(frozen=True)
class Source:
    """Where the model's files lie.

    ``kind`` is ``s3`` (``location`` is a prefix) or ``asset`` (``location`` is the key of a zip of the model's folder).
    """

    kind: str
    bucket: str
    location: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.location}"


@dataclass(frozen=True)
class ModelRequest:
    """Shapes are sorted and free of doubles, so that their order in a deployment file changes nothing."""

    name: str
    source: Source
    task: str
    engine: str
    target: str
    sdk: str
    image: str
    image_digest: str
    dtype: str
    batch_sizes: tuple[int, ...]
    sequence_lengths: tuple[int, ...]
    tensor_parallel: int
    compiler_args: tuple[str, ...]
    timeout_minutes: int
    hosts: tuple[str, ...]
    volume_size_gb: int


def parse(properties: Mapping[str, Any]) -> ModelRequest:
    """Read the properties. CloudFormation makes every scalar a string; numbers are taken either way.

    :raises RequestError: naming the property that is missing or cannot be read.
    """
    return ModelRequest(
        name=_text(properties, "Name"),
        source=_source(properties),
        task=_text(properties, "Task"),
        engine=_text(properties, "Engine"),
        target=_text(properties, "Target"),
        sdk=_text(properties, "Sdk"),
        image=_text(properties, "Image"),
        image_digest=str(properties.get("ImageDigest") or ""),
        dtype=_text(properties, "Dtype"),
        batch_sizes=tuple(sorted(set(_numbers(properties, "BatchSizes")))) or (1,),
        sequence_lengths=tuple(sorted(set(_numbers(properties, "SequenceLengths")))),
        tensor_parallel=_number("TensorParallel", properties.get("TensorParallel", 1)),
        compiler_args=tuple(str(argument) for argument in _items(properties, "CompilerArgs")),
        timeout_minutes=_number("TimeoutMinutes", _text(properties, "TimeoutMinutes")),
        hosts=tuple(str(host) for host in _items(properties, "Hosts")) or _missing("Hosts"),
        volume_size_gb=_number("VolumeSizeGb", _text(properties, "VolumeSizeGb")),
    )


def _source(properties: Mapping[str, Any]) -> Source:
    source = properties.get("Source")
    if not isinstance(source, Mapping):
        raise RequestError("Model.Source is missing")
    kind = source.get("Kind")
    if kind == "s3":
        return Source("s3", _text(source, "Bucket", "Source."), _text(source, "Prefix", "Source."))
    if kind == "asset":
        return Source("asset", _text(source, "Bucket", "Source."), _text(source, "Key", "Source."))
    raise RequestError(f"Model.Source.Kind is {kind!r}; it must be 's3' or 'asset'")


def _text(properties: Mapping[str, Any], name: str, parent: str = "") -> str:
    value = properties.get(name)
    return str(value) if value not in (None, "") else _missing(parent + name)


def _items(properties: Mapping[str, Any], name: str) -> list[Any]:
    value = properties.get(name, [])
    if not isinstance(value, list):
        raise RequestError(f"Model.{name} must be a list, not {value!r}")
    return value


def _numbers(properties: Mapping[str, Any], name: str) -> list[int]:
    return [_number(name, value) for value in _items(properties, name)]


def _number(name: str, value: object) -> int:
    text = str(value)
    if not text.isdigit() or int(text) < 1:
        raise RequestError(f"Model.{name} must be a whole number from 1, not {value!r}")
    return int(text)


def _missing(name: str) -> Any:
    raise RequestError(f"Model.{name} is missing")
