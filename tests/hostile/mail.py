"""Mail that no program should have to read. Each case holds its token, by which it is found again."""

import random
from collections.abc import Callable

__all__ = ["BODIES", "HEADERS"]

Body = Callable[[str], str]
"""Token -> what follows the first header fields: more fields, an empty line and a body."""


def _nested(token: str) -> str:
    levels = 500
    return (
        "".join(f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n' for level in range(levels))
        + f"Content-Type: text/plain\r\n\r\n{token}\r\n"
        + "".join(f"--b{level}--\r\n" for level in reversed(range(levels)))
    )


def _messages_in_messages(token: str) -> str:
    return "Content-Type: message/rfc822\r\n\r\n" * 500 + f"Subject: {token}\r\n\r\nfine\r\n"


def _many_parts(token: str) -> str:
    parts = "".join(
        f'--b\r\nContent-Type: text/plain; name="{number}.txt"\r\n\r\n{number}\r\n' for number in range(10_000)
    )
    return f'Content-Type: multipart/mixed; boundary="b"\r\n\r\n{parts}--b--\r\n{token}\r\n'


def _more_parts(token: str) -> str:
    return f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{token}\r\n" + "--b\r\n\r\n" * 200_000


def _almost_delimiters(token: str) -> str:
    return f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{token}\r\n" + "--bb\r\n--b b\r\n" * 100_000


def _nested_and_wide(token: str) -> str:
    """Every level has the boundary of all others inside its own, and each is searched for again."""
    levels = [f'Content-Type: multipart/mixed; boundary="{"b" * (120 - level)}"' for level in range(110)]
    body = "".join(f"{head}\r\n\r\n--{'b' * (120 - level)}\r\n" for level, head in enumerate(levels))
    return f"{body}\r\n{token}\r\n" + ("-" * 70 + "\r\n") * 20_000


def _random_lines(token: str) -> str:
    numbers = random.Random(token)
    noise = bytes(numbers.choice(range(1, 256)) for _ in range(200_000)).translate(None, b"\r\n")
    lines = [noise[at : at + 900].decode("latin-1") for at in range(0, len(noise), 900)]
    return "\r\n".join(["Content-Type: application/octet-stream", "", token, *lines, ""])


BODIES: dict[str, Body] = {
    "MIME without end": lambda t: (
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        f"Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\n{t}\r\n"
    ),
    "a boundary that never comes": lambda t: f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{t}\r\n",
    "no boundary": lambda t: f"Content-Type: multipart/mixed\r\n\r\n--\r\n{t}\r\n--\r\n",
    "an empty boundary": lambda t: f'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n{t}\r\n----\r\n',
    "10,000 parts": _many_parts,
    "200,000 parts": _more_parts,
    "lines that only look like delimiters": _almost_delimiters,
    "nesting 500 deep": _nested,
    "messages in messages 500 deep": _messages_in_messages,
    "nesting of boundaries that begin alike": _nested_and_wide,
    "wrong charset names": lambda t: (
        "Subject: =?x-nessuno?B?////?= =?utf-8?Q?=ZZ=C3?= =?../../etc/passwd?Q?a?= =?utf-16?B?AA==?=\r\n"
        f'Content-Type: text/plain; charset="\\"; DROP TABLE; ascii"; name*=x-nulla\'\'%ff%fe\r\n\r\n{t}\r\n'
    ),
    "encodings that are none": lambda t: (
        f"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{t}!!!==\r\n=\r\n====\r\n"
    ),
    "an encoding nobody knows": lambda t: (
        f"Content-Transfer-Encoding: x-rot-13\r\nContent-Transfer-Encoding: binary\r\n\r\n{t}\r\n"
    ),
    "random lines": _random_lines,
    "one line that never ends but folds": lambda t: (
        "Content-Type: text/plain;\r\n" + " x=y;\r\n" * 5_000 + f" z={t}\r\n\r\n{t}\r\n"
    ),
    "parameters in 3,000 pieces": lambda t: (
        "Content-Type: text/plain;\r\n"
        + "".join(f" name*{number}*=%e8;\r\n" for number in range(3_000))
        + f" x=y\r\n\r\n{t}\r\n"
    ),
}
"""Below a header that is good for submission."""

HEADERS: dict[str, Body] = {
    "a header of 1 MB": lambda t: "".join(f"X-{number}: {'x' * 900}\r\n" for number in range(1_100)) + f"\r\n{t}\r\n",
    "a field of 1 MB": lambda t: "X-Long: x\r\n" + f" {'x' * 900}\r\n" * 1_100 + f"\r\n{t}\r\n",
    "100,000 fields": lambda t: "a:\r\n" * 100_000 + f"\r\n{t}\r\n",
    "lines that are no fields": lambda t: "questo non va\r\n: vuoto\r\n" * 50 + f"\r\n{t}\r\n",
    "a header that never ends": lambda t: f"X-Token: {t}\r\n" + "x: y\r\n" * 200_000,
    "To with 200,000 commas": lambda t: "To: " + ",\r\n ".join([",," * 100] * 250) + f"\r\n\r\n{t}\r\n",
    "comments in comments": lambda t: "To: " + "\r\n ".join(["(" * 900] * 60) + f"\r\n\r\n{t}\r\n",
    "8-bit bytes in the header": lambda t: f"X-Citt\xe0: \xff\xfe\r\nSubject: \xe8\r\n\r\n{t}\r\n",
}
"""In place of a header that is good."""
