"""Search for the longest Collatz chain: `pchunked`, for functions that take a whole chunk and return one answer.

Take a number; halve it if it is even, else triple it and add one; go on until it is 1. Which start up to a limit needs
most steps? The function searches a range and returns its best; `pchunked` gives each worker a slice of the range, which
is a range again, and `merge=max` picks the best of the bests.

Run it:

    python examples/collatz.py            # every start up to a million, several seconds
    python examples/collatz.py --quick    # up to 100 000, about a second
"""

import argparse
import sys
import time

from parmap import pchunked

LIMIT = 1_000_000
QUICK_LIMIT = 100_000


def chain_length(start: int) -> int:
    """Count the steps from a number down to 1."""
    steps = 0
    while start != 1:
        start = start * 3 + 1 if start % 2 else start // 2
        steps += 1
    return steps


def longest_chain(starts: range) -> tuple[int, int]:
    """Return the most steps that any start needs, and that start (the largest of equals)."""
    return max((chain_length(start), start) for start in starts)


parser = argparse.ArgumentParser(description="Find the longest Collatz chain, in one piece and as pchunked.")
parser.add_argument("--limit", type=int, metavar="N", default=LIMIT, help=f"search up to N (default {LIMIT})")
parser.add_argument("--quick", action="store_true", help=f"the same as --limit {QUICK_LIMIT}")
arguments = parser.parse_args()
if arguments.limit < 1:
    parser.error(f"--limit is {arguments.limit}: it must be at least 1")
numbers = range(1, 1 + (QUICK_LIMIT if arguments.quick else arguments.limit))

begin = time.perf_counter()
expected = longest_chain(numbers)
middle = time.perf_counter()
result = pchunked(longest_chain, numbers, merge=max)
end = time.perf_counter()

print(f"up to {numbers[-1]:,}, the start {result[1]:,} needs most steps: {result[0]}")
print(f"\nloop       {middle - begin:7.2f} s")
print(f"pchunked   {end - middle:7.2f} s")
print(f"speed-up   {(middle - begin) / (end - middle):7.2f} x")
print(f"identical  {'yes' if result == expected else 'NO':>7}")
sys.exit(0 if result == expected else 1)
