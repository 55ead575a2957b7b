"""Every deployment file, synthesized once a session: the one list that snapshots, cdk-nag and the linters run over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from neuron_cdk import spec
from stacks import build_app

ROOT = Path(__file__).resolve().parents[2]
# Those that people deploy, and those that hold every shape there is.
DEPLOYMENTS = {
    path.stem: path for folder in (ROOT, Path(__file__).parent) for path in sorted(folder.glob("deployments/*.yaml"))
}


@dataclass(frozen=True)
class Assembly:
    """A synthesized deployment: the folder, and each stack's template and entry in the manifest by stack name."""

    folder: Path
    templates: dict[str, dict[str, Any]]
    stacks: dict[str, dict[str, Any]]

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.template.json"))

    @property
    def region(self) -> str:
        (environment,) = {stack["environment"] for stack in self.stacks.values()}
        return environment.rpartition("/")[2]

    def of_type(self, *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """``(stack/logical id, resource)`` of every resource of these types."""
        for stack, template in self.templates.items():
            for logical_id, resource in template["Resources"].items():
                if resource["Type"] in kinds:
                    yield f"{stack}/{logical_id}", resource

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """``(stack/logical id, statement)`` of every policy of a role, actions and resources always as lists."""
        for name, resource in self.of_type("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            properties = resource["Properties"]
            for policy in properties.get("Policies", [properties]):
                for statement in policy.get("PolicyDocument", {}).get("Statement", ()):
                    yield (
                        name,
                        {**statement, "Action": many(statement["Action"]), "Resource": many(statement["Resource"])},
                    )

    def metadata(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """``(construct path, entry)`` of everything the CDK notes about its constructs."""
        for artifact in self.stacks.values():
            for path, entries in json.loads((self.folder / artifact["additionalMetadataFile"]).read_text()).items():
                yield from ((path, entry) for entry in entries)

    def paths(self) -> dict[str, str]:
        """The construct path of every ``stack/logical id``."""
        return {
            f"{path.split('/')[1]}/{entry['data']}": path
            for path, entry in self.metadata()
            if entry["type"] == "aws:cdk:logicalId"
        }

    def acknowledged(self) -> Iterator[tuple[str, str, str]]:
        """``(construct path, finding, reason)`` of every accepted finding."""
        for path, entry in self.metadata():
            if entry["type"] == "aws:cdk:acknowledged-rules":
                for finding, reason in entry["data"].items():
                    yield path, finding.removeprefix("Annotation::"), reason


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


FLAGS = json.loads((ROOT / "cdk.json").read_text())["context"]


def app_of(deployment: str, folder: Path) -> App:
    """The app of a deployment file, not yet synthesized."""
    loaded = spec.load(DEPLOYMENTS[deployment])
    return build_app(loaded.deployment, outdir=str(folder), context=FLAGS)


def synthesize(deployment: str, folder: Path) -> Assembly:
    app_of(deployment, folder).synth()
    return read(folder)


def read(folder: Path) -> Assembly:
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    stacks = {name: each for name, each in artifacts.items() if each["type"] == "aws:cloudformation:stack"}
    templates = {
        name: json.loads((folder / stack["properties"]["templateFile"]).read_text()) for name, stack in stacks.items()
    }
    return Assembly(folder, templates, stacks)


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Assembly]:
    """``assembly("sandbox")``: built when first asked for, then shared."""

    @cache
    def build(deployment: str) -> Assembly:
        return synthesize(deployment, tmp_path_factory.mktemp(deployment))

    return build


@pytest.fixture(scope="session")
def assemblies(assembly: Callable[[str], Assembly]) -> list[Assembly]:
    """All of them."""
    return [assembly(deployment) for deployment in DEPLOYMENTS]


@pytest.fixture(params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest) -> str:
    """Each deployment file's name in turn."""
    return str(request.param)


@pytest.fixture
def each_assembly(deployment: str, assembly: Callable[[str], Assembly]) -> Assembly:
    return assembly(deployment)


@pytest.fixture
def unsynthesized(deployment: str, tmp_path: Path) -> App:
    """A fresh app of each deployment, for tests that add to it before synth; it writes to ``tmp_path``."""
    return app_of(deployment, tmp_path)


@pytest.fixture(scope="session")
def flags() -> dict[str, Any]:
    return FLAGS


@pytest.fixture(scope="session")
def read_assembly() -> Callable[[Path], Assembly]:
    return read


@pytest.fixture(scope="session")
def resynthesize() -> Callable[[str, Path], Assembly]:
    return synthesize
