"""Rights in shared boxes: graded, each with those before it."""

import pytest

from gateway.points.sharing import MAX_NAME, NEEDED, Act, Right, allows, is_person_name, may


def test_every_act_needs_a_right() -> None:
    assert set(NEEDED) == set(Act)


@pytest.mark.parametrize("have", Right)
@pytest.mark.parametrize("needed", Right)
def test_each_right_includes_those_before_it(have: Right, needed: Right) -> None:
    grades = ["read", "write", "send", "manage"]
    assert allows(have, needed) is (grades.index(have) >= grades.index(needed))


@pytest.mark.parametrize(
    ("right", "acts"),
    [
        (Right.READ, {Act.SIGN_IN, Act.READ}),
        (Right.WRITE, {Act.SIGN_IN, Act.READ, Act.FLAG, Act.COPY, Act.MOVE, Act.ADD, Act.REMOVE}),
        (Right.SEND, {Act.SIGN_IN, Act.READ, Act.FLAG, Act.COPY, Act.MOVE, Act.ADD, Act.REMOVE, Act.SEND}),
        (Right.MANAGE, set(Act)),
    ],
)
def test_what_each_right_may_do(right: Right, acts: set[Act]) -> None:
    assert {act for act in Act if may(right, act)} == acts


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("Carla Neri", True),
        ("Zoë", True),
        ("bruno@alfa.example", True),
        ("x" * MAX_NAME, True),
        ("x" * (MAX_NAME + 1), False),
        ("", False),
        (" Carla", False),
        ("Carla\n", False),
        ("Car\x1b[2Jla", False),
        ("Carla\N{RIGHT-TO-LEFT OVERRIDE}", False),
        ("\ud800", False),
        ("Holder", False),
        ("operator", False),
    ],
)
def test_what_a_person_can_be_called(name: str, good: bool) -> None:
    assert is_person_name(name) is good
