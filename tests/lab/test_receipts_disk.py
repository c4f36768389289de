"""Receipts of a large message to many take next to nothing on either disk, and come out as they left."""

from pathlib import Path

import pytest

from bench.receipts_disk import measure

pytestmark = pytest.mark.lab


async def test_receipts_add_less_than_two_hundredths_of_their_size(tmp_path: Path) -> None:
    """A small one of what ``bench/receipts_disk.py`` measures; each receipt is larger than what stays in memory."""
    report = await measure(tmp_path / "lab", recipients=20, size=2_000_000)
    assert report.different == 0
    assert report.receipt_bytes > 20 * report.message_bytes
    assert max(report.ratio.values()) < 0.02, report
    assert all(report.peak_rss_mb[domain] - idle < 200 for domain, idle in report.idle_rss_mb.items()), report
