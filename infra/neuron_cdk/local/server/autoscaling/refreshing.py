"""What an instance refresh under way means for the rest: which configuration is launched, how long a warm-up takes."""

from __future__ import annotations

from .store import Record

ROLLING, GOING_BACK = ("Pending", "InProgress", "Baking", "Cancelling"), ("RollbackInProgress",)


def active(group: Record) -> Record | None:
    """The refresh or rollback under way; there is one at most, the newest."""
    newest: Record | None = next(iter(group["_refreshes"]), None)
    return newest if newest and newest["Status"] in ROLLING + GOING_BACK else None


def configuration(group: Record) -> Record:
    """What is launched now: what the refresh under way desires, else what the group says."""
    refresh = active(group)
    if refresh and refresh["Status"] in ROLLING:
        desired: Record = refresh.get("DesiredConfiguration") or group
        return desired
    return group


def warm_up(group: Record) -> float:
    """Seconds from in service to warm."""
    refresh = active(group)
    wanted = refresh["Preferences"].get("InstanceWarmup") if refresh else None
    if wanted is None or wanted < 0:
        wanted = group.get("DefaultInstanceWarmup", -1)
    if wanted < 0:
        wanted = group["HealthCheckGracePeriod"] if refresh else 0
    return float(wanted)
