"""The tables of a class: results.csv, which is also what a second run starts from, and results.html to read."""

import csv
import html
import io

from course_lib.support.files import atomic_file

COLUMNS = ("learner", "exercise", "result", "detail", "seconds", "file", "key")
STATES = {  # result: (sign, what it means)
    "right": ("+", "agrees with the solution on every case"),
    "known mistake": ("-", "one of the mistakes that the exercise knows"),
    "wrong": ("-", "wrong in another way"),
    "not attempted": ("o", "returns nothing yet"),
    "crashed": ("x", "the function could not be made or run"),
    "timed out": ("x", "not done within the time limit"),
    "missing": ("o", "no such notebook, or no call of check in it"),
    "unreadable": ("x", "the file is no notebook"),
    "tampered": ("!", "claims to be right and is not, or goes round the checker: look at it"),
}


def plain(text):
    """Text for one line of a table. A quote keeps a spreadsheet from running what begins with one of =+-@."""
    text = "".join(c if c.isprintable() else " " for c in text)[:500]
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def read_table(out):
    """The rows of a table that was written before; none if there is none, or it is another file."""
    try:
        with open(out / "results.csv", encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error):
        return []
    return [row for row in rows if tuple(row) == COLUMNS and row["result"] in STATES]


def write_tables(out, rows):
    """Write results.csv and results.html, each in one step; the rows in order of learner and exercise."""
    rows = sorted((row for some in rows.values() for row in some), key=lambda row: (row["learner"], row["exercise"]))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    contents = {"results.csv": "\ufeff" + text.getvalue(), "results.html": page(rows)}  # Excel wants the mark
    for name, content in contents.items():
        with atomic_file(out / name) as unfinished:
            unfinished.write_text(content, encoding="utf-8", newline="")
    return rows


def page(rows):
    """The HTML page: a table of learners by exercises, then what was found where something is not right."""
    exercises = sorted({row["exercise"] for row in rows} - {""})
    found = {(row["learner"], row["exercise"]): row["result"] for row in rows}
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in exercises)
    body, details = [], []
    for learner in sorted({row["learner"] for row in rows}):
        states = [found.get((learner, name), found.get((learner, ""), "missing")) for name in exercises]
        cells = "".join(f'<td class="{state.replace(" ", "-")}">{STATES[state][0]} {state}</td>' for state in states)
        body.append(f'<tr><th scope="row">{html.escape(learner)}</th>{cells}<td>{states.count("right")}</td></tr>')
    for row in rows:
        if row["result"] != "right":
            cells = "".join(
                f"<td>{html.escape(row[column])}</td>" for column in ("exercise", "result", "detail", "seconds", "file")
            )
            details.append(f'<tr><th scope="row">{html.escape(row["learner"])}</th>{cells}</tr>')
    legend = "".join(f"<dt>{sign} {state}</dt><dd>{meaning}</dd>" for state, (sign, meaning) in STATES.items())
    return PAGE.format(head=head, body="\n".join(body), details="\n".join(details), legend=legend)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Exercises of the class</title><style>
body {{ font-family: sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; margin-bottom: 2em; }}
caption {{ text-align: left; font-weight: bold; padding: .5em 0; }}
th, td {{ text-align: left; vertical-align: top; padding: .3em .8em; border-bottom: 1px solid #bbb; }}
.right {{ color: #00567a; }} .tampered, .crashed, .timed-out, .unreadable {{ color: #a03000; font-weight: bold; }}
dt {{ font-weight: bold; }}
</style></head><body><main>
<h1>Exercises of the class</h1>
<table><caption>Learners by exercises</caption>
<thead><tr><th scope="col">learner</th>{head}<th scope="col">right</th></tr></thead>
<tbody>
{body}
</tbody></table>
<table><caption>What is not right yet</caption>
<thead><tr><th scope="col">learner</th><th scope="col">exercise</th><th scope="col">result</th>
<th scope="col">what was found</th><th scope="col">seconds</th><th scope="col">file</th></tr></thead>
<tbody>
{details}
</tbody></table>
<h2>The words</h2>
<dl>{legend}</dl>
</main></body></html>
"""
