"""Models: their files, and what they are compiled with and for."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from neuron_cdk.catalog import instances, regions, software

from ..deployment import Compile, Deployment, PathSource
from ..findings import Problem
from ..source import Pointer
from ..uses import ENGINES, sdk, services, uses
from .common import repeated, some

# What the compile job says itself: the target is part of the artifact's key, the files are where it looks for them.
_OURS = ("--target", "--framework", "--output", "-o", "--logfile", "--log-file")
_OURS_ON_INF1 = ("--io-config", "--neuroncore-pipeline-cores")  # neuron-cc's; a model has one core
_PRECISIONS = {"cpu": ("fp32",), "inf1": ("fp32", "fp16", "bf16")}


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


def sources_exist(deployment: Deployment) -> Iterator[Problem]:
    here = Path.cwd()
    for name, model in deployment.models.items():
        if not isinstance(model.source, PathSource):
            continue
        pointer = ("models", name, "source", "path")
        path = Path(model.source.path)
        try:
            # Not the folder itself: what the CDK writes there would become part of what it copies.
            inside = not path.is_absolute() and here in path.resolve().parents
            found = path.is_dir()
        except (OSError, ValueError):  # too long, a loop of links, a zero byte
            inside, found = True, False
        if not inside:
            yield Problem(
                "NCDK-SOURCE-006",
                pointer,
                "this path does not lead to a folder inside the one that the command runs in",
                "a relative path, such as models/minilm",
            )
        elif not found:
            yield Problem("NCDK-SOURCE-005", pointer, f"there is no such folder in {here}")


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


def compile_options_fit(deployment: Deployment) -> Iterator[Problem]:
    for name, model in deployment.models.items():
        wanted, at = model.compile, ("models", name, "compile")
        yield from repeated((*at, "batch_sizes"), wanted.batch_sizes)
        yield from repeated((*at, "sequence_lengths"), wanted.sequence_lengths)
        precisions = _PRECISIONS.get(wanted.target)
        if precisions and wanted.dtype not in precisions:
            message = f"{wanted.target} does not run {wanted.dtype}"
            yield Problem("NCDK-COMPILE-008", (*at, "dtype"), message, ", ".join(precisions))
        yield from _compiler_arguments((*at, "compiler_args"), wanted)
        yield from _tensor_parallel((*at, "tensor_parallel"), wanted)
        for field, values in (("batch_sizes", wanted.batch_sizes), ("sequence_lengths", wanted.sequence_lengths)):
            if wanted.engine == "neuronx-cc" and len(values) > 1:
                message = "neuronx-cc compiles a graph that has its shapes inside"
                yield Problem("NCDK-COMPILE-010", (*at, field), message, "the one that the graph has")


def _combination(deployment: Deployment, name: str, at: Pointer) -> Iterator[Problem]:
    wanted = deployment.models[name].compile
    pointer = (*at, "sdk" if wanted.sdk else "engine")
    try:
        chosen = sdk(wanted) if wanted.engine in ENGINES else wanted.sdk
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
        last = f'sdk: "{dead.last_working}" is the last that worked; or ' if dead.last_working else ""
        yield Problem("NCDK-COMPILE-005", pointer, str(dead), fix=f"{last}take another engine or target")
    except software.UnknownName as unknown:
        yield Problem("NCDK-COMPILE-005", pointer, str(unknown), ", ".join(software.sdks()[:5]))
    except regions.UnknownRegion:
        return  # another check's subject


def _compiler_arguments(pointer: Pointer, wanted: Compile) -> Iterator[Problem]:
    if wanted.engine == "onnxruntime" and wanted.compiler_args:
        yield Problem("NCDK-COMPILE-009", pointer, "ONNX Runtime takes no arguments", fix="remove compiler_args")
        return
    ours = (*_OURS, *_OURS_ON_INF1) if wanted.engine == "torch-neuron" else _OURS
    for index, argument in enumerate(wanted.compiler_args):
        if argument.split("=")[0] in ours:
            fix = "use target" if argument.startswith("--target") else "remove it"
            message = "the compile job sets this argument itself"
            yield Problem("NCDK-COMPILE-009", (*pointer, index), message, fix=fix)


def _tensor_parallel(pointer: Pointer, wanted: Compile) -> Iterator[Problem]:
    """Whether any instance of the target has the cores; whether those listed do is asked where they are listed."""
    most = max((each.neuron_cores for each in instances.all_types() if each.target == wanted.target), default=0)
    if wanted.tensor_parallel > max(1, most):
        yield Problem(
            "NCDK-COMPILE-007",
            pointer,
            f"no instance of target {wanted.target} holds a model spread over {wanted.tensor_parallel} NeuronCores",
            f"1 to {max(1, most)}",
        )
