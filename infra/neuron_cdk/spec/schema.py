"""The deployment file as a JSON Schema, for completion and hints in editors."""

from __future__ import annotations

from typing import Any

from neuron_cdk.catalog import instances, regions

from .deployment import Deployment


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Cross-checks are not in it: ``neuron-cdk validate`` has the last word.

    What the catalogue knows (regions, instance types) are examples, not enumerations: it grows.
    """
    schema = Deployment.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for field in part.get("properties", {}).values():
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
