"""A clamd of one's own for labs and tests: the installed program, a database of harmless signatures."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gateway.lab.kinship import ends_with_parent

__all__ = ["CLAMD_SOCKET", "EICAR", "LATE", "ClamdMissing", "ClamdProcess", "clamd_program"]

EICAR = b"".join((rb"X5O!P%@AP[4\PZX54(P^)7CC)7}", b"$EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!$H+H*"))
"""What every scanner takes for a virus and nobody need fear; in pieces, or this file would be taken for one."""

LATE = b"-".join((b"CERALACCA", b"LAB", b"VIRUS", b"UNKNOWN", b"TO", b"THE", b"FIRST", b"PROVIDER"))
"""What the scanner of a lab's first provider does not know and those of the others do, as with any new virus."""

NAMES = {EICAR: "Eicar-Test-Signature", LATE: "Ceralacca-Lab-Virus"}
CLAMD_SOCKET = "clamd.sock"
LONGEST_SOCKET = 100  # of 107 bytes that the system takes
STOP_SECONDS = 10.0
LAST_LINES = 10


class ClamdMissing(RuntimeError):
    """clamd is not installed or cannot run; the text says what to do."""


def clamd_program() -> str | None:
    """The installed clamd."""
    return shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/usr/local/sbin")


class ClamdProcess:
    """One clamd with its files in ``folder``; it ends with this process.

    Args:
        knows: what it takes for viruses.
        options: lines of its configuration, in place of ours or beside them.

    Raises:
        ClamdMissing: it is not installed, or the folder's name is too long for a socket.
    """

    def __init__(self, folder: Path, *options: str, knows: Sequence[bytes] = (EICAR,)) -> None:
        program = clamd_program()
        if program is None:
            raise ClamdMissing("clamd is not installed: apt-get install clamav-daemon")
        self.socket = folder / CLAMD_SOCKET
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET:
            raise ClamdMissing(f"{self.socket}: too long a name for a socket; use another folder")
        self._program = program
        self._folder = folder
        self._options = options
        self._knows = knows
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("clamd was never started")
        return self._process.pid

    def spawn(self) -> None:
        """Start it; it answers after a second or so."""
        database = self._folder / "signatures"
        database.mkdir(parents=True, exist_ok=True)
        (database / "lab.ndb").write_text("".join(f"{NAMES[one]}:0:*:{one.hex()}\n" for one in self._knows))
        configuration = self._folder / "clamd.conf"
        configuration.write_text("".join(f"{line}\n" for line in self._lines(database)))
        self.socket.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the lab, which stops it in order
                preexec_fn=ends_with_parent(),
            )

    def answers(self) -> bool:
        """Whether it takes messages now.

        Raises:
            ClamdMissing: it has ended instead.
        """
        if self._process is None or self._process.poll() is not None:
            raise ClamdMissing(f"clamd did not start\n{self._last_words()}")
        with socket.socket(socket.AF_UNIX) as asking:
            try:
                asking.settimeout(STOP_SECONDS)
                asking.connect(str(self.socket))
                asking.sendall(b"zPING\0")
                return asking.recv(100) == b"PONG\0"
            except OSError:
                return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _log(self) -> Path:
        return self._folder / "clamd.log"

    def _lines(self, database: Path) -> list[str]:
        ours = [
            "Foreground yes",
            f"DatabaseDirectory {database}",
            "OfficialDatabaseOnly no",
            f"LocalSocket {self.socket}",
            "LocalSocketMode 600",
            *(["User root"] if os.geteuid() == 0 else []),
            "StreamMaxLength 120M",
            "MaxScanSize 400M",
            "MaxFileSize 120M",
            "AlertExceedsMax yes",
            "AlertEncrypted yes",
        ]
        named = {line.partition(" ")[0] for line in self._options}
        return [*(line for line in ours if line.partition(" ")[0] not in named), *self._options]

    def _last_words(self) -> str:
        try:
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        except OSError:
            return ""
