"""For the doctor: the hub, and the folders that variables name; the course can do without. Checks yield (state, what,
advice)."""

import os
import threading
import urllib.error
import urllib.request
from pathlib import Path


def hub(seconds=5):
    url = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        yield (
            "note",
            "not tried: HF_HUB_OFFLINE is set",
            "for full-size models that you have not downloaded, unset it",
        )
        return
    answer = []

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            answer.append("")
        except urllib.error.HTTPError:  # it answers, whatever it says
            answer.append("")
        except Exception as error:
            answer.append(str(getattr(error, "reason", error)))

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name has no time limit of its own
    thread.start()
    thread.join(2 * seconds)
    problem = answer[0] if answer else f"no answer in {2 * seconds} s"
    if problem:
        yield (
            "note",
            f"{url} cannot be reached: {problem}",
            "nothing, for what comes with the course; full-size models: COURSE_MODELS, see docs/running.md",
        )
    else:
        yield ("ok", f"{url} answers", "")


def folders():
    for name, use in (("COURSE_DATA", "recipes"), ("COURSE_MODELS", "full-size models without the hub")):
        value = os.environ.get(name)
        if not value:
            yield ("ok", f"{name} is not set: only {use} would need it", "")
        elif not Path(value).expanduser().is_dir():
            yield ("note", f"{name} names {value}, which is no folder", "correct it, or unset it")
        else:
            pattern = "*.tsv*" if name == "COURSE_DATA" else "*/config.json"
            found = sorted(
                path.name for path in Path(value).expanduser().iterdir() if path.is_dir() and any(path.glob(pattern))
            )
            yield (
                "ok" if found else "note",
                f"{name}: {', '.join(found) or 'nothing that the course reads'} in {value}",
                "",
            )
