"""A Hugging Face hub on 127.0.0.1: the few requests that huggingface_hub makes to download a model.

with FakeHub({"owner/name": {"config.json": b"{}"}}) as hub:
    ...  # a process with the environment hub.environment(folder)
hub.asked  # what it was asked for: ("GET", "config.json", "bytes=10-")
"""

import functools
import hashlib
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" * 6 + "c0ff"


class FakeHub:
    """models: {"owner/name": {path: content}}; a status in place of the files is what the hub answers for that model.

    gated: models whose files are listed, but not given out.
    cut: {path: bytes} of that file that are sent, once, before the connection breaks.
    dies_after: when a connection broke and these files were asked for, the hub is down: it answers 503.
    """

    def __init__(
        self,
        models: dict[str, dict[str, bytes] | int],
        gated: tuple[str, ...] = (),
        cut: dict[str, int] | None = None,
        dies_after: tuple[str, ...] = (),
    ):
        self.models, self.gated, self.cut, self.dies_after, self.dead = (
            models,
            gated,
            dict(cut or {}),
            dies_after,
            False,
        )
        self.asked: list[tuple[str, str, str | None]] = []

    def __enter__(self):
        hub = self
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": hub}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def environment(self, home) -> dict[str, str]:
        """The environment of a process that takes this for the hub and keeps its cache in `home`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "COURSE_MODELS"))}
        return kept | {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def files_asked(self, method: str = "GET") -> list[str]:
        return sorted(path for asked, path, _ in self.asked if asked == method)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        api = re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)(/revision/\w+|/tree/\w+)?(\?.*)?", self.path)
        file = re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/\w+/([^?]+)(\?.*)?", self.path)
        found = self.hub.models.get((api or file)[1], 401) if api or file else 404
        if file and file[1] in self.hub.gated:
            found = 403
        if self.hub.dead:
            found = 503
        if isinstance(found, int):
            self.answer(
                b'{"error": "no"}',
                found,
                {404: {"X-Error-Code": "RepoNotFound"}, 403: {"X-Error-Code": "GatedRepo"}}.get(found, {}),
            )
        elif api and (api[2] or "").startswith("/tree"):
            self.answer(json.dumps([entry(path, content) for path, content in found.items()]).encode())
        elif api:
            siblings = [{"rfilename": path} for path in found]
            self.answer(json.dumps({"id": api[1], "sha": COMMIT, "siblings": siblings}).encode())
        else:
            self.send_file(file[2], found[file[2]])

    def send_file(self, path: str, content: bytes):
        asked = self.headers.get("Range")
        self.hub.asked.append((self.command, path, asked))
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0
        headers = {"ETag": f'"{entry(path, content)["oid"]}"', "X-Repo-Commit": COMMIT}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        sent = self.hub.cut.pop(path, None) if self.command == "GET" else None
        self.answer(content[start:], 206 if start else 200, headers, sent)
        if sent is not None:
            while not set(self.hub.dies_after) <= set(self.hub.files_asked()):
                time.sleep(0.01)
            self.close_connection, self.hub.dead = True, bool(self.hub.dies_after)

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] = {}, sent: int | None = None):  # noqa: B006
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])


@functools.cache
def entry(path: str, content: bytes) -> dict:
    """A file as the hub lists it: large ones (.safetensors, .bin) by their sha256, as git-lfs keeps them."""
    sha = hashlib.sha256(content).hexdigest()
    lfs = (
        {"lfs": {"oid": sha, "size": len(content), "pointerSize": 134}}
        if path.endswith((".safetensors", ".bin"))
        else {}
    )
    return {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": sha if lfs else hashlib.sha1(content).hexdigest(),
        **lfs,
    }
