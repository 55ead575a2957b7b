"""Every deployment file, synthesized once a session: the one list that snapshots, cdk-nag and the linters run over."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from neuron_cdk import spec
from stacks import build_app

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = tuple(sorted(path.stem for path in (ROOT / "deployments").glob("*.yaml")))


@dataclass(frozen=True)
class Assembly:
    """A synthesized deployment: the folder, and each stack's template by stack name."""

    folder: Path
    templates: dict[str, dict[str, Any]]

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.template.json"))


def app_of(deployment: str, folder: Path) -> App:
    """The app of a deployment file, not yet synthesized."""
    loaded = spec.load(ROOT / "deployments" / f"{deployment}.yaml")
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return build_app(loaded.deployment, outdir=str(folder), context=flags)


def synthesize(deployment: str, folder: Path) -> Assembly:
    app_of(deployment, folder).synth()
    templates = {}
    for manifest in sorted(folder.rglob("manifest.json")):
        for artifact in json.loads(manifest.read_text())["artifacts"].values():
            if artifact["type"] == "aws:cloudformation:stack":
                properties = artifact["properties"]
                template = json.loads((manifest.parent / properties["templateFile"]).read_text())
                templates[properties["stackName"]] = template
    return Assembly(folder, templates)


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Assembly]:
    """``assembly("sandbox")``: built when first asked for, then shared."""

    @cache
    def build(deployment: str) -> Assembly:
        return synthesize(deployment, tmp_path_factory.mktemp(deployment))

    return build


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
def resynthesize() -> Callable[[str, Path], Assembly]:
    return synthesize
