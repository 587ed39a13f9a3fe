"""Tables and marks from the samples."""

import statistics
from collections.abc import Iterator, Mapping

from _harness import Mark, show

from regret._contenders import CONTENDERS, LOOP, PARMAP
from regret._measure import KINDS, Kind, Row, fastest

WARM_LIMIT, WARM_MEDIAN, COLD_LIMIT = 1.10, 1.00, 1.10
START = 0.060  # seconds taken off a cold call: what starting processes may cost
LOOP_FACTOR, LOOP_EXTRA = 1.05, 0.001
LEAD = 2.0  # by how much the worst row of every other contender is to be worse than parmap's worst
# Below this many seconds of the best contender a ratio only tells what a call costs, in microseconds. Such a row is
# shown, for all contenders, and judged beside the loop alone.
SHORTEST = 0.001


def best(row: Row, kind: Kind) -> str:
    """Name the fastest contender but parmap."""
    others = [name for name, times in row.items() if name != PARMAP and times.of(kind)]
    return min(others, key=lambda name: row[name].median(kind))


def regret(row: Row, name: str, kind: Kind, off: float = 0.0) -> float:
    """Return a contender's time, less some seconds, by that of the best one."""
    return max(0.0, row[name].median(kind) - off) / row[best(row, kind)].median(kind)


def over_loop(row: Row, kind: Kind) -> float:
    """Return the seconds that parmap takes beyond what it may take beside the loop; negative: there is room."""
    return row[PARMAP].median(kind) - LOOP_FACTOR * row[LOOP].median(kind) - LOOP_EXTRA


def judged(row: Row, kind: Kind) -> bool:
    """Tell whether a row is long enough for ratios, and parmap is in it."""
    return bool(PARMAP in row and row[PARMAP].of(kind)) and row[best(row, kind)].median(kind) >= SHORTEST


def label(name: str) -> str:
    """Return what tables and the figure call a contender."""
    return CONTENDERS[name].label if name in CONTENDERS else name


# ----------------------------------------------------------------------------------------------------------- tables


def head() -> str:
    """The column heads of `line`."""
    return f"{'':14}{_head('warm')}  │ {_head('cold')} -60 ms"


def _head(kind: str) -> str:
    return f"{'loop':>8} {'best ' + kind:>31} {'parmap':>8} regret"


def line(name: str, row: Row) -> str:
    """Show a row: for both kinds the loop, the best contender, parmap and its regret. An exclamation: a mark is missed."""
    cells = [_cells(row, kind) for kind in KINDS[::-1]]
    if not row[PARMAP].of("cold"):
        return f"{name:14}{'  │ '.join(cells)}"
    less = regret(row, PARMAP, "cold", START)
    return f"{name:14}{'  │ '.join(cells)} {less:5.2f}{_flag(judged(row, 'cold') and less > COLD_LIMIT)}"


def _cells(row: Row, kind: Kind) -> str:
    winner = best(row, kind)
    seconds = row[winner].median(kind)
    cells = f"{show(row[LOOP].median(kind), 's'):>8} {label(winner):>22} {show(seconds, 's'):>8}"
    if PARMAP not in row or not row[PARMAP].of(kind):
        return cells + f" {'-':>8} {'-':>6}"
    found = regret(row, PARMAP, kind)
    missed = (kind == "warm" and judged(row, kind) and found > WARM_LIMIT) or over_loop(row, kind) > 0
    shown = f"{found:6.2f}" if found < 100 else f"{found:6.0f}"
    return f"{cells} {show(row[PARMAP].median(kind), 's'):>8} {shown}{_flag(missed)}"


def _flag(missed: bool) -> str:
    return "!" if missed else " "


def contenders(rows: Mapping[str, Row]) -> Iterator[str]:
    """Show for each contender its worst row and its median, warm and cold."""
    yield f"{'regret':22} {'worst, warm':>28}  median   {'worst, cold':>28}  median"
    for name in _names(rows):
        yield f"{label(name):22} {_worst_cell(rows, name, 'warm')}   {_worst_cell(rows, name, 'cold')}".rstrip()


def _names(rows: Mapping[str, Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows.values() for name in row))


def _worst_cell(rows: Mapping[str, Row], name: str, kind: Kind) -> str:
    found = regrets(rows, name, kind)
    if not found:
        return f"{'-':>28} {'-':>7}"
    where = max(found, key=lambda row: found[row])
    return f"{found[where]:10.2f} ({where})".ljust(28) + f" {statistics.median(found.values()):7.2f}"


def regrets(rows: Mapping[str, Row], name: str, kind: Kind, off: float = 0.0) -> dict[str, float]:
    """Return a contender's regret in each row that is long enough."""
    return {
        title: regret(row, name, kind, off)
        for title, row in rows.items()
        if name in row and row[name].of(kind) and row[best(row, kind)].median(kind) >= SHORTEST
    }


def failures(rows: Mapping[str, Row]) -> Iterator[str]:
    """Tell which contenders could not run which rows."""
    for title, row in rows.items():
        yield from (f"{title}, {label(name)}: {times.error[:110]}" for name, times in row.items() if times.error)


# ------------------------------------------------------------------------------------------------------------ marks


def marks(rows: Mapping[str, Row]) -> list[Mark]:
    """Judge parmap by all rows."""
    warm, cold = regrets(rows, PARMAP, "warm"), regrets(rows, PARMAP, "cold", START)
    if not warm or not cold:
        return []
    measured = [row for row in rows.values() if PARMAP in row and row[PARMAP].of("warm")]
    beside_loop = max(over_loop(row, kind) for row in measured for kind in KINDS)
    others = {name: max(found.values()) for name in _names(rows) if (found := regrets(rows, name, "warm"))}
    lead = min((each for name, each in others.items() if name != PARMAP), default=float("nan"))
    return [
        Mark(f"warm regret, worst row ({max(warm, key=lambda row: warm[row])})", max(warm.values()), WARM_LIMIT, "x"),
        Mark("warm regret, median", statistics.median(warm.values()), WARM_MEDIAN, "x"),
        Mark(
            f"cold regret less 60 ms, worst row ({max(cold, key=lambda row: cold[row])})",
            max(cold.values()),
            COLD_LIMIT,
            "x",
        ),
        Mark("beyond 1.05 x the loop + 1 ms, worst row", max(0.0, beside_loop) * 1e3, 0.0, "ms"),
        Mark("worst row of any other contender, by parmap's", lead / others[PARMAP], LEAD, "x", at_least=True),
    ]


def short_rows(rows: Mapping[str, Row]) -> list[str]:
    """Name the rows that are only judged beside the loop."""
    return [title for title, row in rows.items() if row[best(row, "warm")].median("warm") < SHORTEST]


def print_summary(rows: Mapping[str, Row]) -> None:
    """Print the table of contenders, what failed, and the marks."""
    print("\nthe contenders: time by that of the best contender but parmap, over all rows")
    for each in (*contenders(rows), *failures(rows)):
        print(f"  {each}")
    if short := short_rows(rows):
        print(f"  not in these figures, for the best takes less than {show(SHORTEST, 's')}: {', '.join(short)}")
    found = marks(rows)
    print(f"\n{sum(mark.passed for mark in found)} of {len(found)} marks met, {len(rows)} kinds of work")
    for mark in found:
        print(f"  {mark}")
    values = (show(mark.value, mark.unit) for mark in marks(fastest(rows)))
    print(f"  from the fastest samples in place of the medians: {', '.join(values)}")
