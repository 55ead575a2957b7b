"""Endpoints on the embedded AWS scale by the policies that their hooks registered, out, in, to zero and from zero.

The run is the one that the documentation's picture shows: ``docs/scaling_run.py``. What is asserted is what the load
and the clock decide; how fast the machine is decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import pytest

from docs import scaling_platform, scaling_record
from docs.scaling_run import KEPT, STEPS, Run, play, policy, wanted
from neuron_cdk import scaling_rules
from neuron_cdk.local.sample import Sample
from neuron_cdk.spec import EndpointScaling

IN_COOLDOWN_S = EndpointScaling.model_fields["scale_in_cooldown_s"].default
TRACKING = "concurrent-requests"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with scaling_platform.deployed(tmp_path_factory.mktemp("scaling")) as platform:
        return play(platform)


@pytest.fixture(scope="module")
def kept(run: Run) -> scaling_record.Record:
    assert run.record is not None
    return run.record


def test_under_load_it_grows_to_what_the_target_asks_for_and_comes_back(run: Run, kept: scaling_record.Record) -> None:
    assert steps(kept.serving.instances) == [instances for _, instances in STEPS]
    changes = [(policy(each), wanted(each), each["StatusCode"]) for each in run.activities["serving"]]
    assert changes == [(TRACKING, instances, "Successful") for _, instances in STEPS[1:]]


def test_it_grows_once_load_has_come_and_shrinks_after_fifteen_minutes_without(run: Run) -> None:
    times = [each["StartTime"].timestamp() for each in run.activities["serving"]]
    grows = [after > before for (before, _), (after, _) in pairwise(STEPS)]
    for grown, began, acted in zip(grows, run.changed[1:], times, strict=True):
        # The first of the datapoints that it takes may have begun before the load changed.
        assert acted - began >= (
            10 * (scaling_rules.HIGH_DATAPOINTS - 1) if grown else 60 * (scaling_rules.LOW_DATAPOINTS - 1)
        )
    shrunk = [time for time, grown in zip(times, grows, strict=True) if not grown]
    assert all(later - earlier >= IN_COOLDOWN_S for earlier, later in pairwise(shrunk))


def test_no_request_is_lost_while_instances_come_and_go(run: Run) -> None:
    assert run.lost == []


def test_what_nobody_asks_goes_to_no_copies_and_no_instances(kept: scaling_record.Record) -> None:
    assert steps(kept.sleeping.copies) == [1, 0, 1, 0]
    assert steps(kept.sleeping.instances) == [1, 0, 1, 0]


def test_a_first_request_finds_no_capacity_and_wakes_it(run: Run) -> None:
    assert "Inference Component has no capacity to process this request" in run.refusals[0]
    changes = [(policy(each), wanted(each), each["StatusCode"]) for each in run.activities["sleeping"]]
    assert changes == [(TRACKING, 0, "Successful"), ("wake", 1, "Successful"), (TRACKING, 0, "Successful")]


def test_once_awake_it_answers_as_the_original_does(run: Run) -> None:
    (expected,) = Sample().original([scaling_platform.row()])
    assert run.scores
    for scores in run.scores:
        assert scores == pytest.approx(expected, abs=1e-4)


def test_the_pictures_record_is_of_such_a_run(kept: scaling_record.Record) -> None:
    """What is committed shows the same steps, and is read as it was written."""
    committed = KEPT.read_text()
    record = scaling_record.read(committed)
    assert record.text() == committed
    assert [each.wanted for each in record.serving.activities] == [each.wanted for each in kept.serving.activities]
    assert [each.policy for each in record.sleeping.activities] == [each.policy for each in kept.sleeping.activities]


def steps(counts: Sequence[int]) -> list[int]:
    """Each count once for as long as it stays."""
    return [count for count, _ in groupby(counts)]
