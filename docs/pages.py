"""The reference pages: tables of what the code knows, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from itertools import product
from typing import Any

from neuron_cdk import spec
from neuron_cdk.catalog import instances, provenance, quotas, software
from neuron_cdk.doctor import codes as doctor
from neuron_cdk.spec.codes import RETIRED

REGION = "us-east-1"
GENERATED = "<!-- Written by make docs. Do not edit: change the code and run it again. -->"


def reference() -> dict[str, str]:
    """Every page: its path below ``docs/`` and its text."""
    return {
        "reference/codes.md": page("Codes of findings", codes()),
        "reference/deployment-file.md": page("Fields of the deployment file", deployment_file()),
        "reference/instances.md": page("Instance types", instance_types()),
        "reference/compatibility.md": page("What works together", compatibility()),
        "reference/catalogue-decisions.md": page("Where the catalogue's figures come from", catalogue_decisions()),
        "reference/state-machines.md": page("The state machines", state_machines()),
    }


def codes() -> Iterator[str]:
    yield (
        "`neuron-cdk validate` reports findings. Each has a code that is never reused or renumbered. Errors stop "
        "before any AWS call; warnings and infos are shown and passed over. `NCDK-LATER-…` is an info to `validate` "
        "and an error to `cdk synth`: the file is right, and what it asks for is not built yet."
    )
    for severity in spec.Severity:
        yield f"## {severity.capitalize()}s"
        yield _codes(spec.CODES, severity)
    yield "## The doctor"
    yield (
        "`neuron-cdk doctor` compares a valid file with an account, which it needs credentials for. Its codes say what "
        "AWS answered, so the same file may be well in one account and not in another."
    )
    for severity in spec.Severity:
        yield f"### {severity.capitalize()}s of the doctor"
        yield _codes(doctor.CODES, severity)
    yield "## Retired"
    yield "What earlier versions reported, and no version will again."
    yield table(("code", "what became of it"), [(f"`{name}`", fate) for name, fate in RETIRED.items()])


def deployment_file() -> Iterator[str]:
    schema = spec.json_schema()
    yield (
        "What each field takes. Only `name`, `environment` and `network` are required. `neuron-cdk schema` prints the "
        "JSON Schema this page is made from, for completion in editors. Rules across fields are in "
        "[the codes](codes.md)."
    )
    yield "## The file"
    yield _fields(schema)
    for name, part in sorted(schema["$defs"].items()):
        yield f"## {name}"
        yield part["description"]
        if "properties" in part:
            yield _fields(part)


def instance_types() -> Iterator[str]:
    yield (
        "The Neuron types, as `neuron_cdk.catalog.instances` knows them. Figures are per instance; EFA is the "
        "number of interfaces. The catalogue also has the GPU types people compare with, and the CPU types that "
        "models are compiled on."
    )
    known = instances.all_types()
    neuron = [each for each in known if each.neuron_cores]
    yield table(
        [
            "type",
            "target",
            "chips",
            "NeuronCores",
            "chip memory GiB",
            "vCPU",
            "memory GiB",
            "network Gbit/s",
            "EFA",
            "EFA layout",
            "bought as",
            "SageMaker",
        ],
        [
            (
                f"`{each.name}`",
                each.target,
                f"{each.accelerators} {each.accelerator.name}" if each.accelerator else "",
                each.neuron_cores,
                each.accelerator_memory_gib,
                each.vcpu,
                each.memory_gib,
                each.network_gbps,
                each.efa_interfaces or "none",
                instances.default_efa_layout(each),
                ", ".join(sorted(each.purchase)),
                f"`{each.sagemaker_name}`" if each.sagemaker_name else "no",
            )
            for each in neuron
        ],
    )
    yield "## Quotas"
    yield (
        "EC2 counts the vCPUs of running instances, on-demand and spot apart. Reserved instances count as on-demand; "
        "no source names a quota for capacity blocks. `neuron-cdk doctor` compares an account's quotas with a file."
    )
    yield _quotas(neuron)
    yield "## For comparison and for compiling"
    families: dict[str, list[str]] = {}
    for each in known:
        if not each.neuron_cores:
            families.setdefault(each.accelerator.name if each.accelerator else "CPU", []).append(f"`{each.name}`")
    yield table(("accelerator", "types"), [(chip, ", ".join(names)) for chip, names in families.items()])


def compatibility() -> Iterator[str]:
    yield (
        "The newest SDK that an engine, a target and a service support together, and the image it stands for in "
        f"{REGION}. A deployment file without `sdk` gets the newest that its services have in common. A doubt is what "
        "the documentation leaves open, and a warning to `validate`. What is known not to work ends each section, with "
        "the last SDK that did. No host driver: none is needed, or none is documented."
    )
    for engine in software.ENGINES:
        yield f"## {engine}"
        yield from _engine(engine)


def catalogue_decisions() -> Iterator[str]:
    sources = provenance.sources()
    yield "Every figure in the catalogue names its source. Where sources disagree, one was taken, for a reason."
    yield "## Decisions"
    for decision in provenance.decisions():
        yield f"### {decision.subject}"
        yield "\n".join(
            [
                *(
                    f"- {sources[source].title} ({sources[source].as_of}): {says}"
                    for source, says in decision.claims.items()
                ),
                f"- Taken: **{decision.taken}**",
            ]
        )
        yield decision.why
    yield "## Sources"
    yield table(
        ("id", "source", "as of"), [(f"`{source.id}`", source.title, source.as_of) for source in sources.values()]
    )


def state_machines() -> Iterator[str]:
    from neuron_cdk.model import release_machine as releases  # loads the CDK, as neuron_cdk.model does
    from neuron_cdk.model import state_machines as definitions

    yield (
        "Drawn from their definitions in `infra/neuron_cdk/model/state_machines.py` and `release_machine.py`. Dotted "
        "lines are errors caught. The architecture tells what they are for: [the compile "
        "path](../architecture.md#the-compile-path), [releases](../architecture.md#releases)."
    )
    yield "## Request: once for everybody who asks for an artifact"
    yield _flow(definitions.request_machine)
    yield "## Compile: once for every attempt at an artifact"
    yield _flow(definitions.compile_machine)
    yield "## Job: once for every try of a compile"
    yield _flow(definitions.job_machine)
    yield "## Release: once for every release to a target"
    yield _flow(releases.release_machine)


# -- parts -----------------------------------------------------------------------------------------------------------


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page, which says at its top that it is generated."""
    return "\n\n".join([GENERATED, f"# {title}", *parts]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _codes(codes: Mapping[str, spec.Code], severity: spec.Severity) -> str:
    rows = [(f"`{name}`", code.meaning) for name, code in codes.items() if code.severity == severity]
    return table(("code", "meaning"), rows)


def _quotas(types: Iterable[instances.InstanceType]) -> str:
    """A row for each quota that a running instance of the types counts against."""
    uses: tuple[quotas.Use, ...] = ("on-demand", "spot")
    counted: dict[quotas.Quota, dict[str, None]] = {}  # families in the order of the catalogue
    for each, use in product(types, uses):
        if use in each.purchase and (quota := quotas.quota(each, use)):
            counted.setdefault(quota, {})[each.name.partition(".")[0]] = None
    rows = [(f"`{quota.code}`", quota.name, quota.unit, ", ".join(families)) for quota, families in counted.items()]
    return table(("code", "name in the console", "counts", "families"), rows)


def _fields(part: Mapping[str, Any]) -> str:
    required = part.get("required", ())
    rows = []
    for name, field in part["properties"].items():
        default = "required" if name in required else _default(field.get("default"))
        rows.append((f"`{name}`", _takes(field), default, field.get("description", "")))
    return table(("field", "takes", "default", "meaning"), rows)


def _default(value: object) -> str:
    match value:
        case None | [] | {}:
            return "none"
        case [{"kind": str(kind), **_rest}]:
            return f"`[{{kind: {kind}}}]`"
    return f"`{value}`"


def _takes(field: Mapping[str, Any]) -> str:
    """A field's type in a few words."""
    for choice in ("anyOf", "oneOf"):
        if choice in field:
            return " or ".join(dict.fromkeys(_takes(one) for one in field[choice] if one.get("type") != "null"))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    match field.get("type"):
        case "array":
            return f"list of {_takes(field['items'])}"
        case "object":
            named: Mapping[str, Any] = field.get("patternProperties", {})
            values = field.get("additionalProperties") or next(iter(named.values()), None)
            return f"names to {_takes(values)}" if values else "mapping"
        case str(kind):
            return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, kind)
    return "anything"


def _engine(engine: str) -> Iterator[str]:
    """What works, a row for the targets that are alike; the doubts; what does not work, a line for each reason."""
    works: dict[software.Software, list[str]] = {}
    dead: dict[str, list[str]] = {}
    for service, target in product(software.SERVICES, software.TARGETS):
        try:
            found = software.resolve(target=target, engine=engine, service=service, region=REGION)
        except software.DeadCombination as end:
            why = str(end).partition(f"{software.SERVICES[service]}: ")[2] or str(end)
            dead.setdefault(why, []).append(f"{target} {service}")
        else:
            works.setdefault(replace(found, target=""), []).append(target)
    doubts = list(dict.fromkeys(doubt for found in works for doubt in found.warnings))
    if works:
        yield table(
            ("service", "targets", "SDK", "framework", "image", "host driver", "doubts"),
            [
                (
                    found.service,
                    ", ".join(targets),
                    found.sdk,
                    f"{found.framework} {found.framework_version}",
                    f"`{found.image.rpartition('/')[2]}`",
                    found.host_driver or "",
                    ", ".join(str(doubts.index(doubt) + 1) for doubt in found.warnings),
                )
                for found, targets in works.items()
            ],
        )
    if doubts:
        yield "Doubts:"
        yield "\n".join(f"{number}. {doubt}" for number, doubt in enumerate(doubts, 1))
    if dead:
        yield "Does not work:"
        yield "\n".join(f"- {', '.join(where)}: {why}" for why, where in dead.items())


def _flow(define: Callable[..., Mapping[str, Any]]) -> str:
    """A state machine as a Mermaid flowchart. What it is defined with are ARNs, which change nothing in the picture."""
    machine = define(**dict.fromkeys(signature(define).parameters, ""))
    lines = ["```mermaid", "flowchart TD"]
    for name, state in machine["States"].items():
        shape = {"Choice": "{%s}", "Succeed": "([%s])", "Fail": "([%s])"}.get(state["Type"], "[%s]")
        lines.append(f"  {name}{shape % name}")
        after = [choice["Next"] for choice in state.get("Choices", ())]
        after += [state[way] for way in ("Default", "Next") if way in state]
        caught = [catch["Next"] for catch in state.get("Catch", ())]
        lines += [f"  {name} --> {other}" for other in dict.fromkeys(after)]
        lines += [f"  {name} -.-> {other}" for other in dict.fromkeys(caught) if other not in after]
    return "\n".join([*lines, "```"])
