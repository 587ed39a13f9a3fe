"""The command line: measure, or read what was measured; print, write, draw."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from _harness import byte_code, machine

from regret._contenders import CONTENDERS, LOOP, installed
from regret._measure import Effort, Row, environment, measure, read_json, sample, write_json
from regret._report import head, line, print_summary
from regret._rows import ROWS

ROUNDS = 3
FIRST_USE = ("spins-1ms", "ufuncs")  # rows that make every contender import all it has


def names(text: str) -> list[str]:
    """Split a list of names."""
    return [name for name in text.split(",") if name]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="regret", description="Measure parmap beside the best choice of each row.")
    parser.add_argument("--rows", type=names, default=[*ROWS], metavar="A,B", help=f"any of {', '.join(ROWS)}")
    parser.add_argument("--contenders", type=names, metavar="A,B", help=f"any of {', '.join(CONTENDERS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="interpreters for each contender")
    parser.add_argument("--quick", action="store_true", help="small inputs, one round: only to see that it works")
    parser.add_argument(
        "--patience", type=float, default=0, metavar="S", help="seconds to wait at most, each time, for a quiet machine"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the figure (SVG or PNG; needs matplotlib)")
    parser.add_argument("--report", type=Path, nargs="+", metavar="FILE", help="measure nothing: report these samples")
    arguments = parser.parse_args()
    chosen = arguments.contenders or installed()
    arguments.contenders = [name for name in CONTENDERS if name == LOOP or name in chosen]
    if unknown := [*({*arguments.rows} - {*ROWS}), *({*chosen} - {*CONTENDERS})]:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return arguments


def run(rows: Sequence[str], contenders: Sequence[str], effort: Effort) -> Iterator[tuple[str, Row]]:
    """Measure the rows and yield each when it is done."""
    with byte_code():
        variables = environment()
        for row in FIRST_USE if not effort.quick else ():  # writes the byte code
            for name in contenders:
                sample(row, name, True, variables)
        for row in rows:
            yield row, measure(row, contenders, effort, variables)


def main() -> None:
    """Do what the command line asks for."""
    arguments = parse()
    found: Iterable[tuple[str, Row]]
    if arguments.report:
        where, read = read_json(arguments.report)
        found = read.items()
    else:
        effort = Effort(1 if arguments.quick else max(1, arguments.rounds), arguments.quick, arguments.patience)
        where = machine() + (" (quick: small inputs)" if arguments.quick else "")
        found = run(arguments.rows, arguments.contenders, effort)
    print(f"{where}\n\n{head()}", flush=True)
    rows: dict[str, Row] = {}
    for name, row in found:
        rows[name] = row
        print(line(name, row), flush=True)
        if arguments.json:  # after each row, so that a run that is ended early has not measured in vain
            write_json(arguments.json, where, rows)
    print_summary(rows)
    if arguments.chart:
        from regret._chart import draw

        draw(arguments.chart, where, rows)
