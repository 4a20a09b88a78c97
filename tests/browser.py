"""A real browser without a window: Debian's Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[1] / ".make" / "chromium" / "root"
PATIENCE_S = 60.0
_MOVES_S = 0.05
_PROGRAM = "usr/lib/chromium/chromium-headless-shell"
_FLAGS = (
    "--no-sandbox",  # whoever runs the tests may be root, or in a container without user namespaces
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--ignore-certificate-errors",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "about:blank",
)
_FONTS = (("system-ui", "DejaVu Sans"), ("sans-serif", "DejaVu Sans"), ("monospace", "DejaVu Sans Mono"))
_KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, "")}


class PageError(AssertionError):
    """The page did not do what it was asked, or threw."""


class Browser:
    """A browser that runs; each page is in a profile of its own."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._said = 0
        self.events: list[dict[str, Any]] = []

    def open(self, url: str, *, width: int = 1280, height: int = 800) -> Page:
        """Open a page that shares nothing with others, and wait until it is loaded."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.go(url)
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result; events that come before are kept."""
        self._said += 1
        message = {"id": self._said, "method": method, "params": parameters}
        self._connection.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._connection.recv(timeout=PATIENCE_S))
            if answer.get("id") == self._said:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)


class Page:
    """One tab. What people do with it: go, look, click, drag, type."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context

    def close(self) -> None:
        """Close it, and forget what it kept."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol for this tab."""
        return self._browser.call(method, self._session, **parameters)

    def go(self, url: str) -> None:
        """Load an address, and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")

    def reload(self) -> None:
        """Load the same address again."""
        self.evaluate("window.old = true")
        self.call("Page.reload")
        self.wait_for("!window.old && document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str) -> None:
        """Let the system be light or dark."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, awaited; what it throws is a PageError."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise PageError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            try:
                if value := self.evaluate(f"(() => {expression})()"):
                    return value
            except PageError as error:  # while another page loads there is nothing to ask
                if "context" not in str(error):
                    raise
            time.sleep(0.02)
        text = self.evaluate("document.body.innerText")
        raise PageError(f"never true: {expression}; the page says: {text[:2000]}")

    def text(self, selector: str) -> str:
        """Return the text that an element shows."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def texts(self, selector: str) -> list[str]:
        """Return the texts that some elements show."""
        return list(
            self.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.innerText)")
        )

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Return where an element is, once it stays there: left, top, width, height. It is scrolled into view first."""
        place = (
            f"(() => {{ const it = document.querySelector({json.dumps(selector)}); if (!it) return null; "
            "it.scrollIntoView({block: 'nearest'}); const r = it.getBoundingClientRect(); "
            "return r.width && r.height ? [r.left, r.top, r.width, r.height] : null; })()"
        )
        last, now = None, self.wait_for(place)
        while last != now:  # what is being drawn anew may move, or go and come back
            time.sleep(_MOVES_S)
            last, now = now, self.wait_for(place)
        return tuple(now)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        left, top, width, height = self.box(selector)
        self.drag((left + width / 2, top + height / 2), (left + width / 2, top + height / 2))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place, and let go at another."""
        (x, y), (to_x, to_y) = start, end
        self._mouse("mouseMoved", x, y)
        self._mouse("mousePressed", x, y)
        if start != end:
            self._mouse("mouseMoved", (x + to_x) / 2, (y + to_y) / 2)
            self._mouse("mouseMoved", to_x, to_y)
        self._mouse("mouseReleased", to_x, to_y)

    def press(self, key: str) -> None:
        """Press a key, named as `KeyboardEvent.key` names it."""
        code, text = _KEYS[key] if key in _KEYS else (ord(key.upper()), key)
        keys = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **keys)
        self.call("Input.dispatchKeyEvent", type="keyUp", **keys)

    def write(self, text: str) -> None:
        """Type a text where the cursor is."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """Return the errors and warnings of the console so far, and what was thrown and not caught.

        The browser's own line for each answer that is an error is left out.
        """
        self.evaluate("0")  # whatever was said before is here now
        mine = [event for event in self._browser.events if event.get("sessionId") == self._session]
        said = [_complaint(event["method"], event["params"]) for event in mine]
        return [each for each in said if each and not each.startswith("Failed to load resource")]

    def _mouse(self, what: str, x: float, y: float) -> None:
        pressed = 0 if what == "mouseMoved" else 1
        self.call("Input.dispatchMouseEvent", type=what, x=x, y=y, button="left", buttons=pressed, clickCount=pressed)


def _complaint(method: str, parameters: dict[str, Any]) -> str:
    match method:
        case "Runtime.exceptionThrown":
            return json.dumps(parameters["exceptionDetails"])
        case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
            return json.dumps(parameters["args"])
        case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
            return f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}"
    return ""


@contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """Run a browser that keeps its files in a directory; it has ended on leaving."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "said").open("wb") as said:
        process = subprocess.Popen(
            _command(directory), stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=_environment(directory)
        )
    try:
        address = _address(process, directory / "said")
        with connect(address, max_size=None, compression=None, ping_interval=None, proxy=None) as connection:
            yield Browser(connection)
            connection.send(json.dumps({"id": 0, "method": "Browser.close"}))
            process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def is_installed() -> bool:
    """Whether there is a browser: `make test` unpacks one."""
    return Path(_program()).exists()


def _program() -> str:
    unpacked = ROOT / _PROGRAM
    return str(unpacked if unpacked.exists() else shutil.which("chromium-headless-shell") or unpacked)


def _command(directory: Path) -> list[str]:
    return [_program(), *_FLAGS[:-1], f"--user-data-dir={directory / 'profile'}", _FLAGS[-1]]


def _environment(directory: Path) -> dict[str, str]:
    libraries = ROOT / "usr/lib" / f"{platform.machine()}-linux-gnu"
    fonts = directory / "fonts.conf"
    places = "".join(f"<dir>{place}</dir>" for place in ("/usr/share/fonts", ROOT / "usr/share/fonts"))
    alias = "<alias><family>{}</family><prefer><family>{}</family></prefer></alias>"
    aliases = "".join(alias.format(*each) for each in _FONTS)
    fonts.write_text(f"<fontconfig>{places}{aliases}<cachedir>{directory}/fonts</cachedir></fontconfig>")
    found = f"{libraries}:{libraries / 'pulseaudio'}:{ROOT / 'lib' / libraries.name}"
    return {**os.environ, "LD_LIBRARY_PATH": found, "FONTCONFIG_FILE": str(fonts), "HOME": str(directory), "TZ": "UTC"}


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up and process.poll() is None:
        if found := re.search(r"DevTools listening on (ws://\S+)", said.read_text(errors="replace")):
            return found[1]
        time.sleep(0.02)
    raise PageError(f"the browser did not start: {said.read_text(errors='replace')[-2000:]}")
