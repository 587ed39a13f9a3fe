"""Every function that a program defines in ``__main__`` can be mapped."""

import pytest

from tests.programs.in_main import PARALLEL, check_program
from tests.scripts import RunScript

PROGRAMS = {
    "lambda": """
assert run(lambda x: (spend(), x + 1)[1]) == list(range(1, N + 1))
""",
    "closure": """
def make(step):
    counter = [step]
    def add(x):
        spend()
        return x + counter[0]
    return add
assert run(make(5)) == list(range(5, N + 5))
""",
    "local function in a function": """
def program():
    import math
    table = {n: n * n for n in range(N)}
    def look(x):
        spend()
        return math.isqrt(table[x])
    return run(look)
assert program() == list(range(N))
""",
    "partial": """
import functools
def power(base, exponent, offset=0):
    spend()
    return base ** exponent + offset
assert run(functools.partial(power, 2)) == [2 ** n for n in range(N)]
assert run(functools.partial(lambda a, b: (spend(), a - b)[1], 100)) == [100 - n for n in range(N)]
assert run(functools.partial(power, exponent=2, offset=1)) == [n * n + 1 for n in range(N)]
class Holder:
    def __init__(self, k):
        self.k = k
    def add(self, extra, x):
        spend()
        return self.k + extra + x
    both = functools.partialmethod(add, 10)
assert run(Holder(1).both) == [11 + n for n in range(N)]
""",
    "caches": """
import functools
@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
@functools.lru_cache(maxsize=16)
def square(n):
    return n * n
@functools.lru_cache
def slow_square(n):
    spend()
    return n * n
class Table:
    @functools.lru_cache(maxsize=None)
    def row(self, n):
        return n + 1
    @staticmethod
    @functools.cache
    def fixed(n):
        return n
table = Table()
def work(x):
    spend()
    return fibonacci(30) + square(x) + table.row(x) + Table.fixed(x)
assert run(work) == [832040 + n * n + n + 1 + n for n in range(N)]
assert run(slow_square) == [n * n for n in range(N)]
assert fibonacci(10) == 55
square(3)
square.cache_clear()
assert square.cache_info().currsize == 0
""",
    "singledispatch": """
import functools
@functools.singledispatch
def describe(x):
    spend()
    return "thing"
@describe.register
def _(x: int):
    spend()
    return f"int {x}"
@describe.register(list)
def _(x):
    spend()
    return f"list of {len(x)}"
class Own:
    @functools.singledispatchmethod
    def name(self, x):
        return "own thing"
    @name.register
    def _(self, x: str):
        return "own str"
@describe.register
def _(x: Own):
    spend()
    return "own"
own = Own()
def work(x):
    return describe(x), own.name(x)
items = [1, [1, 2], 2.5, Own(), "s"] * 10
assert run(describe, items) == ["int 1", "list of 2", "thing", "own", "thing"] * 10
assert run(work, items) == [(d, "own str" if d == "thing" and type(x) is str else "own thing")
                            for d, x in zip(map(describe, items), items)]
""",
    "recursion": """
def even(n):
    return True if n == 0 else odd(n - 1)
def odd(n):
    return False if n == 0 else even(n - 1)
def work(n):
    spend()
    return even(n)
assert run(work) == [n % 2 == 0 for n in range(N)]
def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)
def both(n):
    spend()
    return factorial(n)
import math
assert run(both) == [math.factorial(n) for n in range(N)]
""",
    "globals": """
import json, os.path, logging
import xml.etree.ElementTree as tree
from collections import Counter
log = logging.getLogger("program")
table = {"a": 1}
LIMIT = 10
def work(x):
    spend()
    log.debug("not shown")
    node = tree.fromstring("<a><b/></a>")
    return json.dumps([x, table["a"], LIMIT, len(node), os.path.basename("/x/y"), Counter("aab")["a"]])
assert run(work) == [json.dumps([x, 1, 10, 1, "y", 2]) for x in range(N)]
""",
    "globals that change": """
factor = 1
def work(x):
    spend()
    return x * factor
assert run(work) == list(range(N))
factor = 3
assert run(work) == [3 * n for n in range(N)]
settings = {"on": False}
def look(x):
    spend()
    return settings["on"]
assert run(look) == [False] * N
settings["on"] = True
assert run(look) == [True] * N
def helper(x):
    return x
def uses(x):
    spend()
    return helper(x)
assert run(uses) == list(range(N))
def helper(x):
    return -x
assert run(uses) == [-n for n in range(N)]
""",
    "globals set in a function": """
def setup(value):
    global state
    state = value
def work(x):
    spend()
    return state + x
setup(1)
assert run(work) == list(range(1, N + 1))
setup(2)
assert run(work) == list(range(2, N + 2))
""",
    "function defined again": """
def work(x):
    spend()
    return x
first = work
assert run(work) == list(range(N))
def work(x):
    spend()
    return x + 1
assert run(work) == list(range(1, N + 1))
assert run(first) == list(range(N))
""",
    "decorators and generators": """
import contextlib, functools
def logged(function):
    @functools.wraps(function)
    def inner(*args):
        with section("s") as name:
            return function(*args), name
    return inner
@contextlib.contextmanager
def section(name):
    yield name
def numbers(n):
    yield from range(n)
@logged
def work(x):
    spend()
    return sum(numbers(x))
assert run(work) == [(sum(range(n)), "s") for n in range(N)]
""",
    "annotations and defaults": """
from __future__ import annotations
import typing
class Item(typing.TypedDict):
    n: int
class Holds(typing.Protocol):
    n: int
Alias = typing.Union[int, str]
def work(item: Item, scale: Alias = 2, *, extra: Holds | None = None) -> Alias:
    spend()
    return item["n"] * scale
assert run(work, [Item(n=n) for n in range(N)]) == [2 * n for n in range(N)]
assert work.__annotations__["item"] == "Item"
""",
    "exec and types": """
namespace = {"spend": spend}
exec("def work(x):\\n    spend()\\n    return x + 1\\n", namespace)
assert run(namespace["work"]) == list(range(1, N + 1))
Made = type("Made", (), {"n": 5})
def make(x):
    spend()
    return Made(), type(Made())
assert all(type(a) is Made and b is Made for a, b in run(make))
""",
    "initializer": """
def initialize():
    global model
    model = [100]
def work(x):
    spend()
    return x + model[0]
assert run(work, initializer=initialize) == [n + 100 for n in range(N)]
""",
    "a map in the function": """
def inner(x):
    return x * 2
def outer(n):
    spend()
    return pmap(inner, range(n), workers=2)
assert run(outer) == [[2 * x for x in range(n)] for n in range(N)]
""",
    "main as a module": """
import __main__
import sys
class Thing:
    pass
def work(x):
    spend()
    return Thing, Thing()
for kind, thing in run(work):
    assert kind is __main__.Thing and kind is sys.modules["__main__"].Thing and type(thing) is Thing
assert Thing.__module__ == "__main__" and work.__module__ == "__main__"
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("backend", PARALLEL)
def test_program(script: RunScript, backend: str, name: str) -> None:
    """Its asserts hold, in worker processes and under ``auto``."""
    check_program(script, backend, PROGRAMS[name])
