"""Room and time for a model: from its size, within SageMaker's limits."""

from __future__ import annotations

import pytest

from neuron_cdk.spec import Hosted, Hosting, hosting

INF2, TRN1 = ["ml.inf2.xlarge"], ["ml.trn1.2xlarge"]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([0.1], Hosted(30, 602, 602)),
        ([40], Hosted(58, 1400, 1400)),
        ([140], Hosted(178, 3400, 3400)),
        ([20, 20], Hosted(58, 1400, 1400)),
        ([500], Hosted(512, 3600, 3600)),
        ([None], Hosted(64, 1800, 1800)),
        ([500, None], Hosted(64, 1800, 1800)),
        ([], Hosted(64, 1800, 1800)),
    ],
)
def test_room_and_time_follow_the_size(sizes: list[float | None], expected: Hosted) -> None:
    assert hosting(sizes, INF2) == expected


@pytest.mark.parametrize("types", [TRN1, [*INF2, *TRN1]])
def test_instances_with_a_disk_of_their_own_take_no_volume(types: list[str]) -> None:
    assert hosting([40], types, Hosting(volume_gb=100)).volume_gb is None


def test_what_the_file_says_stands() -> None:
    assert hosting([40], INF2, Hosting(volume_gb=100, startup_timeout_s=60)) == Hosted(100, 1400, 60)
