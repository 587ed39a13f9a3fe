"""The figure: each row a line, each contender a dot at its time by that of the fastest."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regret._contenders import CONTENDERS, PARMAP
from regret._measure import Row
from regret._report import SHORTEST, best, label, regret
from regret._rows import ROWS, title

FARTHEST = 100.0
TICKS = (0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Style:
    """How a contender is drawn."""

    colour: str
    marker: str
    size: float = 26.0


LOOP_COLOUR, THREAD_COLOUR, PROCESS_COLOUR, PARMAP_COLOUR = "#444444", "#5b8fc9", "#d99a3d", "#c2185b"
STYLES: dict[str, Style] = {
    "loop": Style(LOOP_COLOUR, "|", 60),
    "threads-2": Style(THREAD_COLOUR, "v"),
    "threads-16": Style(THREAD_COLOUR, "s"),
    "threads-64": Style(THREAD_COLOUR, "^"),
    "joblib-threads": Style(THREAD_COLOUR, "P"),
    "pool": Style(PROCESS_COLOUR, "o"),
    "pool-unit": Style(PROCESS_COLOUR, "."),
    "executor": Style(PROCESS_COLOUR, "D", 20),
    "joblib": Style(PROCESS_COLOUR, "P"),
    "mpire": Style(PROCESS_COLOUR, "X"),
    PARMAP: Style(PARMAP_COLOUR, "o", 62),
}


def draw(file: Path, machine: str, rows: Mapping[str, Row]) -> None:
    """Draw the warm samples of all rows that are long enough; the suffix of the file tells the format."""
    shown = {name: row for name, row in rows.items() if row[best(row, "warm")].median("warm") >= SHORTEST}
    order = sorted(shown, key=lambda name: (_spread(shown[name]), name))
    mpl.rcParams |= {"svg.hashsalt": "parmap", "font.size": 9, "svg.fonttype": "none"}
    figure = Figure(figsize=(9.0, 1.6 + 0.24 * len(order)), layout="constrained")
    axes = figure.add_subplot()
    for place, name in enumerate(order):
        axes.axhline(place, color="#eeeeee", linewidth=0.8, zorder=0)
        _draw_row(axes, place, shown[name])
    _dress(axes, order)
    for name, style in STYLES.items():
        if any(name in row for row in shown.values()):
            axes.scatter([], [], s=style.size, c=style.colour, marker=style.marker, label=label(name))
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.supxlabel(f"warm calls, medians; {machine.partition(', load')[0]}", fontsize=7, color="#777777")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else {}, dpi=160)


def _spread(row: Row) -> float:
    """How much there is to gain by choosing well: the median of the contenders' regrets."""
    return statistics.median(regret(row, name, "warm") for name in row if name in CONTENDERS and row[name].of("warm"))


def _draw_row(axes: Axes, place: int, row: Row) -> None:
    for name, style in STYLES.items():
        if name in row and row[name].of("warm"):
            where = min(FARTHEST, regret(row, name, "warm"))
            front = 3 if name == PARMAP else 2
            axes.scatter(where, place, s=style.size, c=style.colour, marker=style.marker, zorder=front, linewidths=1.2)


def _dress(axes: Axes, order: list[str]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.5, FARTHEST * 1.1)
    axes.set_xticks(TICKS, [f"{tick:g}×" for tick in TICKS])
    axes.minorticks_off()
    axes.axvline(1.0, color="#999999", linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(order)), [title(name) if name in ROWS else name for name in order])
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.tick_params(length=0)
    axes.set_xlabel("time, by that of the fastest other than parmap (100×: or more)")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
