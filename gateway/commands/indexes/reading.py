"""How the commands under ``ceralacca index`` are given an index, and read it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.config import settings_or_exit
from gateway.commands.reasons import reason_of
from providers.chains import Trust
from providers.cms import CmsError, read_signed_data
from providers.directory import MAX_INDEX_BYTES, Directory, ProviderRecord, read_signed_index

__all__ = [
    "CaOption",
    "FileOption",
    "JsonOption",
    "content_of",
    "is_signed",
    "read_bounded",
    "read_index",
    "title",
    "unusable",
]

UNUSABLE = 2  # exit code

FileOption = Annotated[
    Path | None, typer.Option("--file", help="The signed index (.p7m) instead of the configured one; needs --ca.")
]
CaOption = Annotated[Path | None, typer.Option("--ca", help="PEM file with the authorities of its signer.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def read_index(config: Path, file: Path | None, ca: Path | None) -> Directory:
    """The index that was named, else the configured one; its signature holds."""
    if (file is None) != (ca is None):
        raise unusable("--file and --ca belong together")
    if file is None or ca is None:
        index = settings_or_exit(config).index
        file, ca = index.file, index.signer_ca_file
    try:
        return read_signed_index(read_bounded(file), Trust.of_pem(ca.read_bytes()).anchors, datetime.now(UTC))
    except (OSError, ValueError) as error:
        raise unusable(reason_of(error) if isinstance(error, OSError) else f"{file}: {error}") from None


def read_bounded(file: Path) -> bytes:
    """Raises OSError; ValueError if it is larger than an index may be."""
    with file.open("rb") as opened:
        data = opened.read(MAX_INDEX_BYTES + 1)
    if len(data) > MAX_INDEX_BYTES:
        raise ValueError(f"larger than {MAX_INDEX_BYTES:,} bytes")
    return data


def is_signed(data: bytes) -> bool:
    """Whether this is DER, not text."""
    return data[:1] == b"\x30"


def content_of(data: bytes) -> bytes:
    """The LDIF: as it is, or out of its signature, which is not checked.

    Raises:
        ValueError: it is signed data without content, or broken.
    """
    if not is_signed(data):
        return data
    try:
        content = read_signed_data(data, MAX_INDEX_BYTES).content
    except CmsError as error:
        raise ValueError(f"not signed data: {error}") from error
    if content is None:
        raise ValueError("the signature has no content")
    return content


def unusable(text: str) -> typer.Exit:
    """Say why something cannot be used."""
    typer.echo(text, err=True)
    return typer.Exit(UNUSABLE)


def title(record: ProviderRecord) -> str:
    """A provider's name, and that of its secondary environment."""
    return f"{record.name} ({record.unit})" if record.unit else record.name
