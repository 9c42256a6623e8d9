"""Links of the repository's Markdown, as they stand on the site: to its pages, or to the file on GitHub."""

import os
import posixpath
import re

from repository import BRANCH, REPOSITORY, ROOT, badges_as_links

# Code, which stays as it is, or the target of a link or an image.
CODE_OR_LINK = re.compile(r"(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)|(?<=\]\()(?P<target>[^()\s]+)(?=\))", re.S)
PICTURES = {".gif", ".jpg", ".png", ".svg"}


def moved(text, source, pages, root=ROOT):
    """(Markdown of the file `source` with links for its page, pictures that it shows).

    `source` and the pictures are paths within the repository, `pages` is that of site_pages.py. A badge becomes a link
    by its text. Errors: ValueError names a link to a file that there is not.
    """
    pictures = set()
    here = posixpath.dirname(pages[source])

    def move(match):
        target = match["target"]
        if target is None or target.startswith("#") or re.match(r"[a-z]+:", target):
            return match[0]
        path, mark, fragment = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if file in pages:
            suffix = os.path.splitext(file)[1]
            return posixpath.relpath(pages[file] + suffix, here or ".") + mark + fragment
        if not (root / file).exists():
            raise ValueError(f"{source} links to {target}, which is neither a page of the site nor a file")
        if os.path.splitext(file)[1] in PICTURES:
            pictures.add(file)
            return posixpath.relpath(f"pictures/{file}", here or ".")
        kind = "tree" if (root / file).is_dir() else "blob"
        return f"https://github.com/{REPOSITORY}/{kind}/{BRANCH}/{file}{mark}{fragment}"

    return CODE_OR_LINK.sub(move, badges_as_links(text)), pictures
