"""``neuron-cdk schema``"""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the deployment file's JSON Schema, for completion and hints in editors."""
    from neuron_cdk.spec import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
