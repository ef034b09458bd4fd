"""A headless Chromium, driven by the W3C WebDriver protocol: JSON over HTTP to chromedriver, which comes with the browser.

A Python client of that protocol would bring a dozen packages for what are a few calls here.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3

from duckconf.cli.demo.local_engine import install

# What W3C calls an element in JSON.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# Seconds.
PATIENCE = 5.0
AXE = "axe-core@4.14.1"
PROJECTOR = (1280, 800)
PHONE = (360, 740)
# Runs axe over the whole page; the script itself cannot stand in the page, whose policy forbids it.
RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(
  (found) => done(found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join("; ")}`)),
  (error) => done([String(error)]));
"""


class Refused(Exception):
    """The driver's words."""


class Browser:
    """One window."""

    def __init__(self, driver: str, traced: str = "") -> None:
        """`traced` are categories of Chromium's trace, "" for none."""
        self._driver = driver
        self._pool = urllib3.PoolManager(retries=False)
        arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"]
        chrome: dict[str, Any] = {"args": arguments}
        logs = {"browser": "ALL"}
        if traced:
            chrome["perfLoggingPrefs"] = {"traceCategories": traced, "enableNetwork": False, "enablePage": False}
            logs["performance"] = "ALL"
        options = {"goog:chromeOptions": chrome, "goog:loggingPrefs": logs}
        told = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {"browserName": "chrome", **options}}})
        self._session = f"/session/{told['sessionId']}"

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def size(self, width: int, height: int) -> None:
        """Of what is seen of the page; a window cannot be as narrow as a telephone."""
        told = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.devtools("Emulation.setDeviceMetricsOverride", **told)

    def media(self, **features: str) -> None:
        """Such as prefers_color_scheme="dark"."""
        told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.devtools("Emulation.setEmulatedMedia", features=told)

    def run(self, script: str, *arguments: Any) -> Any:
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script: str, *arguments: Any) -> Any:
        return self._ask("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """What is seen of it, "" when it is not there."""
        return str(
            self.run(
                "const found = document.querySelector(arguments[0]); return found?.checkVisibility() ? found.innerText : ''",
                selector,
            )
        )

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
        found: list[str] = self.run(script, selector)
        return found

    def click(self, selector: str) -> None:
        """As a person does, who tries again when the page has moved under the pointer."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._ask("POST", f"/element/{self._find(selector)}/click", {})
            except Refused as refused:
                if "intercepted" not in str(refused) or time.monotonic() > end:
                    raise
            else:
                return

    def type(self, selector: str, text: str) -> None:
        """In place of what stands there."""
        element = self._find(selector)
        self._ask("POST", f"/element/{element}/clear", {})
        self._ask("POST", f"/element/{element}/value", {"text": text})

    def press(self, key: str) -> None:
        """Wherever the focus is."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """What the browser wrote into its console since the last call: errors of scripts and of the page's policy."""
        told = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in told if entry["level"] == "SEVERE"]

    def trace(self) -> list[dict[str, Any]]:
        """What Chromium traced since the last call, as the driver logs it."""
        found: list[dict[str, Any]] = self._ask("POST", "/se/log", {"type": "performance"})
        return found

    def violations(self, axe: Path) -> list[str]:
        """What axe has against the page as it is now."""
        self.devtools("Runtime.evaluate", expression=axe.read_text("utf-8"))
        found: list[str] = self.run_async(RUN_AXE)
        return found

    def forget(self) -> None:
        """All cookies."""
        self.devtools("Network.clearBrowserCookies")

    def devtools(self, method: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": method, "params": parameters})

    def close(self) -> None:
        self._ask("DELETE", "")

    def _find(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[ELEMENT])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._call(method, self._session + path, body)

    def _call(self, method: str, path: str, body: Any) -> Any:
        content = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, self._driver + path, body=content, timeout=60.0)
        told = json.loads(answer.data)["value"]
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {told.get('message')}")
        return told


@contextlib.contextmanager
def driver() -> Iterator[str]:
    """The address of a chromedriver of our own. Installs the browser where it is missing."""
    if shutil.which("chromedriver") is None or shutil.which("chromium") is None:
        install(("chromium", "chromium-driver"), "the tests of the page need a browser")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _answers(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "chromedriver ended at once"
        assert time.monotonic() < end, "chromedriver does not answer"
        time.sleep(0.02)


def axe_file(folder: Path) -> Path:
    """The script of axe-core, fetched with npm once for a checkout."""
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        if shutil.which("npm") is None:
            install(("npm",), "the tests of the page fetch axe-core with npm")
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", f"--prefix={folder}", AXE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "CI": "1"})
        assert done.returncode == 0, done.stderr
    return script
