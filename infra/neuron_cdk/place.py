"""Where a construct is: account, region, partition, and the ARNs that follow.

Every question to the CDK is a call into node, half a millisecond each, so what does not change is asked once.
"""

from __future__ import annotations

from functools import cache
from weakref import WeakKeyDictionary

from aws_cdk import Aws, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

_places: WeakKeyDictionary[Construct, tuple[str, str]] = WeakKeyDictionary()


@cache
def partition() -> str:
    """AWS's own token: asking a stack for its partition makes the CDK load every region's facts."""
    return Aws.PARTITION


def place(scope: Construct) -> tuple[str, str]:
    """The region and the account of a construct; tokens in a stack that is for any."""
    if scope not in _places:
        stack = Stack.of(scope)
        _places[scope] = stack.region, stack.account
    return _places[scope]


def arn(scope: Construct, service: str, resource: str) -> str:
    """The ARN of something in the account and region of a construct."""
    region, account = place(scope)
    return f"arn:{partition()}:{service}:{region}:{account}:{resource}"


_key_arns: WeakKeyDictionary[kms.IKey, str] = WeakKeyDictionary()
_tables: WeakKeyDictionary[dynamodb.ITable, tuple[str, str]] = WeakKeyDictionary()


def key_arn(key: kms.IKey) -> str:
    """The ARN of a key, which a fleet alone asks for five times."""
    if key not in _key_arns:
        _key_arns[key] = key.key_arn
    return _key_arns[key]


def table(of: dynamodb.ITable) -> tuple[str, str]:
    """The name and the ARN of a table, which every fleet and endpoint asks for."""
    if of not in _tables:
        _tables[of] = of.table_name, of.table_arn
    return _tables[of]


def is_token(value: str) -> bool:
    """Whether the value is known at deploy only."""
    return "${Token[" in value
