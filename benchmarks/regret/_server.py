"""A server that takes its time: it answers each line after 20 ms, and ends when its standard input does.

It prints its port. It is a process of its own, so that it does not compute at the expense of those that are measured.
"""

import asyncio
import os
import sys

WAIT = 0.02
BACKLOG = 512


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection: a line in, a line out."""
    line = await reader.readline()
    await asyncio.sleep(WAIT)
    writer.write(b"answer to " + line)
    await writer.drain()
    writer.close()


async def main() -> None:
    """Serve until the input ends."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # at once, whatever is still asked


if __name__ == "__main__":
    asyncio.run(main())
