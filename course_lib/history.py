"""What a training said on its way, as curves. As a table: `print(table(history))`, of printing.py.

history = train(...)
history_curves(history, metrics=["spearman_cosine"], title="The loss falls long after the score has stopped rising")
plt.show()
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from course_lib.plotting import curve


def history_curves(
    history: Sequence[Mapping] | Mapping[str, Sequence[Mapping]], metrics: Sequence[str] = (), title: str = ""
) -> list[Axes]:
    """The loss over the steps, and below it one panel for each metric, at the steps where it was measured.

    history: what `train` returned; of several runs {name: history}. Returns the panels' Axes, from the top.
    Raises ValueError for a metric that no entry of some run has.
    """
    runs = history if isinstance(history, Mapping) else {"": history}
    _, panels = plt.subplots(
        1 + len(metrics), 1, figsize=(6.5, 2 + 1.5 * len(metrics)), sharex=True, squeeze=False, layout="constrained"
    )
    axes = list(panels[:, 0])
    for key, ax in zip(("loss", *metrics), axes):
        for name, entries in runs.items():
            measured = [(entry["step"], entry[key]) for entry in entries if key in entry]
            if not measured:
                known = sorted({key for entry in entries for key in entry})
                raise ValueError(
                    f"no entry of the history {name!r} has {key!r}; there are {', '.join(known) or 'no entries'}"
                )
            curve(*zip(*measured), label=name, ax=ax)
        ax.set_ylabel(key)
    axes[-1].set_xlabel("step")
    axes[0].set_title(title, fontsize="medium")
    return axes
