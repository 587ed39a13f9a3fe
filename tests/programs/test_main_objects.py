"""Everything that a program defines in ``__main__`` can be mapped, be an item, and be a result."""

import pytest

from tests.scripts import RunScript

PARALLEL = ("process", "auto")

# Under `auto` the items must be worth processes, so each of them computes for a while: half a second in all.
BEGIN = """
import sys, time
from parmap import pmap, pimap, pchunked
BACKEND = sys.argv[1]
N = 50
def spend(seconds=0.01):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
def run(function, items=range(N), **options):
    items = list(items)
    results = pmap(function, items, backend=BACKEND, workers=2, **options)
    assert len(results) == len(items)
    return results
"""

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
    "enum": """
import enum
class Color(enum.Enum):
    RED = 1
    BLUE = 2
    @property
    def other(self):
        return Color.BLUE if self is Color.RED else Color.RED
class Level(enum.IntEnum):
    LOW = 1
class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()
def turn(color):
    spend()
    assert color is Color.RED
    return color.other, Level.LOW, Access.READ | Access.WRITE
for color, level, access in run(turn, [Color.RED] * N):
    assert color is Color.BLUE
    assert level is Level.LOW
    assert access is (Access.READ | Access.WRITE)
""",
    "dataclass": """
import dataclasses
@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: int
@dataclasses.dataclass
class Point:
    x: int
    inner: Frozen
    tags: list = dataclasses.field(default_factory=list)
def move(p):
    spend()
    assert isinstance(p, Point) and isinstance(p.inner, Frozen)
    return dataclasses.replace(p, x=p.x + 1, inner=Frozen(p.x))
moved = run(move, [Point(n, Frozen(0)) for n in range(N)])
assert moved == [Point(n + 1, Frozen(n)) for n in range(N)]
assert all(type(p) is Point and type(p.inner) is Frozen for p in moved)
""",
    "named tuples": """
import collections, typing
class Pair(typing.NamedTuple):
    left: int
    right: str = "r"
    def joined(self):
        return f"{self.left}{self.right}"
Row = collections.namedtuple("Row", "a b")
def make(pair):
    spend()
    assert isinstance(pair, Pair) and pair.joined() == f"{pair.left}r"
    return Row(pair.left, pair)
rows = run(make, [Pair(n) for n in range(N)])
assert all(type(row) is Row and type(row.b) is Pair for row in rows)
assert [row.a for row in rows] == list(range(N))
""",
    "methods": """
class Model:
    scale = 3
    def __init__(self, offset):
        self.offset = offset
    def predict(self, x):
        spend()
        return x * self.scale + self.offset
    def __call__(self, x):
        return self.predict(x) + 1
    @classmethod
    def build(cls, x):
        spend()
        return cls(x).offset
    @staticmethod
    def plain(x):
        spend()
        return -x
    def run_inside(self):
        return run(lambda x: self.predict(x))
model = Model(2)
expected = [x * 3 + 2 for x in range(N)]
assert run(model.predict) == expected
assert run(model) == [x + 1 for x in expected]
assert run(Model.build) == list(range(N))
assert run(Model.plain) == [-x for x in range(N)]
assert model.run_inside() == expected
made = run(Model)
assert all(type(each) is Model for each in made)
""",
    "inheritance and super": """
import abc
class Base(abc.ABC):
    def __init__(self, n):
        self.n = n
    @abc.abstractmethod
    def value(self): ...
    def __eq__(self, other):
        return type(self) is type(other) and self.n == other.n
class Middle(Base):
    def value(self):
        return self.n
class Leaf(Middle):
    def __init__(self, n):
        super().__init__(n + 1)
    def value(self):
        return super().value() * 2
def work(each):
    spend()
    assert isinstance(each, Base)
    return Leaf(each.value())
got = run(work, [Leaf(n) for n in range(N)])
assert got == [Leaf((n + 1) * 2) for n in range(N)]
assert all(isinstance(each, Base) and type(each) is Leaf for each in got)
""",
    "unusual classes": """
import typing
T = typing.TypeVar("T")
class Meta(type):
    def __call__(cls, *args):
        made = super().__call__(*args)
        made.by_meta = True
        return made
class WithMeta(metaclass=Meta):
    pass
class Box(typing.Generic[T]):
    def __init__(self, value: T):
        self.value = value
class Outer:
    class Inner:
        pass
class Words(list):
    pass
class Number(int):
    pass
class Proxy:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name
def make(x):
    spend()
    return WithMeta(), Box(x), Outer.Inner(), Words([x]), Number(x), Proxy()
for x, (meta, box, inner, words, number, proxy) in enumerate(run(make)):
    assert type(meta) is WithMeta and meta.by_meta
    assert type(box) is Box and box.value == x
    assert type(inner) is Outer.Inner
    assert type(words) is Words and words == [x]
    assert type(number) is Number and number == x
    assert type(proxy) is Proxy and proxy.anything == "anything"
""",
    "slots": """
class Slots:
    __slots__ = ("n",)
    def __init__(self, n):
        self.n = n
class More(Slots):
    __slots__ = ("m", "__weakref__")
class WithDict(Slots):
    pass
def make(x):
    spend()
    more, with_dict = More(x), WithDict(x)
    more.m, with_dict.free = x + 1, x + 2
    return Slots(x), more, with_dict
for x, (slots, more, with_dict) in enumerate(run(make)):
    assert type(slots) is Slots and slots.n == x
    assert type(more) is More and (more.n, more.m) == (x, x + 1)
    assert type(with_dict) is WithDict and (with_dict.n, with_dict.free) == (x, x + 2)
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
    "cached property": """
import functools
class Table:
    def __init__(self, n):
        self.n = n
    @functools.cached_property
    def size(self):
        spend()
        return self.n + 7
def work(table):
    return table.size, table
for n, (size, table) in enumerate(run(work, [Table(n) for n in range(N)])):
    assert size == n + 7 and type(table) is Table and table.__dict__ == {"n": n, "size": n + 7}
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
    "class defined again": """
class Point:
    def __init__(self, x):
        self.x = x
    def moved(self):
        return Point(self.x + 1)
def work(point):
    spend()
    return point.moved()
Old = Point
old = run(work, [Point(n) for n in range(N)])
assert all(type(p) is Old for p in old)
class Point:
    def __init__(self, x):
        self.x = x
        self.new = True
    def moved(self):
        return Point(self.x + 100)
new = run(work, [Point(n) for n in range(N)])
assert all(type(p) is Point and p.new for p in new)
assert [p.x for p in new] == [n + 100 for n in range(N)]
assert all(type(p) is Old for p in old)
""",
    "class attribute that changes": """
class Model:
    scale = 1
    def value(self, x):
        spend()
        return x * self.scale
assert run(Model().value) == list(range(N))
Model.scale = 4
assert run(Model().value) == [4 * n for n in range(N)]
Model.value = lambda self, x: (spend(), -x)[1]
assert run(Model().value) == [-n for n in range(N)]
""",
    "errors": """
class AppError(Exception):
    def __init__(self, text, code):
        super().__init__(text, code)
        self.code = code
class Deeper(AppError):
    pass
def work(x):
    spend()
    if x == 40:
        raise Deeper("forty", 40)
    return x
try:
    run(work)
except AppError as error:
    assert type(error) is Deeper and error.code == 40
    assert any("item 40" in note for note in error.__notes__)
else:
    raise SystemExit("no error")
kept = run(work, return_exceptions=True)
assert type(kept[40]) is Deeper and kept[39] == 39
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
    "lazy and chunked": """
class Point:
    def __init__(self, x):
        self.x = x
def work(p):
    spend()
    return Point(p.x + 1)
lazy = list(pimap(work, (Point(n) for n in range(N)), backend=BACKEND, workers=2))
assert all(type(p) is Point for p in lazy) and [p.x for p in lazy] == list(range(1, N + 1))
def chunk(points):
    return [work(p) for p in points]
chunked = pchunked(chunk, [Point(n) for n in range(N)], backend=BACKEND, workers=2)
assert all(type(p) is Point for p in chunked) and [p.x for p in chunked] == list(range(1, N + 1))
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
    "many classes that know each other": """
class Node:
    def __init__(self, value, tree):
        self.value, self.tree = value, tree
class Tree:
    def __init__(self, n):
        self.nodes = [Node(v, self) for v in range(n)]
    def total(self):
        return sum(node.value for node in self.nodes)
def work(tree):
    spend()
    assert all(node.tree is tree for node in tree.nodes)
    return Tree(tree.total() % 7)
for n, tree in enumerate(run(work, [Tree(n) for n in range(N)])):
    assert type(tree) is Tree and all(type(node) is Node and node.tree is tree for node in tree.nodes)
    assert len(tree.nodes) == sum(range(n)) % 7
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("backend", PARALLEL)
def test_program(script: RunScript, backend: str, name: str) -> None:
    """The program's own asserts hold, and it runs without a warning: nothing fell back to another engine."""
    future, body = "from __future__ import annotations\n", PROGRAMS[name]
    source = future + BEGIN + body.replace(future, "") if future in body else BEGIN + body
    assert script(source + "print('ok')\n", backend).check() == "ok\n"
