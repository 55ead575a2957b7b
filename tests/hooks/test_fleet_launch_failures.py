"""A lack of capacity is told from a mistake: the messages are Auto Scaling's own, as its users have met them."""

from __future__ import annotations

import pytest

from neuron_hooks.fleet.launch_failures import Why, why

TAIL = " Launching EC2 instance failed."


@pytest.mark.parametrize(
    "message",
    [
        "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request "
        "configuration. Please adjust your request and try again." + TAIL,
        "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded." + TAIL,
        "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that "
        "matches your request." + TAIL,
        "Could not launch Spot Instances. SpotMaxPriceTooLow - Your Spot request price is lower than required." + TAIL,
        "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient "
        "trn1.32xlarge capacity in the Availability Zone you requested (us-west-2c)." + TAIL,
        "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your "
        "current vCPU limit of 8 allows for the instance bucket." + TAIL,
        "Could not launch On-Demand Instances. ReservationCapacityExceeded - The requested reservation does not have "
        "sufficient compatible and available capacity for this request." + TAIL,
        "We currently do not have sufficient inf2.xlarge capacity in the Availability Zone you requested (us-east-1a)."
        " Our system will be working on provisioning additional capacity." + TAIL,
        "You have requested more instances (2) than your current instance limit of 1 allows for the specified instance "
        "type." + TAIL,
        "You've reached your quota for maximum Fleet Requests for this account." + TAIL,
        "Your requested instance type (trn2.48xlarge) is not supported in your requested Availability Zone "
        "(us-east-1b)." + TAIL,
        "There is no Spot capacity available that matches your request." + TAIL,
    ],
    ids=lambda message: message[:60],
)
def test_another_pool_may_have_what_this_one_lacks(message: str) -> None:
    assert why(message) is Why.SHORT


@pytest.mark.parametrize(
    "message",
    [
        "Could not launch On-Demand Instances. InvalidAMIID.NotFound - The image id '[ami-0]' does not exist." + TAIL,
        "Could not launch On-Demand Instances. InvalidParameterCombination - The specified instance type is not "
        "eligible for Free Tier." + TAIL,
        "Could not launch On-Demand Instances. UnauthorizedOperation - You are not authorized to perform this "
        "operation." + TAIL,
        "Could not launch On-Demand Instances. InsufficientFreeAddressesInSubnet - There are not enough free addresses "
        "in subnet 'subnet-0'." + TAIL,
        "Could not launch On-Demand Instances. UnsupportedOperation - The operation is not supported." + TAIL,
        "This account is currently blocked and not recognized as a valid account." + TAIL,
        "Authentication Failure." + TAIL,
        "The security group 'sg-0' does not exist." + TAIL,
        "",
    ],
    ids=lambda message: message[:60],
)
def test_a_mistake_is_the_same_in_every_pool(message: str) -> None:
    assert why(message) is Why.MISTAKE


@pytest.mark.parametrize("end", ["Lifecycle Action Completed with ABANDON Result", "Heartbeat Timeout"])
def test_an_instance_that_was_not_found_ready_is_neither_yet(end: str) -> None:
    message = f"Instance failed to complete user's Lifecycle Action: Lifecycle Action with token t was abandoned: {end}"
    assert why(message) is Why.ABANDONED
