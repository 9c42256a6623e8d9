"""Values on the command lines of recipes that have to lie in a range."""

import argparse
from collections.abc import Callable


def at_least_0(kind: type) -> Callable[[str], int | float]:
    """For argparse's `type`: a number of this kind that is 0 or more; anything else is an error that says so.

    -1 would leave out the last of a list, and no number is smaller or larger than nan.
    """

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = -1
        if not value >= 0:
            raise argparse.ArgumentTypeError(
                f"expected {'a whole' if kind is int else 'a'} number from 0 on, got {text!r}"
            )
        return value

    return read
