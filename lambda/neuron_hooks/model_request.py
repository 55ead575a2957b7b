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

    ``kind`` is ``s3`` (``location`` is a prefix), ``asset`` (``location`` is the key of a zip of the model's folder) or
    ``huggingface`` (``repository``, ``org/name``, at the commit ``revision``; ``token_secret_arn`` where reading it
    takes a token): that is mirrored to the artifact bucket before anything is compiled from it. ``include`` are
    patterns of files that are taken though they are not safe to load (pickles).
    """

    kind: str
    bucket: str = ""
    location: str = ""
    repository: str = ""
    revision: str = ""
    include: tuple[str, ...] = ()
    token_secret_arn: str = ""

    @property
    def uri(self) -> str:
        if self.kind == "huggingface":
            return f"huggingface://{self.repository}@{self.revision}{''.join(f'+{one}' for one in self.include)}"
        return f"s3://{self.bucket}/{self.location}"


@dataclass(frozen=True)
class Host:
    """A SageMaker instance type, and its price in US dollars an hour where one is known."""

    type: str
    usd_per_hour: float | None


@dataclass(frozen=True)
class ModelRequest:
    """Shapes are sorted and free of doubles, so that their order in a deployment file changes nothing.

    ``splits``: the engine makes one program a shape, so each shape may be compiled as an artifact of its own.
    ``mirror``: of a Hugging Face source, the properties in which a request for its mirror differs from this one.
    ``role_arn``: what a mirror's job runs under; other jobs have the pipeline's own role.
    """

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
    hosts: tuple[Host, ...]
    volume_size_gb: int
    splits: bool
    mirror: Mapping[str, Any]
    role_arn: str

    @property
    def shapes(self) -> tuple[tuple[int, int | None], ...]:
        """Every batch size with every sequence length (``None`` when the model has none)."""
        lengths: tuple[int | None, ...] = self.sequence_lengths or (None,)
        return tuple((batch, length) for batch in self.batch_sizes for length in lengths)


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
        hosts=tuple(_host(host) for host in _items(properties, "Hosts")) or _missing("Hosts"),
        volume_size_gb=_number("VolumeSizeGb", _text(properties, "VolumeSizeGb")),
        splits=str(properties.get("Splits", "")).lower() == "true",
        mirror=properties.get("Mirror") or {},
        role_arn=str(properties.get("RoleArn") or ""),
    )


def _host(host: object) -> Host:
    """``{"Type": "ml.m5.large", "UsdPerHour": "0.115" or ""}``; version 0.1.0 wrote the type alone."""
    if not isinstance(host, Mapping):
        return Host(str(host), None)
    price = str(host.get("UsdPerHour") or "")
    try:
        return Host(_text(host, "Type", "Hosts."), float(price) if price else None)
    except ValueError:
        raise RequestError(f"Model.Hosts.UsdPerHour must be a number, not {price!r}") from None


def _source(properties: Mapping[str, Any]) -> Source:
    source = properties.get("Source")
    if not isinstance(source, Mapping):
        raise RequestError("Model.Source is missing")
    kind = source.get("Kind")
    if kind == "s3":
        return Source(
            "s3", _text(source, "Bucket", "Source."), _text(source, "Prefix", "Source."), include=_patterns(source)
        )
    if kind == "asset":
        return Source(
            "asset", _text(source, "Bucket", "Source."), _text(source, "Key", "Source."), include=_patterns(source)
        )
    if kind == "huggingface":
        return _hugging_face(source)
    raise RequestError(f"Model.Source.Kind is {kind!r}; it must be 's3', 'asset' or 'huggingface'")


def _hugging_face(source: Mapping[str, Any]) -> Source:
    if mirrored := str(source.get("MirrorPrefix") or ""):  # somebody's own copy, which is a prefix as any other
        bucket, _, prefix = mirrored.removeprefix("s3://").partition("/")
        return Source("s3", bucket, prefix, include=_patterns(source))
    return Source(
        "huggingface",
        repository=_text(source, "Repository", "Source."),
        revision=_text(source, "Revision", "Source."),
        include=_patterns(source),
        token_secret_arn=str(source.get("TokenSecretArn") or ""),
    )


def _patterns(source: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({str(pattern) for pattern in _items(source, "Include")}))


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
