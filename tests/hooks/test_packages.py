"""How the hooks are laid out: who may import whom, who makes calls, where what Lambda starts is named."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOOKS = Path(__file__).resolve().parents[2] / "lambda" / "neuron_hooks"
SHARED = ""
MAY_IMPORT = {
    SHARED: {SHARED},
    "compile": {SHARED},
    "endpoint": {SHARED},
    "fleet": {SHARED},
    "release": {SHARED, "compile", "endpoint", "fleet"},
    "housekeeping": {SHARED, "compile", "endpoint", "fleet"},
}
MODULES = {
    path.relative_to(HOOKS).with_suffix("").as_posix(): ast.parse(path.read_text())
    for path in sorted(HOOKS.rglob("*.py"))
}


def package_of(module: str) -> str:
    return module.rpartition("/")[0]


def imported(module: str) -> Iterator[str]:
    """The packages of ours that a module imports from."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ImportFrom) and node.level:
            where = [part for part in package_of(module).split("/") if part]
            where = where[: len(where) + 1 - node.level] + (node.module or "").split(".")
            top = next((part for part in where if part), "")
            names = [top] if top else [alias.name for alias in node.names]
            yield from (name if (HOOKS / name).is_dir() else SHARED for name in names)


def test_every_package_has_its_rule() -> None:
    assert {package_of(module) for module in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_to_what_a_package_stands_on(module: str) -> None:
    own = package_of(module)
    assert set(imported(module)) <= MAY_IMPORT[own] | {own}


def test_boto3_is_imported_once() -> None:
    importing = {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and any(alias.name == "boto3" for alias in node.names)
    }
    assert importing == {"aws"}


@pytest.mark.parametrize("module", [module for module in MODULES if not module.endswith("aws")])
def test_who_is_no_adapter_makes_no_client(module: str) -> None:
    calls = [ast.unparse(node.func) for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)]
    assert not [call for call in calls if call.endswith("aws.client")]


@pytest.mark.parametrize("package", [package for package in MAY_IMPORT if package])
def test_a_packages_docstring_names_what_lambda_starts(package: str) -> None:
    starts = {
        module.rpartition("/")[2]
        for module, tree in MODULES.items()
        if package_of(module) == package
        and any(isinstance(node, ast.FunctionDef) and node.name == "handler" for node in tree.body)
    }
    assert starts
    said = ast.get_docstring(MODULES[f"{package}/__init__"]) or ""
    assert {name for name in starts if f"``{name}``" not in said} == set()
