"""Thunderbird on a screen that nobody sees, with a profile of its own, driven through Marionette."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gateway.lab.ports import FreePorts
from tests.clients.marionette import Marionette, ScriptFailed
from tests.clients.places import program, told
from tests.lab.labs import Lab
from tests.lab.waiting import until

__all__ = ["SECONDS", "Thunderbird", "set_up", "thunderbird"]

SECONDS = 120
"""For every wait: the first start on a slow machine takes its time."""
ACTS = Path(__file__).with_name("thunderbird.js")
SETTINGS: Mapping[str, bool | int | str] = {
    # nothing leaves this machine: whatever is not localhost goes to a proxy that is not there
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_port": 9,
    "network.proxy.socks_remote_dns": True,
    "network.proxy.no_proxies_on": "localhost, 127.0.0.1, [::1]",
    "network.proxy.failover_direct": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.trr.mode": 5,
    "mail.dns.lookup": False,
    "app.update.enabled": False,
    "app.update.auto": False,
    "app.normandy.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "extensions.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.blocklist.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "security.OCSP.enabled": 0,
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.unified": False,
    "toolkit.telemetry.server": "",
    "mail.inappnotifications.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mail.spellcheck.inline": False,
    "mail.server.default.max_cached_connections": 12,  # of 5, others take the one that waits for receipts
    "mail.server.default.spamLevel": 0,  # it learns, and would mark what nobody marked
    "mail.chat.enabled": False,
    "mail.minimizeToTray": False,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "mailnews.auto_config.fetchFromISP.enabled": False,
    "mailnews.auto_config.fetchFromExchange.enabled": False,
    "mailnews.auto_config.guess.enabled": False,
    "mailnews.auto_config.addons_url": "http://127.0.0.1:9/",
    "intl.accept_languages": "en-US",
    "intl.locale.requested": "en-US",
    "browser.dom.window.dump.enabled": True,
    "devtools.console.stdout.chrome": True,
}


class Thunderbird:
    """A running one. The acts of a person are in ``thunderbird.js``, by name."""

    def __init__(self, folder: Path, driver: Marionette) -> None:
        self._folder = folder
        self._driver = driver
        self._acts = ACTS.read_text("utf-8")

    def __getattr__(self, name: str) -> Any:
        """An act by its name: ``folders("anna@alfa.example")`` is ``acts.folders`` over there."""
        if name.startswith("_"):
            raise AttributeError(name)

        def act(*arguments: Any) -> Any:
            try:
                return self._driver.run(f"{self._acts}\nreturn acts.{name}(...arguments);", *arguments)
            except ScriptFailed as failure:
                with suppress(ScriptFailed):  # there is a dialog, mostly
                    failure.add_note(self._driver.call("WebDriver:GetAlertText")["value"])
                self.picture("failed")
                failure.add_note(f"{name}{arguments}; the screen is in {self._folder / 'failed.png'}")
                raise

        return act

    def picture(self, name: str) -> None:
        """Keep what the window shows, for whoever wants to see."""
        (self._folder / f"{name}.png").write_bytes(self._driver.picture())


@contextmanager
def thunderbird(folder: Path, ca_file: Path) -> Iterator[Thunderbird]:
    """Thunderbird with nothing in its profile but an authority that it trusts."""
    binary = program("thunderbird")
    profile = _profile(folder, ca_file)
    ports = FreePorts(set())
    try:
        port = ports.take()
    finally:
        ports.release()
    lines = {**SETTINGS, "marionette.port": port}
    (profile / "user.js").write_text(
        "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in lines.items())
    )
    with _screen(folder) as display, (folder / "thunderbird.log").open("wb") as log:
        command = [binary, "--profile", profile, "--no-remote", "--marionette", "--remote-allow-system-access"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(folder, display),
            start_new_session=True,
        )
        try:
            driver = until(lambda: _connected(process, port, folder), "Thunderbird", seconds=SECONDS)
            try:
                running = Thunderbird(folder, driver)
                running.ready()
                yield running
                with suppress(Exception):
                    driver.call("Marionette:Quit", {"flags": ["eForceQuit"]})
                process.wait(60)
            finally:
                driver.close()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its content processes too
            process.wait()


def set_up(lab: Lab, program: Thunderbird, address: str, password: str, name: str) -> str:
    """Set a box up with the assistant; what it found by itself."""
    domain = address.rpartition("@")[2]
    https = lab.provider(domain)["ports"]["https"]
    program.prefer("mailnews.auto_config_url", f"https://localhost:{https}/v1.1/")
    program.hubOpen(name, address)
    program.picture(f"address-{domain}")
    found: str = program.hubFound()["text"]
    program.picture(f"found-{domain}")
    program.hubPassword(password)
    program.picture(f"password-{domain}")
    program.hubDone()
    program.picture(f"done-{domain}")
    program.hubClose()
    return found


def _connected(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> Marionette | None:
    assert process.poll() is None, (folder / "thunderbird.log").read_text("utf-8", "replace")
    try:
        return Marionette(port, seconds=SECONDS)
    except OSError:
        return None


def _profile(folder: Path, ca_file: Path) -> Path:
    profile = folder / "profile"
    profile.mkdir(parents=True)
    told([program("certutil"), "-N", "-d", f"sql:{profile}", "--empty-password"])
    told([program("certutil"), "-A", "-d", f"sql:{profile}", "-n", "lab", "-t", "CT,C,", "-i", ca_file])
    return profile


@contextmanager
def _screen(folder: Path) -> Iterator[str]:
    """An X server that finds a free display itself, and shows it to nobody."""
    server = program("Xvfb")
    reading, writing = os.pipe()
    with os.fdopen(reading) as answer, (folder / "screen.log").open("wb") as log:
        process = subprocess.Popen(
            [server, "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stderr=log,
        )
        os.close(writing)
        try:
            number = answer.readline().strip()
            assert number, (folder / "screen.log").read_text()
            yield f":{number}"
        finally:
            process.terminate()
            process.wait(60)


def _environment(folder: Path, display: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {
        **kept,
        "DISPLAY": display,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        "TZ": "Europe/Rome",
        "MOZ_CRASHREPORTER_DISABLE": "1",
        "NO_AT_BRIDGE": "1",
        "GTK_USE_PORTAL": "0",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "MOZ_LOG": "timestamp,IMAP:5",
        "MOZ_LOG_FILE": str(folder / "imap"),
    }
