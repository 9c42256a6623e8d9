"""Chromium without a window, driven over its DevTools protocol.

No driver package: the protocol is JSON over a websocket, and websocket-client comes with Jupyter. The browser reaches
this machine and nothing else: every other host name fails to resolve.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find():
    """The browser's program. Errors: FileNotFoundError without one."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError(
        f"no browser: none of {', '.join(NAMES)} is on PATH. Install one: `apt-get install chromium` "
        "(Debian, Ubuntu: chromium-browser), `brew install --cask chromium` (macOS)."
    )


def wait_until(condition, seconds, what):
    """The first true value that condition() returns. Errors: TimeoutError after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


class Browser:
    """`with Browser() as page:` a browser with one page of 1280 x 900; it and its profile are gone at the end."""

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="course-browser-", ignore_cleanup_errors=True)
        command = [
            find(),
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={self.profile.name}",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            "about:blank",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium's sandbox does not start as root
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            self.connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def connect(self):
        note = Path(self.profile.name) / "DevToolsActivePort"

        def address():
            if self.process.poll() is not None:
                raise RuntimeError(f"{find()} ended at once with exit code {self.process.returncode}")
            lines = note.read_text().splitlines() if note.exists() else []
            return len(lines) == 2 and f"ws://127.0.0.1:{lines[0]}{lines[1]}"

        self.socket = websocket.create_connection(
            wait_until(address, 60, "the browser's start"), timeout=60, suppress_origin=True
        )
        self.session, self.number = None, 0
        pages = self.send("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)

    def __exit__(self, *_):
        try:
            self.session = None
            self.send("Browser.close")
            self.process.wait(10)
        except Exception:  # it never came up, does not answer, or is gone
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its helpers too
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait(10)
        self.profile.cleanup()

    def send(self, method, **parameters):
        """One command of the protocol; its result."""
        wanted = self.post(method, parameters)
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("method") == "Page.javascriptDialogOpening":  # "Leave without saving?"
                self.post("Page.handleJavaScriptDialog", {"accept": True})
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def post(self, method, parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        self.socket.send(json.dumps(message | ({"sessionId": self.session} if self.session else {})))
        return self.number

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page, as JSON carries it."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", expression))
        return result["result"].get("value")

    def open(self, url):
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", 60)

    def wait(self, expression, seconds):
        """Wait until the expression is true in the page; its value."""
        return wait_until(lambda: self.evaluate(expression), seconds, expression)

    def click(self, selector, text=None):
        """Move the mouse to the first visible element (with this text) and click, as a person does."""
        find_it = f"""(() => {{
            const found = [...document.querySelectorAll({json.dumps(selector)})].find(e => e.getClientRects().length &&
                ({json.dumps(text)} === null || e.textContent.trim() === {json.dumps(text)}));
            if (!found) return null;
            found.scrollIntoView({{block: "nearest"}});
            const box = found.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()"""
        x, y = wait_until(lambda: self.evaluate(find_it), 30, f"{selector} {text or ''} to click")
        for kind, pressed in (("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)):
            self.send(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="none" if kind == "mouseMoved" else "left",
                buttons=pressed,
                clickCount=int(kind != "mouseMoved"),
            )

    def screenshot(self, file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))
