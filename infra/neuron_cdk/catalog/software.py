"""Which chip, engine, SDK, image, host driver and service work together.

One row of ``data/software.json`` is one published image: the SDK inside it, the chips it is for, and for each engine
the services where it can run. What ended, and why, is a list of its own. Nothing about a version is written in code.

Targets are what a model is compiled for, services are where a container runs: ``endpoint``, ``processing`` and
``training`` are SageMaker's, ``ec2`` is a fleet. Compiling happens in processing jobs on CPU hosts, which need no
Neuron driver. AWS's image lists give tags, not digests, so ``image_digest`` stays None until a source gives one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from neuron_cdk.catalog import regions
from neuron_cdk.catalog._data import nearest, read

TARGETS = ("inf1", "inf2", "trn1", "trn1n", "trn2", "cpu")
ENGINES = (
    "torch-neuronx",
    "optimum",
    "nxd-inference",
    "vllm",
    "neuronx-cc",
    "tensorflow-neuronx",
    "torch-neuron",
    "onnxruntime",
)
SERVICES = {
    "endpoint": "a SageMaker endpoint",
    "processing": "a SageMaker processing job",
    "training": "a SageMaker training job",
    "ec2": "EC2",
}

ONE_PROGRAM_A_SHAPE = ("onnxruntime", "torch-neuron", "torch-neuronx")
"""Engines whose artifact is a program for each shape: each shape is compiled as an artifact of its own, beside the
others, and one more shape compiles that one alone. What the others make of several shapes is one whole.
"""

EMBEDDED_ACCOUNT = "000000000000"  # the embedded AWS; the only registry with an image for target cpu

_Record = dict[str, Any]


class UnknownName(LookupError):  # noqa: N818  (it names what is wrong)
    """No such target, engine, service, SDK or operating system. ``nearest`` is the closest name, if any is close."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        known = tuple(known)
        self.name = name
        self.nearest = nearest(name, known)
        hint = f"did you mean {self.nearest}?" if self.nearest else f"known: {', '.join(known)}"
        super().__init__(f"the catalogue has no {what} {name!r}; {hint}")


class DeadCombination(LookupError):  # noqa: N818  (it names what is wrong)
    """Something that never worked together, or no longer does. ``last_working`` is the last SDK that did, if any."""

    def __init__(self, message: str, last_working: str | None) -> None:
        self.last_working = last_working
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Software:
    """One working combination. ``sdk`` is a Neuron SDK, for target cpu a version of ONNX Runtime."""

    sdk: str
    target: str
    engine: str
    service: str
    framework: str
    framework_version: str
    python: str
    os: str  # inside the image
    host_driver: str | None  # Neuron driver of the service's hosts; None where none is needed or none is documented
    image: str  # full URI for the region
    image_digest: str | None
    neuron_compiler_version: str | None  # neuronx-cc of the SDK, neuron-cc for inf1; None for target cpu
    warnings: tuple[str, ...]
    sources: tuple[str, ...]  # ids of catalog.provenance


def sdks() -> tuple[str, ...]:
    """Every Neuron SDK release the catalogue knows, newest first."""
    return tuple(record["sdk"] for record in read("software")["sdks"])


def resolve(*, target: str, engine: str, service: str, region: str, sdk: str | None = None) -> Software:
    """What runs ``engine`` for ``target`` on ``service`` in ``region``.

    Without ``sdk`` the newest that all of them support together, leaving out those that the documentation says do not
    run on the service's host driver (when it leaves any). What merely was not shown to run is a warning.

    Raises :class:`DeadCombination`, :class:`UnknownName` or :class:`~neuron_cdk.catalog.regions.UnknownRegion`.
    """
    sdk = sdk or newest_common_sdk(target=target, engine=engine, services=(service,))
    image = _image(target, engine, service, sdk)
    release = _release(sdk)
    host = _host(target, service)
    sources = [image["source"], *(record["source"] for record in (release, host) if record)]
    return Software(
        sdk=sdk,
        target=target,
        engine=engine,
        service=service,
        framework=image["framework"],
        framework_version=image["framework_version"],
        python=image["python"],
        os=image["os"],
        host_driver=host["driver"] if host else None,
        image=_uri(image, region),
        image_digest=image.get("digest"),
        neuron_compiler_version=image.get("compiler", release["neuronx_cc"] if release else None),
        warnings=_warnings(image, target, engine, service),
        sources=tuple(dict.fromkeys(sources)),
    )


def has_server(engine: str) -> bool:
    """Whether AWS's images carry a server for what the engine makes, on SageMaker and on EC2 alike."""
    _check("engine", engine, ENGINES)
    return any("endpoint" in image["serves"].get(engine, ()) for image in read("software")["images"])


def newest_common_sdk(*, target: str, engine: str, services: Iterable[str]) -> str:
    """The newest SDK with which ``engine`` runs for ``target`` on every one of ``services``, chosen as in `resolve`.

    Raises :class:`DeadCombination` or :class:`UnknownName`.
    """
    services = tuple(services)
    offers: list[set[str]] = [{image["sdk"] for image in _images(target, engine, service)} for service in services]
    common = set.intersection(*offers)
    if not common:
        together = " and ".join(SERVICES[service] for service in services)
        raise DeadCombination(f"no SDK runs {engine} for target {target} on {together} alike", None)
    newest_first = sorted(common, key=_version, reverse=True)
    sound = (sdk for sdk in newest_first if not any(_conflicts(sdk, target, service) for service in services))
    return next(sound, newest_first[0])


def ami_parameter(target: str, *, os: str | None = None) -> str:
    """Name of the SSM parameter with the newest Neuron base DLAMI (driver, EFA, Docker; no framework) for a fleet.

    Its driver may be too new for the chip: :func:`host_driver` says which to put in its place.

    ``os`` is ``ubuntu-24.04`` (the default) or ``amazon-linux-2023``. Raises :class:`DeadCombination` for targets
    without such an AMI and :class:`UnknownName` for another operating system.
    """
    _check("target", target, TARGETS)
    for end in read("software")["amis_ended"]:
        if target in end["targets"]:
            last: str | None = end.get("last")
            raise DeadCombination(f"{end['why']}{_last(last)}", last)
    by_os: dict[str, str] = {
        ami["os"]: ami["parameter"] for ami in read("software")["amis"] if target in ami["targets"]
    }
    if os is None:
        return next(iter(by_os.values()))  # the file has the preferred one first
    _check("Neuron DLAMI for", os, by_os)
    return by_os[os]


def host_driver(target: str) -> str | None:
    """The Neuron driver that a fleet's instances need instead of the one in their AMI, or None where that one fits.

    A version prefix for a package manager to pin, such as ``2.24``: the last drivers for a chip still get fixes.
    """
    _check("target", target, TARGETS)
    pins = (pin["driver"] for pin in read("software")["pinned_drivers"] if target in pin["targets"])
    return next(pins, None)


def inference_ami_version(target: str) -> str | None:
    """SageMaker's InferenceAmiVersion for an endpoint variant, or None where there is none to set.

    Without it AWS's own tests met hosts with driver 2.10, older than any image in the table expects.
    """
    _check("target", target, TARGETS)
    amis = (ami["name"] for ami in read("software")["inference_amis"] if target in ami["targets"])
    return next(amis, None)


def compile_hosts(target: str, engine: str) -> tuple[str, ...]:
    """SageMaker processing instance types to compile on, in order of preference: CPU hosts, at most five.

    Memory decides: 64 GiB for a traced program (the compiler was killed for want of it on 16), 192 and more for a
    language model (32 is too little for one of seven billion parameters), and 384 and more for chips that hold larger
    ones, whose weights are sharded in the host's memory.
    """
    _check("target", target, TARGETS)
    _check("engine", engine, ENGINES)
    groups = read("software")["compile_hosts"]
    fits = (each for each in groups if engine in each["engines"] and target in each.get("targets", TARGETS))
    return tuple(next(fits)["hosts"])


def _images(target: str, engine: str, service: str) -> list[_Record]:
    """The rows for a combination, newest SDK first, those of one SDK as in the file. Raises when there is none."""
    _check("target", target, TARGETS)
    _check("engine", engine, ENGINES)
    _check("service", service, SERVICES)
    images = [
        image
        for image in read("software")["images"]
        if target in image["targets"] and service in image["serves"].get(engine, ())
    ]
    if not images:
        end = _end(target, engine, service)
        last: str | None = end.get("last")
        raise DeadCombination(_dead(target, engine, service, None, end["why"], last), last)
    return sorted(images, key=lambda image: _version(image["sdk"]), reverse=True)


def _image(target: str, engine: str, service: str, sdk: str) -> _Record:
    """The row for a combination with this SDK. Raises when there is none."""
    images = _images(target, engine, service)
    for image in images:
        if image["sdk"] == sdk:
            return image
    known = [image["sdk"] for image in images]
    _check("SDK", sdk, dict.fromkeys([*known, *sdks()]) if target != "cpu" else known)
    newest = known[0]
    if _version(sdk) > _version(newest):
        why = _end(target, engine, service)["why"]
        raise DeadCombination(_dead(target, engine, service, sdk, why, newest), newest)
    why = _beginning(target, engine, service) if _version(sdk) < min(map(_version, known)) else ""
    why = why or f"no image of that SDK is known; known are {', '.join(dict.fromkeys(known))}"
    raise DeadCombination(_dead(target, engine, service, sdk, why, newest), newest)


def _dead(target: str, engine: str, service: str, sdk: str | None, why: str, last: str | None) -> str:
    release = f" with SDK {sdk}" if sdk else ""
    return f"{engine} for target {target} does not run on {SERVICES[service]}{release}: {why}{_last(last)}"


def _last(sdk: str | None) -> str:
    return f"; the last that worked is SDK {sdk}" if sdk else ""


def _end(target: str, engine: str, service: str) -> _Record:
    """Why a combination has no (newer) row. The first record that fits; the tests see that every one has a record."""
    return next(end for end in read("software")["ended"] if _concerns(end, target, engine, service))


def _beginning(target: str, engine: str, service: str) -> str:
    """Why older SDKs than those of the table do not do it, where that is known."""
    begun = (first["why"] for first in read("software")["began"] if _concerns(first, target, engine, service))
    return next(begun, "")


def _concerns(record: _Record, target: str, engine: str, service: str) -> bool:
    given = {"targets": target, "engines": engine, "services": service}
    return all(record[key] == ["*"] or name in record[key] for key, name in given.items())


@cache
def _release(sdk: str) -> _Record | None:
    return next((record for record in read("software")["sdks"] if record["sdk"] == sdk), None)


def _host(target: str, service: str) -> _Record | None:
    hosts: list[_Record] = read("software")["hosts"]
    return next((host for host in hosts if service in host["services"] and target in host["targets"]), None)


def _conflicts(sdk: str, target: str, service: str) -> list[str]:
    """What the documentation says against this SDK's runtime on the driver of the service's hosts."""
    release, host = _release(sdk), _host(target, service)
    if not release or not host or not release["runtime"]:
        return []
    runtime, driver = _version(release["runtime"]), _version(host["driver"])

    def excluded(limit: _Record) -> bool:
        return (
            target in limit["targets"]
            and runtime >= _version(limit.get("runtime_from", "0"))
            and runtime < _version(limit.get("runtime_before", "999"))
            and driver >= _version(limit.get("driver_from", "0"))
            and driver < _version(limit.get("driver_before", "999"))
        )

    return [
        f"SDK {sdk} brings Neuron runtime {release['runtime']}, and driver {host['driver']} is on {host['what']}, "
        f"but {limit['says']}"
        for limit in read("software")["limits"]
        if excluded(limit)
    ]


def _warnings(image: _Record, target: str, engine: str, service: str) -> tuple[str, ...]:
    sdk = image["sdk"]
    release, host = _release(sdk), _host(target, service)
    found = _conflicts(sdk, target, service)
    if service == "endpoint" and release and host and not found and _expects_newer(release, host):
        found.append(
            f"SDK {sdk} was released with driver {release['driver']} and has not been shown to run with driver "
            f"{host['driver']}, which is on {host['what']}"
        )
    if service == "training":
        found.append("the Neuron driver of SageMaker's training hosts is documented nowhere")
    note = image.get("note", {})
    if target in note.get("targets", ()) and service in note.get("services", SERVICES):
        found.append(note["says"])
    found += [doubt["says"] for doubt in read("software")["doubts"] if _concerns(doubt, target, engine, service)]
    return tuple(found)


def _expects_newer(release: _Record, host: _Record) -> bool:
    """Whether the SDK was released with a newer driver than the host's, patch levels aside."""
    return bool(release["driver"]) and _version(release["driver"])[:2] > _version(host["driver"])[:2]


def _uri(image: _Record, region: str) -> str:
    place = regions.get(region)
    name = f"{image['repository']}:{image['tag']}"
    if image["registry"] == "public":
        return f"public.ecr.aws/{name}"
    if image["registry"] == "embedded":
        return f"{EMBEDDED_ACCOUNT}.dkr.ecr.{region}.{place.dns_suffix}/{name}"
    data = read("software")
    served = data["limited_repositories"].get(image["repository"], data["accounts"])
    if region not in served:
        raise DeadCombination(f"AWS publishes {image['repository']} in no registry of region {region}", None)
    return f"{data['accounts'][region]}.dkr.ecr.{region}.{place.dns_suffix}/{name}"


def _check(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UnknownName(what, name, known)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
