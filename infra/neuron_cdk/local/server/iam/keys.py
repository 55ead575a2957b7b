"""Keys that a call uses without naming them: S3 and DynamoDB ask KMS in the caller's name.

- S3, "Protecting data with server-side encryption using AWS KMS keys": to upload, kms:GenerateDataKey; to download,
  kms:Decrypt; for a multipart upload both. With an S3 Bucket Key S3 asks less often, and the first time all the same.
- DynamoDB decrypts the table's key on behalf of the principal who accesses the table. That this asks kms:Decrypt of the
  principal, and no more than that, is inferred.
"""

from __future__ import annotations

from . import resources
from .policies import Check


def use(action: str, key: str, *, via: str, region: str, account: str, **more: str) -> Check:
    """``kms:action`` on ``key``, asked for by the service ``via`` in the caller's name."""
    context = {"kms:viaservice": f"{via}.{region}.amazonaws.com", "kms:calleraccount": account}
    return Check(f"kms:{action}", resources.key_arn(key), context | more)


def grant(key: str, *, via: str, region: str, account: str) -> Check:
    """``kms:CreateGrant`` on ``key`` for a resource of AWS's, such as a volume that the service attaches."""
    return use("CreateGrant", key, via=via, region=region, account=account, **{"kms:grantisforawsresource": "true"})


def of_table(table: str, region: str, account: str) -> list[Check]:
    key = resources.table_key(table)
    if not key:
        return []
    name = table.rpartition("/")[2]
    more = {
        "kms:encryptioncontext:aws:dynamodb:tablename": name,
        "kms:encryptioncontext:aws:dynamodb:subscriberid": account,
    }
    return [use("Decrypt", key, via="dynamodb", region=region, account=account, **more)]


def of_object(
    bucket: str, action: str, region: str, account: str, *, parts: bool = False, key: str | None = None
) -> list[Check]:
    """What an S3 action on an object of ``bucket`` asks of KMS.

    :param parts: a multipart upload.
    :param key: the KMS key that the request names, which takes the bucket's place.
    """
    named = key or resources.bucket_key(bucket)
    wanted = {
        "s3:GetObject": ["Decrypt"],
        "s3:GetObjectVersion": ["Decrypt"],
        "s3:PutObject": ["GenerateDataKey", *(["Decrypt"] if parts else [])],
    }.get(action, [])
    if not named:
        return []
    context = {"kms:encryptioncontext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}
    return [use(one, named, via="s3", region=region, account=account, **context) for one in wanted]
