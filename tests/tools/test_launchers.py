"""`accelerate launch` and torchrun, each started once: what library/support/test_distributed.py says of launchers."""

from processes import forks, in_a_process_of_its_own
from repository import ROOT


@forks
def test_launchers():
    in_a_process_of_its_own(ROOT / "tests" / "library" / "support" / "test_distributed.py", "-k", "launcher")
