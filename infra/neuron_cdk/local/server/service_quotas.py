"""Service Quotas: what the account may have, generous unless ``PUT /_neuron_cdk/quotas`` says otherwise.

Quotas are those of the catalogue's instance types. Nothing here holds anybody to them; capacity errors are injected.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ministack.core.responses import get_account_id, get_region

from neuron_cdk.catalog import instances

from . import api
from .api import ServiceError

GENEROUS = 10_000.0
_DEFAULT = 0.0
"""What a new account has of every one of them."""

_VCPU_QUOTAS = {
    "L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    "L-1945791B": "Running On-Demand Inf instances",
    "L-2C3B7624": "Running On-Demand Trn instances",
    "L-34B43A08": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-417A185B": "Running On-Demand P instances",
    "L-6B0D517C": "All Trn Spot Instance Requests",
    "L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
    "L-B5D1601B": "All Inf Spot Instance Requests",
    "L-C4BD4855": "All P5 Spot Instance Requests",
    "L-DB2E81BA": "Running On-Demand G and VT instances",
}
"""Service Quotas' own names, as its default quotas list them."""

_MOST = 1_000_000_000

_granted: dict[str, float] = {}


def grant(wanted: dict[str, Any]) -> dict[str, Any]:
    """``PUT /_neuron_cdk/quotas``: ``{"L-2C3B7624": 256}``; everything not named, or null, is generous again.

    Raises ``ValueError``, with everything as it was.
    """
    known = {code for _, code in _quotas()}
    for code, value in wanted.items():
        if code not in known:
            raise ValueError(
                f"{code} is no quota known here: give codes that ListServiceQuotas lists, as {min(_VCPU_QUOTAS)}"
            )
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST
        ):
            raise ValueError(f"{code} is {value!r}: give a number from 0 to {_MOST:,}, or null for {GENEROUS:,.0f}")
    _granted.clear()
    _granted.update({code: float(value) for code, value in wanted.items() if value is not None})
    return {"quotas": dict(_granted)}


@cache
def _quotas() -> dict[tuple[str, str], str]:
    """Service and quota code to name."""
    known = {("ec2", code): name for code, name in _VCPU_QUOTAS.items()}
    for instance in instances.all_types():
        if code := instance.quota_codes.get("endpoint"):
            known["sagemaker", code] = f"ml.{instance.name} for endpoint usage"
    return known


def _quota(service: str, code: str, value: float) -> dict[str, Any]:
    name = _quotas().get((service, code))
    if name is None:
        raise ServiceError(
            "NoSuchResourceException", f"The request failed because the specified quota {code} does not exist."
        )
    return {
        "ServiceCode": service,
        "ServiceName": {"ec2": "Amazon Elastic Compute Cloud (Amazon EC2)", "sagemaker": "Amazon SageMaker"}[service],
        "QuotaArn": f"arn:aws:servicequotas:{get_region()}:{get_account_id()}:{service}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _get(request: dict[str, Any]) -> dict[str, Any]:
    code = request["QuotaCode"]
    return {"Quota": _quota(request["ServiceCode"], code, float(_granted.get(code, GENEROUS)))}


def _get_default(request: dict[str, Any]) -> dict[str, Any]:
    return {"Quota": _quota(request["ServiceCode"], request["QuotaCode"], _DEFAULT)}


def _list(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "Quotas": [
            _quota(service, code, float(_granted.get(code, GENEROUS)))
            for service, code in _quotas()
            if service == request["ServiceCode"]
        ]
    }


handle_request = api.handler(
    "service-quotas",
    {"GetServiceQuota": _get, "GetAWSDefaultServiceQuota": _get_default, "ListServiceQuotas": _list},
)
