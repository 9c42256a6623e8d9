"""What pyproject.toml cannot say: a wheel holds the default model, and no recipes. A clone, and what is installed from
one with -e, has both where they lie."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODEL = Path("data", "models", "sbert-mini")


class WithModel(build_py):
    def run(self):
        if not self.editable_mode:
            self.packages = [name for name in self.packages if name.partition(".")[0] != "recipes"]
        super().run()
        if not self.editable_mode:
            shutil.copytree(MODEL, Path(self.build_lib, "course_lib", "bundled", MODEL), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithModel})
