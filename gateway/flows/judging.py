"""A word about certified messages that come from elsewhere, by the provider's own trust and index."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.drivers.keyfiles import load_trust
from providers.chains import ChainCache, Trust
from providers.directory import Directory, IndexRefused, read_signed_index
from providers.judgement import Verdict, judge
from receipts.octets import Octets

__all__ = ["VALID", "judge_with"]

VALID: Final = Verdict.VALID.value


def judge_with(ca_file: Path, index_file: Path, signer_ca_file: Path) -> Callable[[Octets], str]:
    """A judge by these authorities and this index; without a readable index who signed cannot be looked up.

    Raises:
        KeyRefused: a file of authorities holds no certificates.
    """
    trust, cache = load_trust(ca_file), ChainCache()
    directory = _directory(index_file, load_trust(signer_ca_file))

    def word(message: Octets) -> str:
        return judge(message.read(), trust=trust, directory=directory, cache=cache).verdict.value

    return word


def _directory(file: Path, trust: Trust) -> Directory | None:
    try:
        return read_signed_index(file.read_bytes(), trust.anchors, None)
    except (OSError, IndexRefused):
        return None
