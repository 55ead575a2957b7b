"""EC2's operations that have to do with groups: reservations, how an instance was bought, and what ends one."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2

from .. import launch_templates, patching
from ..clock import iso
from . import engine, instances, reservations
from .store import Record

_actions = patching.original(ec2, "_ACTION_MAP")
_answer = patching.original(ec2, "_xml")
_error = patching.original(ec2, "_error")
_list = patching.original(ec2, "_parse_member_list")
_filters = patching.original(ec2, "_parse_filters")
_field = patching.original(ec2, "_p")
_template_data = patching.original(ec2, "_parse_lt_data")

_FILTERS = {
    "instance-type": "InstanceType",
    "availability-zone": "AvailabilityZone",
    "state": "State",
    "tenancy": "Tenancy",
    "instance-platform": "InstancePlatform",
    "end-date-type": "EndDateType",
    "instance-match-criteria": "InstanceMatchCriteria",
    "owner-id": "OwnerId",
}


def install() -> None:
    instances.install()
    launch_templates.install()
    patching.replace(ec2, "_parse_lt_data", _template_data_with_market)
    _actions["DescribeCapacityReservations"] = _describe_reservations
    for name in ("TerminateInstances", "StopInstances"):
        _actions[name] = _noticed(_actions[name])


def _noticed(action: Any) -> Any:
    """An action that a group may have to answer, with a replacement."""

    def run(parameters: Any) -> Any:
        answer = action(parameters)
        engine.soon()
        return answer

    return run


def _template_data_with_market(parameters: dict[str, Any]) -> Record:
    """A launch template's data with the market, which ministack drops when it comes by the API."""
    data: Record = _template_data(parameters)
    market = _field(parameters, "LaunchTemplateData.InstanceMarketOptions.MarketType")
    return data | ({"InstanceMarketOptions": {"MarketType": market}} if market else {})


def _describe_reservations(parameters: dict[str, Any]) -> Any:
    wanted = _list(parameters, "CapacityReservationId")
    there = reservations.described()
    unknown = sorted(set(wanted) - {each["CapacityReservationId"] for each in there})
    if unknown:
        return _error(
            "InvalidCapacityReservationId.NotFound",
            f"The capacity reservation ID '{unknown[0]}' does not exist",
            400,
        )
    filters = {_FILTERS[name]: values for name, values in _filters(parameters).items() if name in _FILTERS}
    found = [
        each
        for each in there
        if (not wanted or each["CapacityReservationId"] in wanted)
        and all(str(each[member]) in values for member, values in filters.items())
    ]
    items = "".join(f"<item>{_written(each)}</item>" for each in found)
    return _answer(
        200, "DescribeCapacityReservationsResponse", f"<capacityReservationSet>{items}</capacityReservationSet>"
    )


def _written(record: Record) -> str:
    return "".join(
        f"<{name[0].lower()}{name[1:]}>{_text(name, value)}</{name[0].lower()}{name[1:]}>"
        for name, value in record.items()
        if not name.startswith("_")
    )


def _text(name: str, value: Any) -> str:
    if name in ("StartDate", "EndDate", "CreateDate"):
        return iso(value)
    return str(value).lower() if isinstance(value, bool) else escape(str(value))
