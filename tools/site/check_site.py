"""What is wrong with a built site: links to no page or no place of one, what would be loaded from a host, no alt text.

python tools/site/check_site.py            build/site
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from notebook_files import text_of
from repository import ROOT

LOADS = {"src", "srcset", "poster", "data"}  # attributes that a browser follows by itself; so is href of <link>
STYLE = re.compile(r"""(?:url\(|@import)\s*["']?(?P<url>(?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The places of a page, where it links, what it loads, and its images without alt text."""

    def __init__(self, text):
        super().__init__()
        self.places, self.links, self.loads, self.silent, self.style = {"", "top"}, [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        self.style = tag == "style"
        self.loads += STYLE.findall(attributes.get("style") or "")
        for name in LOADS & set(attributes):
            if attributes[name]:
                self.loads.append(attributes[name].split()[0])
        if tag == "link" and attributes.get("rel") not in ("canonical", "next", "prev", "search", "index"):
            self.loads.append(attributes.get("href", ""))
        elif tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif tag == "img" and not attributes.get("alt"):
            self.silent.append(attributes.get("src", "")[:80])

    def handle_data(self, data):
        if self.style:
            self.loads += STYLE.findall(data)


def problems(site):
    """Each fault in a line. Errors: FileNotFoundError where there is no site."""
    if not (site / "index.html").exists():
        raise FileNotFoundError(f"{site} has no index.html: `make site` builds it")
    files = {file.relative_to(site).as_posix() for file in site.rglob("*") if file.is_file()}
    pages = {
        name: Page(text_of(site / name))
        for name in sorted(files)
        if name.endswith(".html") and not name.startswith("_static/")  # templates of the theme
    }
    found = []
    for name, page in pages.items():
        found += [f"{name}: an image without alt text, {image}" for image in page.silent]
        for link in page.loads + page.links:
            url = urlsplit(link)
            if url.scheme == "data" or url.scheme and link in page.links and link not in page.loads:
                continue
            if url.scheme or url.netloc:
                found.append(f"{name}: loads {link}")
                continue
            path = Path(site / name).parent / unquote(url.path) if url.path else site / name
            target = path.resolve().relative_to(site.resolve()).as_posix() if url.path else name
            if target not in files:
                found.append(f"{name}: {link} is no file of the site")
            elif target in pages and unquote(url.fragment) not in pages[target].places:
                found.append(f"{name}: {link} is no place of its page")
    for name in sorted(files):
        if name.endswith(".css"):
            found += [f"{name}: loads {url}" for url in STYLE.findall(text_of(site / name))]
    return found


if __name__ == "__main__":
    lines = problems(ROOT / "build" / "site")
    print(*lines, sep="\n")
    sys.exit(1 if lines else 0)
