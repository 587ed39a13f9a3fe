"""How much time `pmap(f, xs)`, with nothing chosen, takes beside the best of ten ways that a person may choose.

    python benchmarks/regret                                  # all kinds of work, about a quarter of an hour
    python benchmarks/regret --rows naps,sockets --rounds 9   # some of them
    python benchmarks/regret --contenders pool,joblib,parmap  # some contenders; the loop is always there
    python benchmarks/regret --json new.json --chart new.svg  # keep the samples, draw the figure
    python benchmarks/regret --report old.json new.json       # only report: rows of later files replace earlier ones
    python benchmarks/regret --quick                          # does it work? small inputs, one round: nothing to quote

Regret is parmap's time by that of the fastest other contender of the row, the loop among them. A round gives every
contender in turn a fresh interpreter: the first call there, from the moment when the imports are done, is the cold
sample and makes its pool; later calls in the same interpreter, with the pool kept, are the warm ones. Every answer is
compared with the loop's. The exit code is 0 even where a mark is missed, for a busy machine is not an error.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # the folder of the other benchmarks

if __name__ == "__main__":
    from regret._command import main

    main()
