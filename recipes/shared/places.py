"""Where recipes keep what they make: results and facts, which are committed, and work to go on with, which is not."""

from course_lib.support.folders import COURSE_HOME

RESULTS = COURSE_HOME / "data" / "results"
FACTS = RESULTS / "recipes"
BUILD = COURSE_HOME / "build"
