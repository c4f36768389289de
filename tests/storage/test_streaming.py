"""A message of 100 MB comes in and goes out without ever standing in memory (D20)."""

import subprocess
import sys

PROGRAM = """
import asyncio, hashlib, resource, sys
from datetime import UTC, datetime
from gateway.storage import content
from gateway.storage.engine import Storage
from gateway.storage.sink import ContentSink
from receipts.octets import Octets

AT = datetime(2026, 3, 29, tzinfo=UTC)
PORTIONS, PORTION = 1_526, 65_536  # 100 MB

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def portion(number):
    return number.to_bytes(8, "big") * (PORTION // 8)

async def main():
    storage = Storage.open(sys.argv[1])
    small = ContentSink(storage, lambda: AT)
    await small.write(b"x" * 2_000_000)
    await small.finish()
    idle = peak()
    sink, digest = ContentSink(storage, lambda: AT), hashlib.sha256()
    for number in range(PORTIONS):
        await sink.write(portion(number))
        digest.update(portion(number))
    stored = await sink.finish()
    assert stored.size == PORTIONS * PORTION and stored.sha256 == digest.digest()
    message = Octets.of(b"envelope", Octets.whole(stored), b"end")
    body = await storage.write(lambda connection: content.save(connection, message, AT))
    found = await storage.read(lambda connection: content.load(connection, body))
    assert found.sha256() == message.sha256()
    storage.close()
    print(idle, peak())

asyncio.run(main())
"""


def test_a_message_of_100_mb_passes_in_little_memory(storage_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, storage_url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    idle, peak = map(int, done.stdout.split())
    assert peak - idle < 32, f"idle {idle} MB, peak {peak} MB"
