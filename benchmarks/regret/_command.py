"""The command line: measure, or read what was measured; print, write, draw."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from _harness import byte_code, machine

from regret._contenders import CONTENDERS, LOOP, installed
from regret._measure import Row, environment, measure, read_json, sample, write_json
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the figure (SVG or PNG; needs matplotlib)")
    parser.add_argument("--report", type=Path, nargs="+", metavar="FILE", help="measure nothing: report these samples")
    arguments = parser.parse_args()
    chosen = arguments.contenders or installed()
    arguments.contenders = [name for name in CONTENDERS if name == LOOP or name in chosen]
    if unknown := [*({*arguments.rows} - {*ROWS}), *({*chosen} - {*CONTENDERS})]:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return arguments


def run(rows: Sequence[str], contenders: Sequence[str], rounds: int, quick: bool) -> dict[str, Row]:
    """Measure the rows and print each when it is done."""
    found = {}
    with byte_code():
        variables = environment()
        for row in FIRST_USE if not quick else ():  # writes the byte code
            for name in contenders:
                sample(row, name, True, variables)
        for row in rows:
            found[row] = measure(row, contenders, 1 if quick else max(1, rounds), quick, variables)
            print(line(row, found[row]), flush=True)
    return found


def report(rows: Mapping[str, Row]) -> None:
    """Print the rows of a file."""
    for name, row in rows.items():
        print(line(name, row))


def main() -> None:
    """Do what the command line asks for."""
    arguments = parse()
    if arguments.report:
        where, rows = read_json(arguments.report)
        print(f"{where}\n\n{head()}")
        report(rows)
    else:
        where = machine() + (" (quick: small inputs)" if arguments.quick else "")
        print(f"{where}\n\n{head()}", flush=True)
        rows = run(arguments.rows, arguments.contenders, arguments.rounds, arguments.quick)
    print_summary(rows)
    if arguments.json:
        write_json(arguments.json, where, rows)
    if arguments.chart:
        from regret._chart import draw

        draw(arguments.chart, where, rows)
