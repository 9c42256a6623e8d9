"""How many examples the property tests look at: few, always the same; or COURSE_EXAMPLES of them, others every time."""

import os

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir
from repository import ROOT

set_hypothesis_home_dir(ROOT / "build" / "hypothesis")
CAMPAIGN = int(os.environ.get("COURSE_EXAMPLES", 0))
few = settings(
    max_examples=CAMPAIGN or 4,
    derandomize=not CAMPAIGN,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
