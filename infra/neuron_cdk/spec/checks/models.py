"""Models: their files, and which software compiles them for what. What an engine can do is in ``engines``."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from neuron_cdk.catalog import prices, regions, software

from ..deployment import Deployment
from ..findings import Problem
from ..source import Pointer
from ..uses import compiles, sdk, services, uses
from .common import some
from .engines import engines_for


def models_exist(deployment: Deployment) -> Iterator[Problem]:
    used = list(uses(deployment))
    for pointer, name in used:
        if name not in deployment.models:
            close = get_close_matches(name, deployment.models, n=1)
            yield Problem(
                "NCDK-MODEL-002",
                pointer,
                "there is no such model" + (f"; did you mean {close[0]}?" if close else ""),
                allowed=some(list(deployment.models)) or "a name from models, which is empty",
                given=name,
            )
    for name in deployment.models:
        if name not in {name for _, name in used}:
            message = "nothing uses this model; it is compiled all the same"
            yield Problem("NCDK-MODEL-003", ("models", name), message, given=name)


def engine_fits_target(deployment: Deployment) -> Iterator[Problem]:
    """The table's dead ends, after the one rule that needs no table: ONNX Runtime and the CPU go together."""
    for name, model in deployment.models.items():
        wanted, at = model.compile, ("models", name, "compile")
        if (wanted.engine == "onnxruntime") != (wanted.target == "cpu"):
            yield Problem(
                "NCDK-COMPILE-004",
                (*at, "engine"),
                f"{wanted.engine} does not compile for {wanted.target}",
                "onnxruntime for cpu" if wanted.target == "cpu" else "a Neuron engine for a Neuron target",
            )
        elif wanted.target == "cpu" and deployment.environment.account != software.EMBEDDED_ACCOUNT:
            yield Problem(
                "NCDK-COMPILE-003",
                (*at, "target"),
                "target cpu is for the embedded AWS: no AWS image carries ONNX Runtime",
                "inf1, inf2, trn1, trn1n, trn2",
                f'compile for a Neuron chip, or deploy to account "{software.EMBEDDED_ACCOUNT}"',
            )
        else:
            yield from _combination(deployment, name, at)


def compiles_have_a_price(deployment: Deployment) -> Iterator[Problem]:
    """Whether the catalogue knows what the hosts cost; the embedded AWS costs nothing."""
    account, region = deployment.environment.account, deployment.environment.region
    if account == software.EMBEDDED_ACCOUNT or region not in {each.name for each in regions.all_regions()}:
        return  # an unknown region is another check's subject
    wanted = (model.compile for model in deployment.models.values())
    hosts = dict.fromkeys(host for each in wanted for host in software.compile_hosts(each.target, each.engine))
    unknown = [
        host
        for host in hosts
        if regions.sagemaker_offers(region, host, "processing") and not prices.processing_hourly(region, host)
    ]
    if unknown:
        yield Problem(
            "NCDK-COMPILE-014",
            ("environment", "region"),
            f"the catalogue has no price of processing jobs here on {some(unknown)}: of compiles on them, their billed "
            "seconds (job_seconds) are recorded, and no usd",
        )


def _combination(deployment: Deployment, name: str, at: Pointer) -> Iterator[Problem]:
    wanted = deployment.models[name].compile
    pointer = (*at, "sdk" if wanted.sdk else "engine")
    try:
        chosen = sdk(wanted)
        for service in services(deployment, name):
            found = software.resolve(
                target=wanted.target,
                engine=wanted.engine,
                service=service,
                region=deployment.environment.region,
                sdk=chosen,
            )
            for warning in found.warnings:
                yield Problem("NCDK-COMPILE-006", pointer, warning, given=found.sdk)
    except software.DeadCombination as dead:
        # An SDK helps where one has the engine for everything that the model is used for.
        helps = dead.last_working and compiles(wanted.engine, wanted.target, services(deployment, name))
        last = f'sdk: "{dead.last_working}" is the last that worked; or ' if helps else ""
        able = [each for each in engines_for(deployment, name) if each != wanted.engine and not wanted.sdk]
        fix = f"{last}take another engine or target"
        yield Problem("NCDK-COMPILE-005", pointer, str(dead), ", ".join(able), fix)
    except software.UnknownName as unknown:
        yield Problem("NCDK-COMPILE-005", pointer, str(unknown), ", ".join(software.sdks()[:5]))
    except regions.UnknownRegion:
        return  # another check's subject
