"""The model that a fleet serves, and how it is reached."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog import software

from ..deployment import Fleet
from ..findings import Problem
from .common import Surroundings, fits_target, holds_model, other_place


def fleet_models_fit(fleet: Fleet, around: Surroundings) -> Iterator[Problem]:
    if fleet.model is None:
        return
    if fleet.purpose == "training":
        yield Problem(
            "NCDK-FLEET-002",
            ("model",),
            "a training fleet serves no model",
            fix="remove model, or set purpose to inference",
        )
    if around.model:
        yield from fits_target(("instance_types",), fleet.instance_types, fleet.model, around.model)
        yield from holds_model(("instance_types",), fleet.instance_types, fleet.model, around.model)
        engine = around.model.engine
        if not software.has_server(engine):
            able = [each for each in software.ENGINES if software.has_server(each) and each != "onnxruntime"]
            yield Problem(
                "NCDK-SERVE-005",
                ("model",),
                f"model {fleet.model} is compiled by {engine}, whose programs no server of AWS's images runs",
                ", ".join(able),
                "compile it with an engine that has a server, or leave model out and run the program yourself",
            )


def models_are_reached(fleet: Fleet, around: Surroundings) -> Iterator[Problem]:
    if fleet.serving and fleet.model is None:
        yield Problem(
            "NCDK-SERVE-002",
            ("serving",),
            "there is nothing to serve: the fleet has no model",
            fix="add model: …, or remove serving",
        )
        return
    if fleet.model is None:
        return
    application = fleet.serving is None or fleet.serving.load_balancer == "application"
    if application and around.zones is not None and len(around.zones) == 1:
        yield Problem(
            "NCDK-SERVE-004",
            ("serving", "load_balancer") if fleet.serving else ("model",),
            f"an application load balancer needs two zones, and the network has {around.zones[0]} alone",
            "application in a network of two zones or more; network in any",
            "add serving: {load_balancer: network}, or a zone to the network",
        )
    certificate = fleet.serving.certificate if fleet.serving else None
    if certificate and (other := other_place(certificate, around)):
        yield Problem(
            "NCDK-SERVE-003",
            ("serving", "certificate"),
            f"this certificate is in {other}, and a load balancer takes those of its own account and region",
            f"a certificate in {around.place}",
            "request or import it there",
        )
