"""A sample of tools/damage.py: damaged folders and files are read as before, or say what is wrong with them.

COURSE_FORKS=1 COURSE_DAMAGES=1000 python -m pytest -q -s tests/library/support/test_damage.py
"""

import os

import pytest
from damage import BAD, campaign
from damaged_samples import data_files, model_folders
from processes import trains_in_forks

pytestmark = trains_in_forks


@pytest.mark.parametrize("make", [model_folders, data_files])
def test_damage_is_told(make, tmp_path):
    count = int(os.environ.get("COURSE_DAMAGES", 30))
    outcomes = campaign(make(tmp_path), count, seed=0)
    print(dict(outcomes))
    assert not [outcome for outcome in BAD if outcomes[outcome]]
    assert outcomes["said"] > count / 3 and outcomes["as before"] and sum(outcomes.values()) == count
