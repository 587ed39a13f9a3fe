"""Every class that a program defines in ``__main__`` can be mapped, and its instances be items and results."""

import pytest

from tests.programs.in_main import PARALLEL, check_program
from tests.scripts import RunScript

PROGRAMS = {
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
    """Its asserts hold, in worker processes and under ``auto``."""
    check_program(script, backend, PROGRAMS[name])
