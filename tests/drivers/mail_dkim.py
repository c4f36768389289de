"""Mail::DKIM, which judges DKIM signatures: another implementation, in another language."""

import asyncio
import os
import shutil
import subprocess

import pytest

__all__ = ["judged_by", "perl_with_dkim"]

VERIFIER = """
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS::Resolver;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $ARGV[0]));
my $verifier = Mail::DKIM::Verifier->new; binmode STDIN;
while (<STDIN>) { $verifier->PRINT($_) } $verifier->CLOSE; print $verifier->result_detail;
"""


def perl_with_dkim() -> str:
    """Perl with Mail::DKIM. Without it the test is left out, but never in CI."""
    found = shutil.which("perl")
    if found and not subprocess.run([found, "-MMail::DKIM", "-e", "1"], capture_output=True, check=False).returncode:
        return found
    message = "Mail::DKIM is not installed (apt: libmail-dkim-perl)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


async def judged_by(perl: str, port: int, raw: bytes) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(perl, "-e", VERIFIER, str(port), stdin=pipe, stdout=pipe)
    said, _ = await process.communicate(raw)
    return said.decode()
