"""Memory files that are temporary files, on a disk that has no room: errors that name the item, in parent and worker."""

from tests.platforms import NO_MEMORY_FILES, lacking
from tests.scripts import RunScript

# A limit on the size of files stands for a disk that is full: both are errors of the call that asks for room.
SOURCE = """
import resource, signal, sys
from parmap import pmap, pimap, SerializationError
MEGABYTE = 1 << 20
resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE))

def said(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


def test_an_item_that_has_no_room(script: RunScript) -> None:
    """The item is named, the others keep their results, and the next call works."""
    source = """
items = [b"x" * (2 * MEGABYTE if n == 3 else 200_000) for n in range(6)]
got = pmap(len, items, backend="process", workers=2, chunksize=3, return_exceptions=True)
print([n if isinstance(n, int) else f"{type(n).__name__} {n.what[:24]} {n.reason}" for n in got])
print(pmap(abs, [-1, -2], backend="process", workers=2))
"""
    told = script(SOURCE + source, env=lacking(NO_MEMORY_FILES)).check()
    failure = "'SerializationError the arguments of item 3  the item: OSError: [Errno 27] File too large'"
    assert told == f"[200000, 200000, 200000, {failure}, 200000, 200000]\n[1, 2]\n"


def test_a_result_that_has_no_room(script: RunScript) -> None:
    """As for an item, in chunks and alone."""
    source = """
def make(n):
    return b"x" * (2 * MEGABYTE if n == 3 else 200_000)
for chunksize in (1, 3):
    got = pmap(make, range(6), backend="process", workers=2, chunksize=chunksize, return_exceptions=True)
    print([n if isinstance(n, SerializationError) else len(n) for n in got])
"""
    told = script(SOURCE + source, env=lacking(NO_MEMORY_FILES)).check().splitlines()
    failure = "SerializationError('the result of item 3', 'the result, a bytes: OSError: [Errno 27] File too large')"
    assert told == [f"[200000, 200000, 200000, {failure}, 200000, 200000]"] * 2


def test_a_function_that_has_no_room(script: RunScript) -> None:
    """Then there can be no processes: the call is the loop, with one warning that tells why."""
    source = """
constant = b"x" * (2 * MEGABYTE)
print(pmap(lambda n: n + len(constant) - len(constant), range(4), backend="process", workers=2))
"""
    result = script(SOURCE + source, env=lacking(NO_MEMORY_FILES), python_flags=("-W", "default"))
    assert (result.returncode, result.stdout) == (0, "[0, 1, 2, 3]\n")
    assert result.stderr.count("FallbackWarning") == 1
    assert "File too large" in result.stderr
