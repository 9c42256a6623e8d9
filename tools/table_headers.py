"""HTML tables whose header cells say what they head, for readers who hear a page: of a batch run, and of the site."""

import re


def with_header_cells(page):
    """The page with a scope for each header cell; the rows of a table without column titles get titles instead."""
    return re.sub(r"<table.*?</table>", lambda match: table_headers(match[0]), page, flags=re.S)


def table_headers(table):
    """One table, from <table> to </table>."""
    head, end, rows = table.partition("</thead>")
    if end and not re.sub(r"<[^>]*>", "", head).strip():
        opening = re.match(r"<table[^>]*>", head)[0]
        return opening + re.sub(
            r"(<tr[^>]*>\s*)<td([^>]*)>(.*?)</td>", r'\1<th scope="row"\2>\3</th>', rows, flags=re.S
        )
    head = re.sub(r"<th\b([^>]*)>((?:\s|</?p>)*)</th>", r"<td\1>\2</td>", head)  # an empty cell heads nothing
    return re.sub(r"<th(?=[ >])(?![^>]*scope)", '<th scope="col"', head) + end + rows
