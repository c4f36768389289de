"""A program in a real terminal, by way of tmux: what it shows, and keys."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.waiting import until

__all__ = ["Terminal", "terminal"]

END = "[it ended with "


class Terminal:
    """What runs in one window of a tmux server of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def screen(self) -> str:
        """What a person sees now."""
        return self._tmux("capture-pane", "-p", "-t", "main:0")

    def history(self) -> str:
        """What has scrolled away, and what a person sees now."""
        return self._tmux("capture-pane", "-p", "-S", "-", "-t", "main:0")

    def press(self, key: str) -> None:
        self._tmux("send-keys", "-t", "main:0", key)

    def wait_for(self, pattern: str, *, seconds: float = 180) -> re.Match[str]:
        """The first place on the screen that the pattern finds, as soon as there is one."""
        try:
            return until(lambda: re.search(pattern, self.screen(), re.DOTALL), f"{pattern!r}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.history()}") from None

    def status(self) -> int:
        """Wait for the program to end; its exit status."""
        return int(self.wait_for(re.escape(END) + r"(\d+)\]").group(1))

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(["tmux", "-S", str(self._socket), *arguments], capture_output=True, text=True, check=True)
        return done.stdout


@contextmanager
def terminal(command: Sequence[str], folder: Path, *, columns: int = 80, lines: int = 40) -> Iterator[Terminal]:
    """Run a command in a terminal of this size."""
    if shutil.which("tmux") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("tmux is not installed")
        pytest.skip("tmux is not installed (apt: tmux)")
    socket = folder / "tmux"
    script = folder / "command.sh"
    script.write_text('trap : INT\n"$@"\necho "' + END + '$?]"\nread forever\n')
    start = ["tmux", "-u", "-f", "/dev/null", "-S", str(socket), "new-session", "-d", "-s", "main"]
    size = ["-x", str(columns), "-y", str(lines)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
    subprocess.run([*start, *size, "/bin/sh", str(script), *command], env=environment, check=True)
    try:
        yield Terminal(socket)
    finally:
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], capture_output=True, check=False)
