"""What boxes decide about ordinary mail."""

import pytest

from gateway.points.ordinary import INBOX, JUNK, LOOP_MARK, TAKEN, Ordinary, OrdinaryPolicy, effective, may_forward
from receipts.octets import Octets
from receipts.scanner import scan_header

HEADER = scan_header(Octets.of(b"From: x@mail.example\r\n\r\n"))
FORWARDED = scan_header(Octets.of(f"From: x@mail.example\r\n{LOOP_MARK.lower()}: a@b.example\r\n\r\n".encode()))


@pytest.mark.parametrize("default", list(Ordinary))
@pytest.mark.parametrize("own", [None, OrdinaryPolicy(ordinary=Ordinary.REFUSE)])
def test_service_and_operator_take_everything(own: OrdinaryPolicy | None, default: Ordinary) -> None:
    assert effective(own, default, of_a_holder=False) == TAKEN


def test_a_box_decides_before_the_provider() -> None:
    own = OrdinaryPolicy(ordinary=Ordinary.FOLDER, folder="Pubblicità")
    assert effective(own, Ordinary.REFUSE, of_a_holder=True) is own
    assert effective(None, Ordinary.REFUSE, of_a_holder=True).refuses
    assert effective(None, Ordinary.FOLDER, of_a_holder=True).folder == JUNK
    assert effective(None, Ordinary.WRAP, of_a_holder=True).folder == INBOX


@pytest.mark.parametrize(
    ("header", "reverse_path", "to", "may"),
    [
        (HEADER, "x@mail.example", "y@mail.example", True),
        (HEADER, "", "y@mail.example", False),  # null-path mail never causes an automatic message
        (FORWARDED, "x@mail.example", "y@mail.example", False),  # a forward of ours that came back
        (HEADER, "x@mail.example", "Bruno@BETA.example", False),  # to itself
        (HEADER, "x@mail.example", "ufficio@beta.example", False),
    ],
)
def test_what_may_be_forwarded(header: object, reverse_path: str, to: str, may: bool) -> None:
    boxes = ["bruno@beta.example", "Ufficio@beta.example"]
    assert may_forward(header, reverse_path=reverse_path, forward_to=to, boxes=boxes) is may  # type: ignore[arg-type]
