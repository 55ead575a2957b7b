"""The deployment file as a JSON Schema, for completion and hints in editors."""

from __future__ import annotations

from typing import Any

from .deployment import Deployment


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Cross-checks are not in it: ``neuron-cdk validate`` has the last word."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Deployment.model_json_schema()}
