"""What the checks need to know of the resources that a request names; the one module here that reads their stores."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from ministack.services import dynamodb, ec2, iam, kms, lambda_svc, s3, secretsmanager

from .. import patching
from ..api import ServiceError
from ..autoscaling import launching
from ..autoscaling import store as autoscaling
from ..sagemaker import store as sagemaker

_tables = patching.original(dynamodb, "_tables")
_secrets = patching.original(secretsmanager, "_secrets")
_encryption = patching.original(s3, "_bucket_encryption")
_policies = patching.original(s3, "_bucket_policies")
_buckets = patching.original(s3, "_buckets")
_key = patching.original(kms, "_resolve_key")
_function = patching.original(lambda_svc, "_get_func_record_for_ref")
_templates = patching.original(ec2, "_launch_templates")
_profiles = patching.original(iam, "_instance_profiles")
_roles = patching.original(iam, "_roles")


def partition_key(table: str) -> str | None:
    """The name of a table's partition key."""
    found = _tables.get(table.rpartition("/")[2]) or {}
    return next((one["AttributeName"] for one in found.get("KeySchema", []) if one["KeyType"] == "HASH"), None)


def table_key(table: str) -> str | None:
    """The customer's key that a table is encrypted with, if it is."""
    found = _tables.get(table.rpartition("/")[2]) or {}
    return (found.get("SSEDescription") or {}).get("KMSMasterKeyArn")


def group(name: str) -> tuple[str, dict[str, str]]:
    """The ARN of an Auto Scaling group and its tags; ``*`` for its id where there is none."""
    found = autoscaling.groups.get(name)
    if found is None:
        return f"autoScalingGroup:none:autoScalingGroupName/{name}", {}
    return found["AutoScalingGroupARN"].split(":", 5)[5], {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}


def launch_template(request: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The id and the tags of the launch template that a request names by id or name."""
    for id_, found in _templates.items():
        if request.get("LaunchTemplateId") == id_ or request.get("LaunchTemplateName") == found["LaunchTemplateName"]:
            return id_, {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    return request.get("LaunchTemplateId", "none"), {}


def launched(template: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """What a launch template's version launches, and the ARN of the role that its instances have."""
    try:
        data = dict(launching.template(template)["LaunchTemplateData"])
    except ServiceError:
        return {}, None
    profile = data.get("IamInstanceProfile", {})
    name = profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2]
    roles = (_profiles.get(name) or {}).get("Roles", [])
    found = _roles.get(roles[0]) if roles else None
    return data, str(found["Arn"]) if found else None


def secret(name: str) -> str:
    """The ARN of a secret that is named by its name or its ARN."""
    found = _secrets.get(name)
    if found is None and name.startswith("arn:"):
        return name
    return str(found["ARN"]) if found else f"secret:{name}"


def object_exists(bucket: str, key: str) -> bool:
    return key in (_buckets.get(bucket) or {}).get("objects", {})


def bucket_key(bucket: str) -> str | None:
    """The KMS key that new objects of a bucket are encrypted with, if it is not S3's own."""
    document = _encryption.get(bucket)
    found = re.search(r"<KMSMasterKeyID>([^<]+)</KMSMasterKeyID>", document) if document else None
    return found[1] if found else None


def bucket_policy(bucket: str) -> Any:
    return _policies.get(bucket)


def key_policy(arn: str) -> Any:
    """A KMS key's policy; None for a key that is not here."""
    found = _key(arn)
    return found.get("Policy") or None if found else None


def key_arn(name: str) -> str:
    """The ARN of a KMS key that is named by id, alias or ARN."""
    found = _key(name)
    return str(found["Arn"]) if found else name


def volume_key(configuration: str) -> str | None:
    """The KMS key that an endpoint configuration names for its volumes."""
    return (sagemaker.endpoint_configs.get(configuration) or {}).get("KmsKeyId")


def function_policy(arn: str) -> Any:
    """The statements that let others call a function."""
    function, _, _ = _function(arn)
    return function.get("policy") if function else None


def batch_delete(body: bytes) -> list[str]:
    """The keys of a DeleteObjects request."""
    root = ElementTree.fromstring(body)  # noqa: S314 - of a client on this machine
    return [one.text or "" for one in root.iter() if one.tag.rpartition("}")[2] == "Key"]
