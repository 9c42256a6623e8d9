"""What a training run says while it goes on: a progress bar, and the history that `train` returns."""

import logging
import time
from collections.abc import Callable

from tqdm.auto import tqdm

from course_lib.support.distributed import processes

_log = logging.getLogger(__name__)


class TrainingLog:
    """history: a dict for each entry, with the mean loss since the entry before it, and the seconds of the run so far.

    `state()` goes into the training's checkpoint; begun again from it, the log goes on. Of several processes only the
    first shows a bar and calls `log`.
    """

    def __init__(self, state: dict, total_steps: int, log: Callable[[dict], None] | None, show_progress_bar: bool):
        self.history, self._losses, self._before = state["history"], state["losses"], state["seconds"]
        self._begun = self._last = time.perf_counter()
        self._tokens, self._first, self._log = 0, processes()[0] == 0, log
        hidden = not (self._first and show_progress_bar)
        self._bar = tqdm(total=total_steps, initial=state["step"], disable=hidden, unit="step")

    def step(self, loss: float, tokens: int):
        self._losses.append(loss)
        self._tokens += tokens
        self._bar.update()

    def entry(self, step: int, epoch: float, left_out: int) -> dict:
        """A new entry, of what came since the last. left_out: examples that had no place in a batch of this epoch."""
        now = time.perf_counter()
        entry = {"step": step, "epoch": epoch, "loss": sum(self._losses) / len(self._losses)}
        entry["seconds"] = round(self._before + now - self._begun, 1)
        entry |= {"tokens_per_second": round(self._tokens / (now - self._last))} if self._tokens else {}
        if left_out and self._first:
            _log.warning("%d examples share texts with too many others for a place in a batch of this epoch", left_out)
        return entry | ({"left_out": left_out} if left_out else {})

    def add(self, entry: dict):
        self.history.append(entry)
        shown = {name: entry[name] for name in ("loss", "tokens_per_second") if name in entry}
        self._bar.set_postfix({name: f"{value:.4g}" for name, value in shown.items()})
        if self._log and self._first:
            self._log(entry)
        self._losses, self._tokens, self._last = [], 0, time.perf_counter()

    def state(self) -> dict:
        seconds = self._before + time.perf_counter() - self._begun
        return {"history": self.history, "losses": self._losses, "seconds": seconds}

    def close(self):
        self._bar.close()
