"""Effects as tables: what should score higher against what should score lower, in Markdown for docs/ and the README."""

from collections.abc import Sequence

from course_lib.support.folders import COURSE_HOME

BEGIN, END = "<!-- effects -->\n", "<!-- /effects -->"  # around the table in the README


def verdict(higher: list[float], lower: list[float]) -> str:
    """Of the values of the two sides; what is compared with itself or ties is not seen."""
    if min(higher) > max(lower):
        return "seen here"
    return "the other way" if max(higher) < min(lower) else "not seen here"


def shown(values: list[float]) -> str:
    """The mean, and of several the range: "74.2 (73.9-74.6)"."""
    mean = f"{sum(values) / len(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1f}-{max(values):.1f})"


def measured(effects: Sequence) -> list[dict[str, str]]:
    """A row for each Effect of recipes/effects.py."""
    found = []
    for effect in effects:
        higher, lower = effect.higher.values(), effect.lower.values()
        found.append(
            {
                "effect": effect.name,
                "published": effect.published,
                "source": effect.source,
                "notebook": effect.notebook,
                "measure": effect.measure,
                "higher": shown(higher),
                "lower": shown(lower),
                "seeds": f"{len(higher)} and {len(lower)}",
                "verdict": verdict(higher, lower),
                "note": effect.note,
            }
        )
    return found


def in_cell(text: str) -> str:
    """Text in a table of Markdown, where | would begin the next cell."""
    return text.replace("|", "\\|")


def page(table: list[dict[str, str]]) -> str:
    """docs/effects.md: the same as a table to read."""
    seen = sum(row["verdict"] == "seen here" for row in table)
    lines = [
        "# What the literature reports, and what shows here",
        "",
        f"{len(table)} effects that the course teaches: as published, and as the course's own small models show them "
        f"({seen} do). A mean is followed by the lowest and the highest of the seeds. *Seen here*: every seed of the "
        "one side lies above every seed of the other. *Not seen here*: they overlap. *The other way*: every seed lies "
        "below. Where no range stands, it was one run, or nothing in it is drawn by lot. The scales differ, only the "
        "directions can be compared. Made by `python recipes/effects.py` from "
        "`data/results`.",
        "",
        "| Effect | Published | Here | Verdict | Notebook |",
        "|---|---|---|---|---|",
    ]
    for row in table:
        here = f"{row['higher']} against {row['lower']}: {in_cell(row['measure'])}"
        note = f" {row['note']}" if row["note"] else ""
        published = f"{row['published']} ({row['source']})"
        lines.append(
            f"| {in_cell(row['effect'])} | {published} | {here}.{note} | {row['verdict']} | {row['notebook']} |"
        )
    return "\n".join(lines) + "\n"


def in_readme(text: str, table: list[dict[str, str]]) -> str:
    """README.md with the short table in the place of the one between its marks."""
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    lines = ["| Effect | Published | Here | Verdict | |", "|---|---|---|---|---|"]
    for row in table:
        notebook = next((COURSE_HOME / "notebooks").glob(f"{row['notebook']}_*.ipynb")).name
        link, here = f"[{row['notebook']}](notebooks/{notebook})", f"{row['higher']} against {row['lower']}"
        lines.append(f"| {in_cell(row['effect'])} | {row['published']} | {here} | {row['verdict']} | {link} |")
    return f"{before}{BEGIN}{chr(10).join(lines)}\n{END}{after}"
