"""The deployment file as a JSON Schema, for completion and hints in editors."""

from __future__ import annotations

import ast
import inspect
from typing import Any

from neuron_cdk.catalog import instances, regions

from . import base, deployment, endpoint


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Cross-checks are not in it: ``neuron-cdk validate`` has the last word.

    What the catalogue knows (regions, instance types) are examples, not enumerations: it grows.
    """
    schema = deployment.Deployment.model_json_schema()
    descriptions = _descriptions()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part.get("properties", {}).items():
            if (part["title"], name) in descriptions:
                field["description"] = descriptions[part["title"], name]
            field.pop("title", None)  # pydantic's "Availability Zones" tells nobody anything
            if "patternProperties" in field:
                field["additionalProperties"] = False
    fields = {name: part["properties"] for name, part in schema["$defs"].items() if "properties" in part}
    hosts = [each for each in instances.all_types() if each.neuron_cores]
    ec2 = [each.name for each in hosts]
    fields["Environment"]["region"]["examples"] = [region.name for region in regions.all_regions()]
    fields["Fleet"]["instance_types"]["items"]["examples"] = ec2
    fields["TrainingCluster"]["instance_type"]["examples"] = ec2
    fields["Endpoint"]["instance_types"]["items"]["examples"] = [
        each.sagemaker_name for each in hosts if each.sagemaker_name
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "neuron-cdk deployment file",
    }


def _descriptions() -> dict[tuple[str, str], str]:
    """The text under each field, by class and field.

    Pydantic can collect them too, but does it on every import, and ``validate`` is to start at once.
    """
    classes = {
        node.name: node
        for module in (base, endpoint, deployment)
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
    }
    found: dict[tuple[str, str], str] = {}
    for name, node in classes.items():
        for field, text in zip(node.body, node.body[1:], strict=False):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=attribute)),
                    ast.Expr(value=ast.Constant(value=str(description))),
                ):
                    found[name, attribute] = inspect.cleandoc(description)
        for parent in node.bases:  # a subclass follows its base
            inherited = [key for key in found if isinstance(parent, ast.Name) and key[0] == parent.id]
            found |= {(name, key[1]): found[key] for key in inherited if (name, key[1]) not in found}
    return found
