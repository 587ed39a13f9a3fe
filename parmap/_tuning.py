"""Every number that parmap was tuned with: its unit, the trade it makes and what set it.

A number here is never part of a promise. Whoever changes one runs ``benchmarks/marks.py`` before and after.
"""

from typing import Final

# --- watching the loop (seconds) ---

# How long the observer looks before its first judgement. Shorter starts workers earlier; longer sees more. One
# switch interval (5 ms) is the resolution of anything measured beside a thread that holds the GIL, so four of them.
WATCH_WINDOW: Final = 0.020

# Seconds of a window in which both threads must have had a core before it is judged, and the most windows to wait for it.
SURE_AFTER: Final = WATCH_WINDOW / 2
MOST_WINDOWS: Final = 5

# The share of a window that a thread must have waited for a core before the machine counts as busy.
BUSY_SHARE: Final = 0.03

# And above which it is no wonder that a thread does not go on without the GIL.
CROWDED_SHARE: Final = 0.3

# And at which the measuring thread may have taken its core: then 0.03 and more, of a window.
TAKEN_SHARE: Final = 0.015

# The pause between two knocks on the GIL inside a window. Long against a wake-up (50 us), short against the window.
KNOCK_PAUSE: Final = 0.001

# The first pause of each window but the first: each knock costs code that gives the GIL up all the time, or keeps all
# cores busy, some 0.1 ms.
REST: Final = 0.017

# Seconds for which the measuring thread keeps the GIL to see whether the items go on without it, and how often it does
# so in a window, at most and at least: 2 % of the window's time, for items that do not.
HOLD_SECONDS: Final = 50e-6
HOLDS: Final = 8
LEAST_HOLDS: Final = 3

# The share of these moments in which items go on that leave the GIL free. Measured: NumPy on 5000 elements 0.03-0.08,
# where threads take longer than the loop; on 20 000 elements 0.4, where they are as fast as processes.
GOES_ON_ABOVE: Final = 0.25

# By how much (factor) the share differs from that where no more such moments are needed.
CLEARLY: Final = 2.5

# Seconds that a thread stays for the next job. Starting one costs 40 us to 0.1 ms, and watching threads, call after call,
# pile up: each waits a switch interval before it sees that it is late.
THREAD_LINGER: Final = 0.05

# Seconds that the watch waits for the caller to come out of its items and open the engine, before it does so itself.
# Two switch intervals: the caller needs one to get the GIL back.
OFFER_WAIT: Final = 0.010

# Seconds after which an item is not likely to end while the watch waits, so that it does not: who has come so far is
# half way, as far as is known.
LONG_ITEM: Final = 5 * OFFER_WAIT

# A first item that takes long may set things up for all. If as many items a worker are left, the end of it is waited
# for, at most for so many seconds, before others are sent to processes: 5 % of the time of so many items like it.
GUESS_ITEMS: Final = 20
GUESS_SECONDS: Final = 1.0

# How much the caller runs before a plan that rests on one long item is believed: so many items, or seconds. Fewer of
# them show what measuring costs rather than what they take.
CHECK_ITEMS: Final = 256
CHECK_SECONDS: Final = 0.001

# The switch interval (seconds) while the watch opens an engine beside a caller that is inside a long item. Each time
# the watch gives the GIL up it waits for it that long: 0.5 s of imports at the default of 5 ms.
SWITCH_INTERVAL: Final = 0.0001

# Share of the window below which the caller's thread counts as waiting rather than computing.
WAITING_BELOW: Final = 0.5

# Share of the window that the knocks may be late before the item counts as holding the GIL (held: 0.5-0.9, free:
# 0.1-0.3 in the measurements of docs/design.md).
GIL_HELD_ABOVE: Final = 0.4

# CPU seconds of threads by wall time above which the GIL is what they wait for. All of it cannot be had: each time that
# it changes hands costs a wake-up.
GIL_FULL_ABOVE: Final = 0.75

# CPU of the whole process by wall time above which the items already keep more than one core busy.
ALREADY_PARALLEL_ABOVE: Final = 1.3

# For such items: the share of the loop's time in which cores wait nevertheless, as long as nothing else is known, and the
# items after which the loop's time is known well enough to tell whether threads save it. Sums and products of 800 x 800
# with OpenBLAS, whose threads look busy while they wait: 0.85 of the loop's time in two threads; products alone: 1.02.
GAPS: Final = 0.1
GAPS_ITEMS: Final = 4

# The time that an engine must save before it is started, as a multiple of what starting it costs. The loop goes on
# while it starts, so the gain is sure from 1.0 on; the rest is for forecasts that are wrong.
WORTH_FACTOR: Final = 1.25

# Seconds that an item and its result cost on their way to a process and back, at the least, on the caller's side.
TRANSPORT_ITEM: Final = 1e-7

# What starting an engine costs: threads, a warm pool of processes, a cold one (benchmarks/marks.py, rows `warm` and
# `cold`).
START_THREADS: Final = 0.001
START_WARM: Final = 0.002
START_COLD: Final = 0.050

# The same for each further worker (seconds), where more of them start than there are cores.
START_WORKER: Final = 0.005

# Seconds that importing a module of an installed package takes on average (NumPy: 84 modules in 56 to 78 ms, pandas with
# it 294 in 206 to 239), a little more because the loop goes on meanwhile.
IMPORT_SECONDS: Final = 0.001

# --- workers ---

# The most threads used for waiting work when the caller does not say (count). The gain beyond is small, the memory
# for stacks and the pressure on the other side (a server, a disk) are not.
MAX_THREADS: Final = 64

# Threads for waiting work, as a multiple of those that would keep the cores busy if the items waited in turns: they do
# not, and the first window, in which connections and caches are new, shows more computing than there will be.
UNEVEN_WAITS: Final = 2

# The most worker processes for waiting work that threads may not do (count). Each takes a few MB of its own.
MAX_WAITING_PROCESSES: Final = 16

# Chunks that one process holds at a time: one it runs and one that waits in its socket, so that it never idles for a
# round trip (count).
IN_FLIGHT: Final = 2

# Seconds that a call waits for the items in flight before it kills their workers, when it ends early.
CLOSE_GRACE: Final = 0.1

# Seconds that a failed call waits for the items before the failed one that are being run: one of them may fail too,
# and its error is the one that the loop would have raised. The price is that the error comes out that much later.
ERROR_GRACE: Final = 1.0

# The longest wait (seconds) for workers without a look at signals. An interrupt that comes between Python's last look
# and the system call that waits does not end that call; this is how long it then goes unnoticed.
SIGNAL_WAIT: Final = 0.5

# Seconds that an idle worker stays for the next call before it leaves.
IDLE_LIFE: Final = 60.0

# Zygotes in a row that die before one of their workers was up, before workers are started without one (count).
ZYGOTE_TRIES: Final = 2

# Deaths in a row of workers that were starting, before the call gives up (count).
START_TRIES: Final = 5

# Seconds that the launcher may take to tell how a worker ended, before the answer is "unknown".
EXIT_STATUS_WAIT: Final = 1.0

# Seconds that shutdown() gives a launcher to leave by itself before it is killed.
SHUTDOWN_WAIT: Final = 1.0

# The exit code of a worker that finds that the user's script, which multiprocessing makes it import, calls parmap
# without a guard (number). One that nothing else ends with.
UNGUARDED: Final = 113

# How deep processes may start processes (count): below this level a call that asks for them runs as the loop.
MAX_LEVEL: Final = 3

# --- chunks ---

# Seconds of work aimed at in one dispatch. A dispatch costs about 0.1 ms on both ends together: 0.4 % of this.
CHUNK_TARGET: Final = 0.025

# The same for a thread, where a dispatch costs 20 us: the sooner it comes back, the sooner is seen what it does. Of 700
# items that wait for the GIL for 4 ms each, 64 threads had done all but 100 before anything else was known of them.
THREAD_CHUNK_TARGET: Final = 0.005

# Seconds after which a worker gives back the items of a chunk that it has not started: the bound on how long a chunk
# can keep items from other, idle workers.
CHUNK_LIMIT: Final = 0.050

# Seconds that a worker runs items between two looks at the clock and at its progress page.
BLOCK_TARGET: Final = 0.001

# Items in the first dispatch to each worker, while nothing is known of their cost (count).
FIRST_CHUNK: Final = 32

# The same for a lazy call, whose results are kept until its consumer takes them (count).
LAZY_FIRST_CHUNK: Final = 4

# The most that is kept of what a worker writes to its standard error, for the case that it dies (characters).
WORDS_LIMIT: Final = 4000

# Seconds beyond `timeout` that a worker may take to read a chunk or to answer it, importing what it needs included.
TRANSIT_GRACE: Final = 5.0

# Seconds of work below which a chunk is not split further: what a dispatch to one more worker costs on both ends.
LEAST_CHUNK: Final = 0.0002

# By how much the time of an item may differ from what is remembered before that is forgotten (factor).
STILL_FITS: Final = 3.0

# Seconds that it takes to put a byte into a memory file and to read it from there. Measured: 10 MB in 4 ms, half of it
# for fresh pages.
COPY_BYTE: Final = 4e-10

# Speed-up against the loop below which threads are taken for bound by the GIL, if processes would pay; and below which
# any engine is left for the loop. A busy machine makes every engine look slow, so it is well below 1.
GIL_BOUND_BELOW: Final = 1.2
SLOWER_BELOW: Final = 0.85

# Seconds that a pickle takes by itself, however little is in it; in a chunk the items share them.
PICKLE_ALONE: Final = 5e-5

# How long an engine is looked at before it is judged (seconds), how many items a worker must have finished on average,
# and for how many workers that is asked at most.
TRIAL_SECONDS: Final = 0.1
TRIAL_ITEMS: Final = 4
TRIAL_WORKERS: Final = 8

# Calls of a function for which an engine that did not pay is not tried again (count). Trying costs 0.1 to 0.2 s.
REFUSAL_CALLS: Final = 8

# Functions of which something is remembered for their next call (count). An entry takes about 500 bytes.
LEARNED_FUNCTIONS: Final = 256

# By how much the size may grow from one dispatch to the next (factor).
CHUNK_GROWTH: Final = 8

# The most items in one dispatch to a worker (count): it bounds memory, and how long a worker is deaf to a cancel.
MAX_CHUNK: Final = 1 << 18

# The same in the calling thread. Beyond it the results of a block fall out of the processor's cache before they are
# handed on: 10^6 trivial items took 46 ms in blocks of 2^18 and 42 ms in blocks of 2^14.
MAX_BLOCK: Final = 1 << 14

# Bytes of arguments or results aimed at in one dispatch: large enough that the cost of a dispatch does not show,
# small enough that two a worker and both directions stay far under 60 MB.
CHUNK_BYTES: Final = 1 << 19

# An item larger than this many bytes (shallow size) makes the first dispatch a single item.
SMALL_ITEM_BYTES: Final = 1024

# --- pimap's window ---

# Items read ahead of the consumer, at least, for each worker (count).
WINDOW_PER_WORKER: Final = 2

# The most items read ahead of the consumer when `buffersize` is not given (count).
MAX_WINDOW: Final = 1024

# Bytes of results waiting for the consumer, aimed at when `buffersize` is not given.
WINDOW_BYTES: Final = 6 << 20

# --- transport (bytes) ---

# Frames up to this size travel in the socket. The three that may be on their way at once fit the kernel's default buffer (208 kB) with room for its
# book-keeping, which is why a sender never blocks; larger ones travel in a memory file beside it.
FRAME_LIMIT: Final = 1 << 15

# The least buffer of a socket: four frames, of which at most three wait in it. Linux gives more by itself.
SOCKET_BUFFER: Final = 4 * FRAME_LIMIT

# Memory files up to this size (bytes) are kept in a call to be filled again, and as many of them.
SPARE_BYTES: Final = 32_000_000
SPARE_FILES: Final = 8

# A buffer from this size on travels out of band, in its own memory file, and is mapped by the receiver.
BUFFER_LIMIT: Final = 1 << 16

# The share of the descriptors which a process may have that its views of memory files may take, until Python 3.12.
# What arrives then is copied (0.3 ms a MB): other code of the program needs descriptors too.
VIEWS_SHARE: Final = 0.5

# The alignment of a buffer in a memory file: a cache line, which every dtype and SIMD load is content with.
BUFFER_ALIGN: Final = 64

# Bytes read from a socket at once: more than all that can be waiting in it.
READ_SIZE: Final = 1 << 18

# --- shared state ---

# Cells in an arena (count), 64 bytes each, of which the first is taken. A descriptor and a mapping in each process for
# every so many of its `Value`s and `Lock`s; four pages, which are memory only once a cell of theirs is used.
ARENA_CELLS: Final = 256

# Arenas that may go with one frame (count). The kernel takes 253 descriptors at once, one of which may be the memory
# file of the payload.
ARENAS_MOST: Final = 250

# --- cores ---

# Seconds for which a quota that has been read is taken for granted. Reading costs about 20 us a level of the tree
# and gives up the GIL each time, too much for a call that has 100 us in all. A quota changes when somebody resizes a
# running container: then the next calls are right within this time. (The affinity costs 0.3 us and is always asked.)
QUOTA_LIFE: Final = 10.0

# --- words ---

# How many exceptions travel together: one, and those that it came from (count).
CHAIN_LIMIT: Final = 50

# How many steps down into an object the search for what cannot be pickled goes (count).
EXPLAIN_DEPTH: Final = 8


# Characters of an argument's repr shown in an error (count).
REPR_LIMIT: Final = 120
