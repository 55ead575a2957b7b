"""What ``make docs`` writes is what is committed, and the picture says what the templates say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    from docs.build import build

    folder = tmp_path_factory.mktemp("docs")
    build(folder)
    return folder


def test_the_committed_pages_are_those_the_code_gives(built):
    made = {path.relative_to(built): path.read_text() for path in built.rglob("*") if path.is_file()}
    committed = {
        path.relative_to(ROOT / "docs"): path.read_text()
        for folder in ("images", "reference")
        for path in (ROOT / "docs" / folder).iterdir()
        if path.suffix != ".json"  # recorded, not made from the code
    }
    assert made.keys() == committed.keys()
    stale = [str(name) for name in made if made[name] != committed[name]]
    assert not stale, f"run make docs: {', '.join(stale)}"


@pytest.mark.parametrize("picture", ["architecture", "fleet-day", "endpoint-scaling"])
def test_a_picture_is_drawn_inside_its_frame(built, picture):
    """Every box and every text begins within the view; nothing is cut off."""
    root = ElementTree.fromstring((built / "images" / f"{picture}.svg").read_text())
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(rect.get("x", 0)) + float(rect.attrib["width"]) <= width
        assert float(rect.get("y", 0)) + float(rect.attrib["height"]) <= height
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height


def test_the_picture_has_every_stack_and_what_it_takes(built):
    svg = (built / "images" / "architecture.svg").read_text()
    for stack in ("Artifacts", "Network", "Pipeline", "Endpoint-embed", "Models", "Fleet-pretrain", "Fleet-serve"):
        assert f">sandbox-{stack}</text>" in svg
    takers = re.findall(r">Artifacts: [^<]*key[^<]*</text>", svg)
    assert len(takers) == 5  # all but Models, which only asks the pipeline
    assert "trn1.32xlarge, 8 EFA interfaces" in svg


@pytest.fixture(scope="session")
def days():
    from docs.day import DAYS

    return [make() for make in DAYS]


def test_the_days_show_every_reason_to_move(days):
    moves = [note.text for day in days for note in day.notes if note.ours]
    assert {reason for text in moves for reason in text.partition(": ")[2].split(", ")} == {
        "short",
        "interrupted",
        "closing",
        "return",
    }


def test_the_days_hold_what_the_page_about_fleets_says(days):
    """Never more than max; base where it belongs; a gang whole in one pool or nowhere."""
    serving, training = days
    for day in days:
        assert all(sum(counts) <= day.most for counts in zip(*day.serving.values(), day.starting, strict=True))
    assert min(serving.serving["on-demand"]) == 2
    for counts in training.serving.values():
        assert set(counts) == {0, 8}


def test_a_resource_type_nobody_decided_on_is_refused(tmp_path):
    from docs.assembly import stacks

    (tmp_path / "manifest.json").write_text(
        json.dumps({"artifacts": {"s": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "s.json"}}}})
    )
    (tmp_path / "s.json").write_text(json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}))
    with pytest.raises(LookupError, match=r"whether to draw AWS::SQS::Queue"):
        stacks(tmp_path)
