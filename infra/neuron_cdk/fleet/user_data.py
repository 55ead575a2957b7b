"""User data: a ``#cloud-config`` document of small files and the units that run them, for what a fleet needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .archive import pack

MOST_BYTES = 16 * 1024
_HERE = Path(__file__).resolve().parent
_BOOT = _HERE / "boot"
_PLACE = "/opt/neuron-cdk"

# Engines whose serving image takes "serve" and answers /ping and /invocations as SageMaker asks. The JAX image serves
# nothing (aws-neuron/deep-learning-containers).
_SERVE = ("torch-neuronx", "torch-neuron", "nxd-inference", "optimum", "tensorflow-neuronx", "onnxruntime")
# The vLLM image's entry point runs whatever command it is given: the artifact's own start of vLLM's server, which
# answers /ping and /invocations too.
_COMMANDS = {"vllm": "python3 /opt/ml/model/code/inference.py"}
_SERVING = (*_SERVE, *_COMMANDS)
# A value for bash's and systemd's single quotes, once the CDK's tokens are taken out of it.
_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_ -]*")
_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")


@dataclass(frozen=True, slots=True)
class ModelServer:
    """What serves on each instance of an inference fleet.

    :param image: a serving image of the engine, which runs with the command ``serve``, for vllm with the artifact's.
    :param artifact_uri: ``s3://bucket/…/<artifact key>/<attempt>/``; may be a token.
    :param cores_per_copy: NeuronCores of one copy of the model; an instance runs as many copies as it has cores for.
    :param drain_seconds: how long requests under way may take to finish before an instance goes.
    """

    model: str
    engine: str
    image: str
    artifact_uri: str
    cores_per_copy: int
    port: int = 8080
    drain_seconds: int = 120

    def __post_init__(self) -> None:
        if self.engine not in _SERVING:
            raise ValueError(
                f"no image of engine {self.engine!r} is a model server for EC2; those of {', '.join(_SERVING)} are"
            )

    @property
    def health_port(self) -> int:
        """Where the load balancer asks whether requests are welcome: ``GET health_path`` answers 200 or 503."""
        return self.port + 1

    @property
    def health_path(self) -> str:
        """See :attr:`health_port`."""
        return "/ping"


@dataclass(frozen=True, slots=True)
class Boot:
    """What an instance of a fleet does when it starts.

    :param fleet: the value of the metric dimension ``Fleet``.
    :param efa_interfaces: how many EFA interfaces the launch template gives it.
    :param driver: a Neuron driver to install instead of the AMI's, ``2.24`` for Inferentia1.
    :param scratch: put the instance store together on ``/mnt/scratch``.
    :param launch_hook: lifecycle hook to complete when the instance is ready, or to abandon.
    :param terminate_hook: lifecycle hook to complete when the instance is drained.
    :param commands: bash, once in an instance's life, after our own preparations and before it counts as ready.
    :param devices: instance type and how many Neuron devices it has: an instance that shows fewer does not come.
    """

    fleet: str
    region: str
    efa_interfaces: int = 0
    driver: str | None = None
    scratch: bool = False
    launch_hook: str | None = None
    terminate_hook: str | None = None
    server: ModelServer | None = None
    commands: tuple[str, ...] = ()
    devices: tuple[tuple[str, int], ...] = ()


def user_data(boot: Boot) -> str:
    """The document. EC2 takes 16 KiB.

    Scripts are in one compressed archive; what may hold a token stands in the clear: ``fleet.env``, which units and
    scripts read, and the commands. ``runcmd`` starts units that start by themselves at every later boot, because
    cloud-init runs user data once.

    :raises ValueError: for a value that bash and systemd would read differently, and for more commands than fit.
    """
    units = [*_units(boot)]
    scripts = {f"opt/neuron-cdk/boot/{name}": _BOOT / name for name in _scripts(boot)}
    scripts["opt/neuron-cdk/neuron_metrics.py"] = _HERE / "neuron_metrics.py"
    scripts |= {f"etc/systemd/system/{name}": _BOOT / name for name in units}
    archive = f"{_PLACE}/boot.tar"
    # The server and its health are started by the boot, when the artifact is there.
    started = [name for name in units if name not in ("neuron-server.service", "neuron-health.service")]
    text = "\n".join(
        [
            "#cloud-config",
            "write_files:",
            *_file(f"{_PLACE}/fleet.env", "0644", _environment(boot)),
            *(_file(f"{_PLACE}/commands", "0700", "\n".join(boot.commands)) if boot.commands else ()),
            *_file(archive, "0644", pack(tuple(scripts.items())), encoding="gz+b64"),
            "runcmd:",
            f"- [tar, --extract, --no-same-owner, --file, {archive}, --directory, /]",
            "- [systemctl, daemon-reload]",
            f"- [systemctl, enable, {', '.join(started)}]",
            # Not waited for: cloud-init is not done before its commands are, and the boot may take long.
            f"- [systemctl, start, --no-block, {', '.join(started)}]",
            "",
        ]
    )
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(
            f"the user data of fleet {boot.fleet} has {len(text.encode())} bytes, and EC2 takes {MOST_BYTES}: "
            "put long commands into a file of their own and fetch it from S3"
        )
    return text


def _steps(boot: Boot) -> Iterator[str]:
    """The steps of ``boot/main.py``, in order."""
    yield "limits"
    if boot.scratch:
        yield "scratch"
    if boot.driver:
        yield "driver"
    if boot.efa_interfaces:
        yield "efa"
    yield "neuron"
    yield "agent"
    if boot.server:
        yield from ("artifact", "serve")
    if boot.commands:
        yield "commands"
    if boot.server:
        yield "ready"


def _scripts(boot: Boot) -> Iterator[str]:
    yield from ("instance.py", "main.py")
    for step in _steps(boot):
        yield next(path.name for path in (_BOOT / f"{step}.sh", _BOOT / f"{step}.py") if path.exists())
    if boot.server:
        yield from ("server.sh", "health.py")
    if _drains(boot):
        yield from ("server.py", "drain.py")


def _units(boot: Boot) -> Iterator[str]:
    yield from ("neuron-boot.service", "neuron-metrics.service")
    if boot.server:
        yield from ("neuron-server.service", "neuron-health.service")
    if _drains(boot):
        yield "neuron-drain.service"


def _drains(boot: Boot) -> bool:
    return bool(boot.server or boot.terminate_hook)


def _environment(boot: Boot) -> str:
    values: dict[str, object] = {
        "FLEET": boot.fleet,
        "REGION": boot.region,
        "STEPS": " ".join(_steps(boot)),
        "DEVICES": " ".join(f"{name}={count}" for name, count in boot.devices) or None,
        "EFA_INTERFACES": boot.efa_interfaces or None,
        "DRIVER": boot.driver,
        "LAUNCH_HOOK": boot.launch_hook,
        "TERMINATE_HOOK": boot.terminate_hook,
    }
    if server := boot.server:
        values |= {
            "MODEL": server.model,
            "IMAGE": server.image,
            "COMMAND": _COMMANDS.get(server.engine),
            "ARTIFACT_URI": server.artifact_uri,
            "CORES_PER_COPY": server.cores_per_copy,
            "PORT": server.port,
            "DRAIN_SECONDS": server.drain_seconds,
        }
    return "".join(f"{name}={_quoted(name, str(value))}\n" for name, value in values.items() if value is not None)


def _quoted(name: str, value: str) -> str:
    if not _PLAIN.fullmatch(_TOKEN.sub("", value)):
        raise ValueError(f"{name} is {value!r}; letters, digits, spaces and @%+=:,./_- are allowed: change the name")
    return f"'{value}'"


def _file(path: str, permissions: str, content: str, *, encoding: str | None = None) -> Iterator[str]:
    """An entry of ``write_files``; the content as it is, so that who reads the user data of an instance can.

    By hand: PyYAML takes a tenth of a second for it, for every fleet.
    """
    yield f"- path: {path}"
    yield f"  permissions: '{permissions}'"
    if encoding:
        yield f"  encoding: {encoding}"
        yield f"  content: {content}"
        return
    yield "  content: |2"  # two more than the keys, whatever the first line of the content begins with
    yield from (f"    {line}" for line in content.splitlines())
