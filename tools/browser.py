"""A page in headless Chromium, over its debugging pipe: what it says, what it asks for, how it looks.

No package is needed: Chromium reads commands on file descriptor 3 and answers on 4, each message
JSON with a zero byte at its end.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

#: The browser on this machine; None where there is none.
CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (found := shutil.which(name))
    ),
    None,
)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip
_PATIENCE = 30.0


@dataclass
class Visit:
    """One opened page: lines of its console, errors included, and addresses it asked for."""

    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Browser:
    """Chromium for as long as the ``with`` block lasts.

    Raises:
        RuntimeError: there is no Chromium here, or it does not answer.
    """

    def __enter__(self) -> Browser:
        if CHROMIUM is None:
            raise RuntimeError("there is no Chromium on this machine")
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        def descriptors() -> None:
            # by way of high numbers, for 3 and 4 may be in use on either side
            high_in, high_out = os.dup2(theirs_in, 103), os.dup2(theirs_out, 104)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        self._process = subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
            preexec_fn=descriptors,  # noqa: PLW1509 - two system calls, no lock is taken
            close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._left, self._number, self._events = b"", 0, []
        made = self._call("Target.createTarget", {"url": "about:blank"})
        attached = self._call(
            "Target.attachToTarget", {"targetId": made["targetId"], "flatten": True}
        )
        self._session = attached["sessionId"]
        for domain in ("Network", "Log", "Runtime", "Page"):
            self._say(f"{domain}.enable")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def open(
        self, page: Path, *, width: int = 1180, dark: bool = False, printed: bool = False
    ) -> Visit:
        """Open a file and wait until it has loaded, and a moment more."""
        self._say(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._say(
            "Emulation.setEmulatedMedia",
            {"media": "print" if printed else "screen", "features": [scheme]},
        )
        self._events.clear()
        self._say("Page.navigate", {"url": page.resolve().as_uri()})
        end = time.monotonic() + _PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._read(end)
        quiet = time.monotonic() + 0.3
        while time.monotonic() < quiet:
            self._read(quiet, give_up=False)
        visit = Visit()
        for event in self._events:
            told = event.get("params", {})
            if event["method"] == "Network.requestWillBeSent":
                visit.requests.append(told["request"]["url"])
            elif event["method"] == "Runtime.consoleAPICalled":
                visit.console.append(f"{told['type']}: {json.dumps(told['args'])}")
            elif event["method"] == "Runtime.exceptionThrown":
                visit.console.append(json.dumps(told["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded":
                visit.console.append(f"{told['entry']['level']}: {told['entry']['text']}")
        return visit

    def picture(self, file: Path, *, section: str | None = None, height: int | None = None) -> None:
        """Write the open page as PNG, or the element with the CSS selector ``section``.

        Args:
            file: to write.
            section: a CSS selector; default is the whole page.
            height: cut below it, in pixels.
        """
        if section is None:
            size = self._say("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"]}
        else:
            code = (
                f"(e => {{const r = e.getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY,"
                f" r.width, r.height]}})(document.querySelector({json.dumps(section)}))"
            )
            found = self._say("Runtime.evaluate", {"expression": code, "returnByValue": True})
            clip = dict(zip(("x", "y", "width", "height"), found["result"]["value"], strict=True))
        clip = {**clip, "height": min(clip["height"], height or clip["height"]), "scale": 1}
        shot = self._say(
            "Page.captureScreenshot",
            {"format": "png", "clip": clip, "captureBeyondViewport": True},
        )
        file.write_bytes(base64.b64decode(shot["data"]))

    def _say(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._call(method, parameters or {}, self._session)

    def _call(
        self, method: str, parameters: dict[str, Any], session: str | None = None
    ) -> dict[str, Any]:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            asked["sessionId"] = session
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        end = time.monotonic() + _PATIENCE
        while True:
            answer = self._read(end)
            if answer is not None and answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def _read(self, end: float, *, give_up: bool = True) -> dict[str, Any] | None:
        """The next message; events are kept. None when ``end`` comes first, if that is allowed."""
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                if give_up:
                    raise RuntimeError("Chromium does not answer")
                return None
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium has gone")
            self._left += chunk
        raw, self._left = self._left.split(b"\0", 1)
        message = json.loads(raw)
        if "method" in message:
            self._events.append(message)
        return dict(message)
