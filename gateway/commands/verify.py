"""``ceralacca verify``: judge files of certified mail, ours or any other provider's."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from providers.chains import ChainCache, Trust
from providers.directory import Directory, IndexRefused, read_directory, read_signed_index
from providers.judgement import Judgement, Verdict, judge
from receipts.facts import CertificationData
from receipts.wire import MessageKind

__all__ = ["EXIT_CODES", "report", "verify"]

EXIT_CODES = {Verdict.VALID: 0, Verdict.UNTRUSTED: 3, Verdict.INVALID: 1, Verdict.UNREADABLE: 2}
MARKS = {True: "yes", False: "NO", None: "-"}
NAMES = {
    MessageKind.ACCEPTANCE: "an acceptance receipt",
    MessageKind.NON_ACCEPTANCE: "a non-acceptance notice",
    MessageKind.NON_ACCEPTANCE_VIRUS: "a non-acceptance notice because of a virus",
    MessageKind.ENVELOPE: "a transport envelope",
    MessageKind.TIMEOUT: "a timeout notice",
    MessageKind.TAKE_CHARGE: "a take-charge receipt",
    MessageKind.ANOMALY: "an anomaly envelope, which certifies nothing",
    MessageKind.VIRUS: "a virus notice",
    MessageKind.NON_DELIVERY_VIRUS: "a non-delivery notice because of a virus",
    MessageKind.DELIVERY: "a delivery receipt",
    MessageKind.NON_DELIVERY: "a non-delivery notice",
}


def verify(
    files: Annotated[list[Path], typer.Argument(help="Mail files, as a mail program saves them.")],
    ca: Annotated[
        list[Path] | None, typer.Option("--ca", help="PEM of an authority to trust; may stand several times.")
    ] = None,
    index: Annotated[
        Path | None, typer.Option("--index", help="The provider index: .p7m as published, or plain LDIF.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Judge certificates at this time (ISO 8601; UTC unless it says otherwise)."),
    ] = None,
    original: Annotated[
        Path | None,
        typer.Option(
            "--original", help="The message as you sent it: compare it with the copy, or the hashes, in a receipt."
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, one object a file.")] = False,
) -> None:
    """Say of certified mail what it is, who sealed it, what it certifies, and whether that holds.

    Leaves with 0 if valid, 3 if nothing is wrong but authority or index could not be looked up, 1 if invalid, 2 if
    unreadable; with several files, as for the worst.
    """
    trust = _trust(ca or [])
    directory = _index(index, trust) if index else None
    sent = _original(original) if original else None
    when, cache, worst = _time(at), ChainCache(), Verdict.VALID
    reports = []
    for file in files:
        judgement = _judge(file, trust, directory, when, cache, sent)
        worst = max(worst, judgement.verdict if judgement else Verdict.UNREADABLE, key=list(Verdict).index)
        if as_json:
            reports.append(report(str(file), judgement))
        else:
            typer.echo("\n".join(map(_shown, _lines(str(file), judgement))) + "\n")
    if as_json:
        typer.echo(json.dumps(reports, indent=2, ensure_ascii=False))
    raise typer.Exit(EXIT_CODES[worst])


def report(file: str, judgement: Judgement | None) -> dict[str, Any]:
    """The object of one file; None for a file that cannot be opened."""
    if judgement is None:
        checks = [{"name": "structure", "ok": False, "detail": "the file cannot be opened"}]
        verdict: Verdict = Verdict.UNREADABLE
        return _object(file, verdict, None, None, None, checks)
    found, signer = judgement.recognition, judgement.signature.signer
    checks = [{"name": check.name.value, "ok": check.ok, "detail": check.detail} for check in judgement.annotated]
    holder: dict[str, Any] | None = None
    if signer is not None:
        names = {"subject": signer.subject, "issuer": signer.issuer, "email": signer.email}
        holder = {**names, "sha256": signer.sha256}
    kind = found.kind.value if found and found.kind else None
    certified = _certified(found.data) if found and found.data else None
    return _object(file, judgement.verdict, kind, holder, certified, checks)


def _object(
    file: str,
    verdict: Verdict,
    kind: str | None,
    signer: dict[str, Any] | None,
    certified: dict[str, Any] | None,
    checks: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "file": file,
        "verdict": verdict.value,
        "kind": kind,
        "signer": signer,
        "certified": certified,
        "checks": checks,
    }


def _certified(data: CertificationData) -> dict[str, Any]:
    return {
        "type": data.type.value,
        "error": data.error.value,
        "sender": data.sender,
        "recipients": [{"address": each.address, "kind": each.kind.value} for each in data.recipients],
        "reply_to": data.reply_to,
        "subject": data.subject,
        "provider": data.provider,
        "at": _utc(data.at),
        "pec_msgid": data.pec_msgid,
        "msgid": data.msgid,
        "receipt_form": data.receipt_form.value if data.receipt_form else None,
        "delivered_to": data.delivered_to,
        "taken_for": list(data.taken_for),
        "error_text": data.error_text,
    }


def _lines(file: str, judgement: Judgement | None) -> Iterator[str]:
    """The report for people."""
    if judgement is None:
        yield f"{file}: unreadable: the file cannot be opened"
        return
    found, signer, provider = judgement.recognition, judgement.signature.signer, judgement.signature.provider
    yield f"{file}: {judgement.verdict}"
    if found is not None:
        yield f"  It is {NAMES[found.kind] if found.kind else 'signed mail of no certified kind'}."
    if signer is not None:
        yield f"  Sealed by {provider.name if provider else signer.subject} ({signer.email or 'no address'})."
    if found is not None and found.data is not None:
        yield from _certified_lines(found.data)
    for check in judgement.checks:
        yield f"  {MARKS[check.ok]:>3}  {check.name:<13} {check.detail}"
        yield from (f"                     note: {text}" for name, text in judgement.notes if name is check.name)


def _certified_lines(data: CertificationData) -> Iterator[str]:
    recipients = ", ".join(recipient.address for recipient in data.recipients[:10])
    more = f" and {len(data.recipients) - 10} more" if len(data.recipients) > 10 else ""
    yield f"  {data.provider} certifies: {data.type} at {data.at:%Y-%m-%d %H:%M:%S %z}"
    yield f"    from {data.sender} to {recipients}{more}"
    yield f"    subject: {data.subject or ''}"
    yield f"    identifier: {data.pec_msgid}"
    if data.delivered_to:
        yield f"    delivery to: {data.delivered_to}"
    if data.taken_for:
        yield f"    taken in charge for: {', '.join(data.taken_for[:10])}"
    if data.error_text:
        yield f"    error: {data.error_text}"


def _judge(
    file: Path,
    trust: Trust | None,
    directory: Directory | None,
    at: datetime | None,
    cache: ChainCache,
    original: bytes | None,
) -> Judgement | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return judge(data, trust=trust, directory=directory, at=at, now=datetime.now(UTC), cache=cache, original=original)


def _trust(files: list[Path]) -> Trust | None:
    if not files:
        return None
    try:
        return Trust.of_pem(*(file.read_bytes() for file in files))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot be read as PEM: {error}", param_hint="--ca") from error


def _index(file: Path, trust: Trust | None) -> Directory | None:
    """A published index counts only with its signature; a plain LDIF file is the reader's own word."""
    try:
        data = file.read_bytes()
        if data.startswith(b"\x30"):
            return read_signed_index(data, trust.anchors if trust else (), None)
    except OSError as error:
        raise typer.BadParameter(f"cannot be read: {error}", param_hint="--index") from error
    except IndexRefused as error:
        typer.echo(f"{file}: the index is not used: {error}", err=True)
        return None
    directory = read_directory(data)
    if not directory.records:
        raise typer.BadParameter("holds no provider", param_hint="--index")
    return directory


def _original(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot be read: {error}", param_hint="--original") from error


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("not a time as 2026-03-02T09:30:15", param_hint="--at") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _shown(line: str) -> str:
    """What others wrote may hold characters that steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
