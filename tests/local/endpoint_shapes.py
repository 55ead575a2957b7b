"""Twelve shapes of an endpoint as a deployment file, and how each is asked: the table of ``test_endpoint_shapes``.

They are the shapes people have on Inferentia and Trainium, on hosts that this machine can stand for: the target is cpu,
the model Magika. What differs between chips alone (host images, pools of two chips) is in ``tests/stacks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from neuron_cdk.local.sample import INPUT, SOURCE, Sample

REQUEST = {"inputs": {INPUT: [Sample().features(b"#!/bin/sh\necho one line and another\n" * 8)]}}
_WATCHED = {"max_error_rate": 0.05, "bake_minutes": 5}


@dataclass(frozen=True)
class Shape:
    """One endpoint.

    :param fields: as the file has it.
    :param ask: at once, by way of S3, or its component ``main`` by name.
    :param sleeps: whether it may have no instance when it is asked, so that the first answers are errors.
    :param short: an instance type of which there is none at the first deploy.
    """

    fields: Mapping[str, Any]
    ask: Literal["realtime", "async", "component"] = "realtime"
    sleeps: bool = False
    short: str | None = None


def _endpoint(*, least: int = 1, most: int = 1, model: str | None = "main", **fields: Any) -> dict[str, Any]:
    served = {"model": model} if model else {}
    return {**served, "instance_types": ["ml.m5.large"], "size": {"min": least, "max": most}, **fields}


def _component(model: str, least: int, most: int) -> dict[str, Any]:
    return {"model": model, "copies": {"min": least, "max": most}, "cpus": 1, "memory_mib": 2048}


SHAPES: dict[str, Shape] = {
    "single": Shape(_endpoint()),
    "all-at-once": Shape(_endpoint(rollout={"kind": "all-at-once", **_WATCHED})),
    "rolling": Shape(_endpoint(least=2, most=2, rollout={"kind": "rolling", "percent": 50, **_WATCHED})),
    "canary": Shape(
        _endpoint(least=2, most=2, rollout={"kind": "canary", "percent": 50, "wait_minutes": 5, **_WATCHED})
    ),
    "linear": Shape(
        _endpoint(least=2, most=2, rollout={"kind": "linear", "percent": 50, "wait_minutes": 5, **_WATCHED})
    ),
    "pools": Shape(
        _endpoint(
            instance_types=["ml.c5.xlarge", "ml.c5.large"],
            pool_models={"ml.c5.large": "other"},
            provision_timeout_minutes=5,
            rollout={"kind": "all-at-once", **_WATCHED},
        ),
        short="ml.c5.xlarge",
    ),
    "queue": Shape(_endpoint(mode="async", rollout={"kind": "all-at-once", **_WATCHED}), ask="async"),
    "queue-from-zero": Shape(
        _endpoint(least=0, most=1, mode="async", scaling={"metric": "backlog", "target": 5}), ask="async", sleeps=True
    ),
    "components": Shape(
        _endpoint(
            model=None,
            most=2,
            instance_types=["ml.m5.xlarge"],
            components=[_component("main", 1, 1), _component("other", 1, 1)],
            rollout={"kind": "rolling", "percent": 50},
        ),
        ask="component",
    ),
    "components-from-zero": Shape(
        _endpoint(
            model=None,
            least=0,
            most=1,
            components=[_component("main", 0, 1)],
            scaling={"metric": "concurrent-requests", "target": 4},
        ),
        ask="component",
        sleeps=True,
    ),
    "variants": Shape(
        _endpoint(
            weight=1,
            variants={"candidate": {"model": "other", "weight": 1}},
            rollout={"kind": "all-at-once", **_WATCHED},
        )
    ),
    "shadow": Shape(_endpoint(shadow={"model": "other", "percent": 100}, rollout={"kind": "all-at-once", **_WATCHED})),
}


def _model(batch_sizes: list[int]) -> dict[str, Any]:
    return {
        "source": {"s3": SOURCE},
        "task": "file-type",
        "compile": {"engine": "onnxruntime", "target": "cpu", "batch_sizes": batch_sizes},
        "smoke_test": {"request": REQUEST, "max_latency_ms": 30_000},
    }


def document(version: int) -> dict[str, Any]:
    """The deployment file in its first, second, third version: each compiles its models for other batches."""
    return {
        "name": "shapes",
        "environment": {"account": "000000000000", "region": "us-east-1"},
        "network": {"cidr": "10.40.0.0/16", "availability_zones": 2, "egress": "endpoints-only"},
        "models": {"main": _model([1, 2 * version]), "other": _model([1, 2 * version + 1])},
        "endpoints": {name: dict(shape.fields) for name, shape in SHAPES.items()},
    }
