"""Messages: the scanner finds the tree that was written, and stands whatever else arrives."""

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from receipts.octets import InMemory, Octets
from receipts.recognise import receipt_form, recognise
from receipts.scanner import Part, ScanLimits, scan
from receipts.wire import MessageKind
from tests.receipts.samples import certified_messages

__all__ = ["messages", "recognition", "trees", "windows"]

# Boundaries are runs of z, one the beginning of the next; bodies hold no z, but much that looks like a delimiter.
BODY_LINES = st.sampled_from([b"", b"--", b"----", b"-- ", b"text", b" --", b"--\r--", b"\n--", b"From me", b"a: b"])
BODIES = st.lists(BODY_LINES, max_size=4).map(b"\r\n".join)
HEADERS = st.sampled_from(
    [
        b"",
        b"Content-Type: text/plain\r\n",
        b"Subject: x\r\n y\r\nContent-Type: TEXT/Plain; charset=utf-8\r\n",
        b"X-First: 1\r\ncontent-type: application/pdf;\r\n\tname=a.pdf\r\n",
    ]
)
TAILS = st.sampled_from([b"", b" ", b"\t "])


@dataclass(frozen=True)
class Written:
    """An entity, its type, and the entities inside it."""

    data: bytes
    type: str
    inside: "tuple[Written, ...]" = ()

    def shape(self) -> object:
        return self.type, self.data, [child.shape() for child in self.inside]


@st.composite
def leaves(draw: st.DrawFn) -> Written:
    header = draw(HEADERS)
    return Written(header + b"\r\n" + draw(BODIES), "application/pdf" if b"pdf" in header else "text/plain")


@st.composite
def multiparts(draw: st.DrawFn, deep: int) -> Written:
    boundary = b"z" * draw(st.sampled_from([deep + 1, 9 - deep]))
    inside = draw(st.lists(multiparts(deep + 1) if deep < 4 and draw(st.booleans()) else leaves(), max_size=3))
    data = b'Content-Type: multipart/mixed;\r\n boundary="' + boundary + b'"\r\n\r\n' + draw(BODIES) + b"\r\n"
    for child in inside:
        data += b"--" + boundary + draw(TAILS) + b"\r\n" + child.data + b"\r\n"
    data += b"--" + boundary + b"--" + draw(TAILS) + draw(st.sampled_from([b"", b"\r\n", b"\r\nepilogue\r\n"]))
    return Written(data, "multipart/mixed", tuple(inside))


FRAGMENTS = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"--",
        b"--b",
        b"--b--",
        b"\r\n--b\r\n",
        b"\r\n--b--\r\n",
        b"\r\n--c\r\n",
        b" ",
        b"\r",
        b"\n",
    ),
    *(b"Content-Type: multipart/mixed; boundary=b\r\n", b'Content-Type: multipart/digest; boundary="c"\r\n\r\n'),
    *(b"Content-Type: ", b"text/plain", b";", b"boundary=", b"name*0*=", b'"', b"a: b\r\n", b":", b"\x00", b"\xe8"),
    *(b"x" * 40, b"\r\n ", b"Content-Transfer-Encoding: base64\r\n", b"bb"),
)
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=8), max_size=40).map(b"".join)


@given(multiparts(0))
def trees(written: Written) -> None:
    root = scan(Octets.of(written.data))
    assert shape(root, written.data) == written.shape()
    assert not [fault for part in root.walk() for fault in part.faults if part.children]


@given(HOSTILE)
@example(b"--\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b")
def messages(data: bytes) -> None:
    root = scan(Octets.of(data), ScanLimits(header=200, field=60, fields=20, parts=10, depth=3))
    assert (root.start, root.stop) == (0, len(data))
    assert 0 < len(list(root.walk())) <= 11
    for part, depth in with_depth(root):
        assert depth <= 3
        assert part.start == part.header.start <= part.body_start <= part.stop
        assert part.type == part.type.lower()
        assert part.encoding
        assert part.name is None or part.name.encode()
        for field in part.header.fields:
            assert data[field.start : field.stop].removesuffix(b"\r\n").endswith(b":" + field.value)
            assert field in part.header.all(field.name.lower())
        at = part.body_start
        for child in part.children:
            assert at <= child.start <= child.stop <= part.stop
            assert data[child.start - 2 : child.start] == b"\r\n" or child.start == part.stop  # cut after a delimiter
            at = child.stop


@given(HOSTILE)
def windows(data: bytes) -> None:
    """A message that lies in storage is read in windows, and looks the same."""
    seen = scan(Octets.of(data), ScanLimits(header=50))
    assert scan(Octets.whole(InMemory.of(data)), ScanLimits(header=50, window=50)) == seen


@given(
    st.sampled_from(certified_messages()),
    st.lists(st.tuples(st.integers(0), st.integers(0, 60), st.sampled_from(FRAGMENTS)), max_size=4),
)
def recognition(data: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    for place, length, fragment in changes:
        at = place % (len(data) + 1)
        data = data[:at] + fragment + data[at + length :]
    message = Octets.of(data)
    found = recognise(message, scan(message))
    assert receipt_form(found)
    assert (found.kind is None) <= bool(found.hard)
    if found.conforms:
        assert found.marker
        assert found.from_address
        assert found.data or found.kind is MessageKind.ANOMALY


def shape(part: Part, data: bytes) -> object:
    return part.type, data[part.start : part.stop], [shape(child, data) for child in part.children]


def with_depth(part: Part, depth: int = 0) -> Iterator[tuple[Part, int]]:
    yield part, depth
    for child in part.children:
        yield from with_depth(child, depth + 1)
