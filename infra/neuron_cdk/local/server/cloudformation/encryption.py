"""The customer's keys of buckets, tables and functions, which ministack does not take from a template.

They decide who may read: whoever reads an object or an item, and whose function starts, needs the key, too
(``iam.keys``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import dynamodb, lambda_svc, s3

from .. import patching
from .dynamodb import GLOBAL_TABLE, keep_its_name
from .types import Created, Properties

_encryption = patching.original(s3, "_bucket_encryption")
_tables = patching.original(dynamodb, "_tables")
_functions = patching.original(lambda_svc, "_functions")


def _bucket(name: str, properties: Properties) -> None:
    rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    wanted: dict[str, Any] = next((rule.get("ServerSideEncryptionByDefault", {}) for rule in rules), {})
    key = wanted.get("KMSMasterKeyID")
    if not key:  # S3's own key, or AWS's: nobody needs a right to it, and ministack takes no aws:kms without a key
        _encryption.pop(name, None)
        return
    _encryption[name] = (
        '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
        f"<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{wanted['SSEAlgorithm']}</SSEAlgorithm>"
        f"<KMSMasterKeyID>{key}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>"
        f"<BucketKeyEnabled>{str(bool(rules[0].get('BucketKeyEnabled'))).lower()}</BucketKeyEnabled>"
        "</Rule></ServerSideEncryptionConfiguration>"
    )


def _table(name: str, properties: Properties) -> None:
    replicas = properties.get("Replicas", [])
    keys = [replica.get("SSESpecification", {}).get("KMSMasterKeyId") for replica in replicas]
    key = next((one for one in keys if one), properties.get("SSESpecification", {}).get("KMSMasterKeyId"))
    if key and name in _tables:
        _tables[name]["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}


def _function(name: str, properties: Properties) -> None:
    if name in _functions:
        _functions[name]["config"]["KMSKeyArn"] = properties.get("KmsKeyArn", "")


def _noting(note: Callable[[str, Properties], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What makes a handler take the key from the template, at creation and at each update."""

    def mended(handler: dict[str, Any]) -> dict[str, Any]:
        create, update = handler["create"], handler["update"]

        def created(logical_id: str, properties: Properties, stack: str) -> Created:
            made: Created = create(logical_id, properties, stack)
            note(made[0], properties)
            return made

        def updated(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Created:
            made: Created = update(physical_id, old, new, *rest)
            note(made[0], new)
            return made

        return {**handler, "create": created, "update": updated}

    return mended


def _global_table(handler: dict[str, Any]) -> dict[str, Any]:
    return _noting(_table)(keep_its_name(handler))


MENDED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "AWS::S3::Bucket": _noting(_bucket),
    "AWS::DynamoDB::Table": _noting(_table),
    GLOBAL_TABLE: _global_table,
    "AWS::Lambda::Function": _noting(_function),
}
