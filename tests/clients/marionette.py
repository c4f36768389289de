"""The protocol by which Mozilla's programs are driven: JSON over TCP, each message behind its length in digits.

Source: https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html, protocol 3.
"""

import base64
import json
import socket
from collections.abc import Mapping
from typing import Any

__all__ = ["Marionette", "ScriptFailed"]

COMMAND, ANSWER = 0, 1
PROTOCOL = 3
GRACE_SECONDS = 30  # for the program to say itself that a script took too long


class ScriptFailed(AssertionError):
    """The program refused a command, or a script in it threw."""


class Marionette:
    """A session in the program's own windows, where its scripts may do whatever it may itself."""

    def __init__(self, port: int, *, seconds: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds + GRACE_SECONDS)
        self._stream = self._socket.makefile("rb")
        self._last = 0
        if (spoken := self._read()["marionetteProtocol"]) != PROTOCOL:
            raise ScriptFailed(f"protocol {spoken}")
        # A dialog that nobody expected is left open: it shall be seen on the picture, not be closed unseen.
        self.call("WebDriver:NewSession", {"unhandledPromptBehavior": "ignore"})
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": int(seconds * 1000)})

    def call(self, command: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """What the program answers to one command.

        Raises:
            ScriptFailed: it answers with an error.
        """
        self._last += 1
        asked = json.dumps([COMMAND, self._last, command, parameters or {}]).encode()
        self._socket.sendall(b"%d:%b" % (len(asked), asked))
        kind, number, error, result = self._read()
        assert (kind, number) == (ANSWER, self._last), (kind, number)
        if error is not None:
            raise ScriptFailed(f"{error['error']}: {error['message']}\n{error['stacktrace']}")
        return result

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns, or the promise of it; it finds what is given in ``arguments``."""
        return self.call("WebDriver:ExecuteScript", {"script": script, "args": list(arguments)})["value"]

    def picture(self) -> bytes:
        """The current window as a PNG."""
        return base64.b64decode(self.call("WebDriver:TakeScreenshot", {"full": False, "hash": False})["value"])

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _read(self) -> Any:
        length = b""
        while (digit := self._stream.read(1)) != b":":
            if not digit:
                raise ScriptFailed("the program has closed the connection")
            length += digit
        return json.loads(self._stream.read(int(length)))
