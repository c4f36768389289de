"""The DNS records of a mail domain, as lines of a zone file, ready to paste: MX, SPF, DKIM and DMARC."""

from collections.abc import Iterable, Iterator

from gateway.drivers.dkim_keys import DkimKey

__all__ = ["key_record", "mail_records"]

LONGEST_STRING = 255  # bytes of one string of a TXT record (RFC 1035 section 3.3)
DAY, HOUR = 86_400, 3_600  # how long others may remember


def mail_records(domain: str, *, host: str, postmaster: str, keys: Iterable[DkimKey]) -> Iterator[str]:
    """Lines with absolute names.

    Args:
        host: the name of the server that takes mail for the domain and sends from it.
        postmaster: who gets the reports of others about mail in this name.
        keys: those to be published: in use, soon to be, or no longer.
    """
    yield f"{domain}. {DAY} IN MX 10 {host}."
    yield _text(domain, f"v=spf1 mx a:{host} -all")
    for key in keys:
        yield key_record(key)
    yield _text(f"_dmarc.{domain}", f"v=DMARC1; p=reject; rua=mailto:{postmaster}")


def key_record(key: DkimKey) -> str:
    return _text(key.record_name, key.record)


def _text(name: str, text: str) -> str:
    pieces = [text[start : start + LONGEST_STRING] for start in range(0, len(text), LONGEST_STRING)]
    return f"{name}. {HOUR} IN TXT " + " ".join(f'"{piece}"' for piece in pieces)
