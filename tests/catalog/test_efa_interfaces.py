"""EFA interfaces, against lists typed from the documentation: (network card, device, kind)."""

from __future__ import annotations

import pytest

from neuron_cdk.catalog import instances
from neuron_cdk.catalog.instances import EfaLayout, InstanceType, InterfaceKind, NetworkCard

TRN1_EFA = [
    (0, 0, "efa"),
    (1, 1, "efa"),
    (2, 1, "efa"),
    (3, 1, "efa"),
    (4, 1, "efa"),
    (5, 1, "efa"),
    (6, 1, "efa"),
    (7, 1, "efa"),
]
TRN1_EFA_ONLY = [
    (0, 0, "interface"),
    (0, 1, "efa-only"),
    (1, 0, "efa-only"),
    (2, 0, "efa-only"),
    (3, 0, "efa-only"),
    (4, 0, "efa-only"),
    (5, 0, "efa-only"),
    (6, 0, "efa-only"),
    (7, 0, "efa-only"),
]
SIXTEEN_EFA = [
    *TRN1_EFA,
    (8, 1, "efa"),
    (9, 1, "efa"),
    (10, 1, "efa"),
    (11, 1, "efa"),
    (12, 1, "efa"),
    (13, 1, "efa"),
    (14, 1, "efa"),
    (15, 1, "efa"),
]
SIXTEEN_EFA_ONLY = [
    *TRN1_EFA_ONLY,
    (8, 0, "efa-only"),
    (9, 0, "efa-only"),
    (10, 0, "efa-only"),
    (11, 0, "efa-only"),
    (12, 0, "efa-only"),
    (13, 0, "efa-only"),
    (14, 0, "efa-only"),
    (15, 0, "efa-only"),
]


@pytest.mark.parametrize(
    ("name", "layout", "expected"),
    [
        ("trn1.32xlarge", "efa", TRN1_EFA),
        ("trn1.32xlarge", "efa-only", TRN1_EFA_ONLY),
        ("trn1n.32xlarge", "efa", SIXTEEN_EFA),
        ("trn1n.32xlarge", "efa-only", SIXTEEN_EFA_ONLY),
        ("trn2.48xlarge", "efa", SIXTEEN_EFA),
        ("trn2.48xlarge", "efa-only", SIXTEEN_EFA_ONLY),
        ("trn2u.48xlarge", "efa", SIXTEEN_EFA),
        ("trn2.3xlarge", "efa", [(0, 0, "efa")]),
        ("trn2.3xlarge", "efa-only", [(0, 0, "interface"), (0, 1, "efa-only")]),
        ("inf1.24xlarge", "efa", [(0, 0, "efa")]),
        ("inf1.24xlarge", "efa-only", [(0, 0, "interface"), (0, 1, "efa-only")]),
    ],
)
def test_the_interfaces_are_the_documented_ones(
    name: str, layout: EfaLayout, expected: list[tuple[int, int, str]]
) -> None:
    made = instances.interfaces(instances.get(name), layout)
    assert [(one.network_card_index, one.device_index, one.kind) for one in made] == expected


@pytest.mark.parametrize("layout", ["efa", "efa-only"])
def test_a_first_card_without_efa_keeps_a_plain_interface(layout: EfaLayout) -> None:
    made = instances.interfaces(instances.get("p6-b300.48xlarge"), layout)
    assert (made[0].network_card_index, made[0].device_index, made[0].kind) == (0, 0, "interface")
    assert [one.network_card_index for one in made if one.kind == layout] == list(range(1, 17))


def with_cards(*cards: NetworkCard) -> InstanceType:
    """A type that does not exist, with these cards: a new type is data."""
    known = instances.get("trn1.32xlarge")
    fields = {name: getattr(known, name) for name in known.__dataclass_fields__}
    return InstanceType(**{**fields, "network_cards": cards, "efa_interfaces": sum(card.efa for card in cards)})


def test_a_card_with_room_for_one_interface_gets_device_zero() -> None:
    kinds: tuple[InterfaceKind, ...] = ("interface", "efa", "efa-only")
    made = instances.interfaces(with_cards(NetworkCard(0, 2, kinds, 100), NetworkCard(1, 1, kinds, 100)), "efa")
    assert [(one.network_card_index, one.device_index) for one in made] == [(0, 0), (1, 0)]


@pytest.mark.parametrize("layout", ["efa", "efa-only"])
def test_every_type_gets_as_many_efa_devices_as_it_takes_within_its_cards(layout: EfaLayout) -> None:
    for instance in instances.all_types():
        if not instance.efa_interfaces:
            continue
        made = instances.interfaces(instance, layout)
        assert sum(one.kind == layout for one in made) == instance.efa_interfaces, instance.name
        places = [(one.network_card_index, one.device_index) for one in made]
        assert places[0] == (0, 0), instance.name
        assert len(set(places)) == len(places), instance.name
        for card in instance.network_cards:
            on_card = [one for one in made if one.network_card_index == card.index]
            assert len(on_card) <= card.max_interfaces, instance.name
            assert {one.kind for one in on_card} <= set(card.interface_types), instance.name


def test_a_type_without_efa_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inf2\.48xlarge has no EFA"):
        instances.interfaces(instances.get("inf2.48xlarge"), "efa")


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("trn1.32xlarge", "efa"),
        ("trn2.48xlarge", "efa"),
        ("p5.48xlarge", "efa"),
        ("trn2.3xlarge", "none"),
        ("inf1.24xlarge", "none"),
        ("trn1.2xlarge", "none"),
        ("m5.xlarge", "none"),
    ],
)
def test_efa_is_the_default_where_a_type_is_made_for_clusters(name: str, layout: str) -> None:
    assert instances.default_efa_layout(instances.get(name)) == layout
