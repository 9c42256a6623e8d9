"""The course as a website, in build/site: what `make site` runs. No notebook is executed, nothing is downloaded.

    python tools/site/build_site.py            (needs the packages of tools/site/requirements.txt)
    python tools/site/build_site.py FOLDER     in another folder than build

Sphinx's warnings are errors, and so is a link to a page or a place of it that there is not, or a page that would load
something from a host.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from check_site import problems
from repository import ROOT
from sphinx.cmd.build import main as sphinx
from stage import stage


def build(folder):
    """Build folder/site and check it. Returns the exit code."""
    sources, site = folder / "site-sources", folder / "site"
    stage(sources)
    shutil.rmtree(site, ignore_errors=True)
    options = ["-W", "--keep-going", "--fresh-env", "--quiet", "-b", "html", "-c", str(Path(__file__).parent)]
    if code := sphinx([*options, "-d", str(folder / "site-doctrees"), str(sources), str(site)]):
        return code
    (site / ".nojekyll").touch()  # GitHub Pages leaves out folders that begin with _ otherwise
    found = problems(site)
    print(*found, f"{site / 'index.html'}: {len(found)} faults in links, alt texts and what pages load", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"))
