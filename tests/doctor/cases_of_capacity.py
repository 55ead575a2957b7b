"""What is wrong with AMIs and with reserved capacity."""

from __future__ import annotations

from neuron_cdk.doctor.aws import Image
from tests.doctor.asked import (
    AMI,
    BLOCK,
    BLOCKED,
    LATER,
    RESERVED,
    RESERVING,
    SOON,
    Case,
    fleet,
    reservation,
)

CASES = {
    "no AMI parameter": Case(
        fleet(),
        {
            "named": {
                "/cdk-bootstrap/hnb659fds/version": "32",
                **dict.fromkeys(["/aws/service/neuron/dlami/base/ubuntu-24.04/latest/image_id"], "none"),
            }
        },
        "014",
        "fleets.train.instance_types[0]",
        "holds no AMI id",
    ),
    "a pinned AMI that is not there": Case(fleet(ami=AMI), {}, "015", "fleets.train.ami", "no such AMI"),
    "a pinned AMI that is not ready": Case(
        fleet(ami=AMI), {"images": {AMI: Image("pending", "x86_64")}}, "016", "fleets.train.ami", "the AMI is pending"
    ),
    "a pinned AMI of another architecture": Case(
        fleet(ami=AMI),
        {"images": {AMI: Image("available", "arm64")}},
        "016",
        "fleets.train.ami",
        "the AMI is for arm64, and trn1.32xlarge is x86_64",
    ),
    "a pinned AMI of Windows": Case(
        fleet(ami=AMI),
        {"images": {AMI: Image("available", "x86_64", windows=True)}},
        "016",
        "fleets.train.ami",
        "the AMI is of Windows",
    ),
    "no reservation": Case(
        RESERVING, {}, "017", "fleets.train.capacity[0].reservation", "no such capacity reservation"
    ),
    "a reservation that ended": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(state="expired")}},
        "018",
        "fleets.train.capacity[0].reservation",
        "is expired",
    ),
    "a block that is a reservation": Case(
        BLOCKED,
        {"reservations": {BLOCK: reservation()}},
        "018",
        "fleets.train.capacity[0].reservation",
        "this is a reservation, not a capacity-block",
    ),
    "a reservation of another type": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(instance_type="trn1.2xlarge")}},
        "019",
        "fleets.train.capacity[0].reservation",
        "it reserves trn1.2xlarge, and the fleet takes trn1.32xlarge",
    ),
    "a reservation for Windows": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(platform="Windows")}},
        "019",
        "fleets.train.capacity[0].reservation",
        "it is for Windows",
    ),
    "a reservation in another zone": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(zone="us-east-1b")}},
        "020",
        "fleets.train.capacity[0].reservation",
        "it is in use1-az4, and the fleet in use1-az5",
    ),
    "a reservation too small for a training fleet": Case(
        RESERVING,
        {"reservations": {RESERVED: reservation(count=2)}},
        "021",
        "fleets.train.size.max",
        "hold 2 instances, and it may have 4",
    ),
    "a block that ends soon": Case(
        BLOCKED,
        {"reservations": {BLOCK: reservation(block=True, ends=SOON)}},
        "022",
        "fleets.train.capacity[0].reservation",
        "it ends at ",
    ),
    "a block that has not begun": Case(
        BLOCKED,
        {"reservations": {BLOCK: reservation(block=True, state="scheduled", starts=SOON, ends=LATER)}},
        "023",
        "fleets.train.capacity[0].reservation",
        f"it is scheduled: {SOON:%Y-%m-%d %H:%M} UTC to {LATER:%Y-%m-%d %H:%M} UTC",
    ),
}
