"""EFA interfaces, against lists typed from the documentation: (network card, device, kind).

The lists are written out, not made from the catalogue: they are what the catalogue has to hold.

Layout ``efa``, one interface a card, device 0 on the first card and device 1 on the others:

- trn1.32xlarge: Neuron documentation, frameworks/torch/torch-neuronx/setup-trn1-multi-node-execution, the first of its
  ``run-instances`` commands (aws-neuron/aws-neuron-sdk at 81ce03a);
- trn1n.32xlarge: the same page, the second command. It names trn1.32xlarge as the type and puts cards 2 and 3 on
  devices 2 and 3, while the text between the two wants device 1 on all cards but one: taken as a slip;
- trn2.48xlarge, trn2u.48xlarge: aws-neuron/aws-neuron-eks-samples, dp_bert_hf_pretrain/cfn/eks_trn2_ng_stack_al2023;
- GPU types: EC2 user guide, efa-acc-inst-types, the edition in which the primary interface is "EFA with ENA" and each
  further one has the next card's device 1.

Layout ``efa-only``, the primary interface without EFA: EC2 user guide, efa-acc-inst-types, today's edition: card 0
device 0 of type interface, because an efa-only interface must not be the primary one; card 0 device 1 efa-only where
that card supports EFA; device 0 efa-only on each further card. It writes out p5.48xlarge (32) and p6-b300.48xlarge
(whose first card has no EFA), and describes p6-b200.48xlarge (8) in words.

Types with one card and one EFA interface: EC2 user guide, efa-start (an EFA as the primary interface), and
efa-acc-inst-types as above.
"""

from __future__ import annotations

import pytest

from neuron_cdk.catalog import instances
from neuron_cdk.catalog.instances import EfaLayout, InstanceType, InterfaceKind, NetworkCard

ONE_EFA = [
    (0, 0, "efa"),
]
ONE_EFA_ONLY = [
    (0, 0, "interface"),
    (0, 1, "efa-only"),
]
TWO_EFA = [
    (0, 0, "efa"),
    (1, 1, "efa"),
]
TWO_EFA_ONLY = [
    (0, 0, "interface"),
    (0, 1, "efa-only"),
    (1, 0, "efa-only"),
]
FOUR_EFA = [
    (0, 0, "efa"),
    (1, 1, "efa"),
    (2, 1, "efa"),
    (3, 1, "efa"),
]
FOUR_EFA_ONLY = [
    (0, 0, "interface"),
    (0, 1, "efa-only"),
    (1, 0, "efa-only"),
    (2, 0, "efa-only"),
    (3, 0, "efa-only"),
]
EIGHT_EFA = [
    (0, 0, "efa"),
    (1, 1, "efa"),
    (2, 1, "efa"),
    (3, 1, "efa"),
    (4, 1, "efa"),
    (5, 1, "efa"),
    (6, 1, "efa"),
    (7, 1, "efa"),
]
EIGHT_EFA_ONLY = [
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
    (0, 0, "efa"),
    (1, 1, "efa"),
    (2, 1, "efa"),
    (3, 1, "efa"),
    (4, 1, "efa"),
    (5, 1, "efa"),
    (6, 1, "efa"),
    (7, 1, "efa"),
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
    (0, 0, "interface"),
    (0, 1, "efa-only"),
    (1, 0, "efa-only"),
    (2, 0, "efa-only"),
    (3, 0, "efa-only"),
    (4, 0, "efa-only"),
    (5, 0, "efa-only"),
    (6, 0, "efa-only"),
    (7, 0, "efa-only"),
    (8, 0, "efa-only"),
    (9, 0, "efa-only"),
    (10, 0, "efa-only"),
    (11, 0, "efa-only"),
    (12, 0, "efa-only"),
    (13, 0, "efa-only"),
    (14, 0, "efa-only"),
    (15, 0, "efa-only"),
]
THIRTY_TWO_EFA = [
    (0, 0, "efa"),
    (1, 1, "efa"),
    (2, 1, "efa"),
    (3, 1, "efa"),
    (4, 1, "efa"),
    (5, 1, "efa"),
    (6, 1, "efa"),
    (7, 1, "efa"),
    (8, 1, "efa"),
    (9, 1, "efa"),
    (10, 1, "efa"),
    (11, 1, "efa"),
    (12, 1, "efa"),
    (13, 1, "efa"),
    (14, 1, "efa"),
    (15, 1, "efa"),
    (16, 1, "efa"),
    (17, 1, "efa"),
    (18, 1, "efa"),
    (19, 1, "efa"),
    (20, 1, "efa"),
    (21, 1, "efa"),
    (22, 1, "efa"),
    (23, 1, "efa"),
    (24, 1, "efa"),
    (25, 1, "efa"),
    (26, 1, "efa"),
    (27, 1, "efa"),
    (28, 1, "efa"),
    (29, 1, "efa"),
    (30, 1, "efa"),
    (31, 1, "efa"),
]
THIRTY_TWO_EFA_ONLY = [
    (0, 0, "interface"),
    (0, 1, "efa-only"),
    (1, 0, "efa-only"),
    (2, 0, "efa-only"),
    (3, 0, "efa-only"),
    (4, 0, "efa-only"),
    (5, 0, "efa-only"),
    (6, 0, "efa-only"),
    (7, 0, "efa-only"),
    (8, 0, "efa-only"),
    (9, 0, "efa-only"),
    (10, 0, "efa-only"),
    (11, 0, "efa-only"),
    (12, 0, "efa-only"),
    (13, 0, "efa-only"),
    (14, 0, "efa-only"),
    (15, 0, "efa-only"),
    (16, 0, "efa-only"),
    (17, 0, "efa-only"),
    (18, 0, "efa-only"),
    (19, 0, "efa-only"),
    (20, 0, "efa-only"),
    (21, 0, "efa-only"),
    (22, 0, "efa-only"),
    (23, 0, "efa-only"),
    (24, 0, "efa-only"),
    (25, 0, "efa-only"),
    (26, 0, "efa-only"),
    (27, 0, "efa-only"),
    (28, 0, "efa-only"),
    (29, 0, "efa-only"),
    (30, 0, "efa-only"),
    (31, 0, "efa-only"),
]
B300_EFA = [
    (0, 0, "interface"),
    (1, 1, "efa"),
    (2, 1, "efa"),
    (3, 1, "efa"),
    (4, 1, "efa"),
    (5, 1, "efa"),
    (6, 1, "efa"),
    (7, 1, "efa"),
    (8, 1, "efa"),
    (9, 1, "efa"),
    (10, 1, "efa"),
    (11, 1, "efa"),
    (12, 1, "efa"),
    (13, 1, "efa"),
    (14, 1, "efa"),
    (15, 1, "efa"),
    (16, 1, "efa"),
]
B300_EFA_ONLY = [
    (0, 0, "interface"),
    (1, 0, "efa-only"),
    (2, 0, "efa-only"),
    (3, 0, "efa-only"),
    (4, 0, "efa-only"),
    (5, 0, "efa-only"),
    (6, 0, "efa-only"),
    (7, 0, "efa-only"),
    (8, 0, "efa-only"),
    (9, 0, "efa-only"),
    (10, 0, "efa-only"),
    (11, 0, "efa-only"),
    (12, 0, "efa-only"),
    (13, 0, "efa-only"),
    (14, 0, "efa-only"),
    (15, 0, "efa-only"),
    (16, 0, "efa-only"),
]

# By type: the interfaces of layout efa, those of layout efa-only.
DOCUMENTED = {
    "trn1.32xlarge": (EIGHT_EFA, EIGHT_EFA_ONLY),
    "trn1n.32xlarge": (SIXTEEN_EFA, SIXTEEN_EFA_ONLY),
    "trn2.48xlarge": (SIXTEEN_EFA, SIXTEEN_EFA_ONLY),
    "trn2u.48xlarge": (SIXTEEN_EFA, SIXTEEN_EFA_ONLY),
    "trn2.3xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "inf1.24xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "p4d.24xlarge": (FOUR_EFA, FOUR_EFA_ONLY),
    "p4de.24xlarge": (FOUR_EFA, FOUR_EFA_ONLY),
    "p5.4xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "p5.48xlarge": (THIRTY_TWO_EFA, THIRTY_TWO_EFA_ONLY),
    "p5e.48xlarge": (THIRTY_TWO_EFA, THIRTY_TWO_EFA_ONLY),
    "p5en.48xlarge": (SIXTEEN_EFA, SIXTEEN_EFA_ONLY),
    "p6-b200.48xlarge": (EIGHT_EFA, EIGHT_EFA_ONLY),
    "p6-b300.48xlarge": (B300_EFA, B300_EFA_ONLY),
    "g4dn.8xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g4dn.12xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g4dn.16xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g4dn.metal": (ONE_EFA, ONE_EFA_ONLY),
    "g5.8xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g5.12xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g5.16xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g5.24xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g5.48xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6.8xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6.12xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6.16xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6.24xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6.48xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6e.8xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6e.12xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6e.16xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "g6e.24xlarge": (TWO_EFA, TWO_EFA_ONLY),
    "g6e.48xlarge": (FOUR_EFA, FOUR_EFA_ONLY),
    "m7i.48xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "c7i.48xlarge": (ONE_EFA, ONE_EFA_ONLY),
    "r7i.48xlarge": (ONE_EFA, ONE_EFA_ONLY),
}


@pytest.mark.parametrize("layout", ["efa", "efa-only"])
@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_interfaces_are_the_documented_ones(name: str, layout: EfaLayout) -> None:
    made = instances.interfaces(instances.get(name), layout)

    documented = DOCUMENTED[name][0 if layout == "efa" else 1]
    assert [(one.network_card_index, one.device_index, one.kind) for one in made] == documented


def test_every_type_with_efa_is_documented_here() -> None:
    assert {each.name for each in instances.all_types() if each.efa_interfaces} == set(DOCUMENTED)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_primary_interface_always_carries_an_address(name: str) -> None:
    for layout in ("efa", "efa-only"):
        primary = instances.interfaces(instances.get(name), layout)[0]
        assert (primary.network_card_index, primary.device_index) == (0, 0)
        assert primary.kind != "efa-only"


def with_cards(*cards: NetworkCard) -> InstanceType:
    """A type that does not exist, with these cards: a new type is data."""
    known = instances.get("trn1.32xlarge")
    fields = {name: getattr(known, name) for name in known.__dataclass_fields__}
    return InstanceType(**{**fields, "network_cards": cards, "efa_interfaces": sum(card.efa for card in cards)})


def test_a_card_with_room_for_one_interface_gets_device_zero() -> None:
    kinds: tuple[InterfaceKind, ...] = ("interface", "efa", "efa-only")
    made = instances.interfaces(with_cards(NetworkCard(0, 2, kinds, 100), NetworkCard(1, 1, kinds, 100)), "efa")
    assert [(one.network_card_index, one.device_index) for one in made] == [(0, 0), (1, 0)]


def test_a_first_card_with_room_for_one_interface_keeps_it_for_ip() -> None:
    kinds: tuple[InterfaceKind, ...] = ("interface", "efa", "efa-only")
    made = instances.interfaces(with_cards(NetworkCard(0, 1, kinds, 100), NetworkCard(1, 2, kinds, 100)), "efa-only")
    assert [(one.network_card_index, one.device_index, one.kind) for one in made] == [
        (0, 0, "interface"),
        (1, 0, "efa-only"),
    ]


def test_cards_that_know_no_efa_only_are_refused_that_layout() -> None:
    older = with_cards(NetworkCard(0, 2, ("interface", "efa"), 100), NetworkCard(1, 2, ("interface", "efa"), 100))
    with pytest.raises(ValueError, match="carry no interface of kind efa-only"):
        instances.interfaces(older, "efa-only")
    assert len(instances.interfaces(older, "efa")) == 2


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
