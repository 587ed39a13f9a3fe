"""Other systems, as far as this one can play them: in an environment of their own, parts of the system are missing.

Every interpreter that is started in such an environment lacks them from its start: a script, its workers, the zygote.
So the whole contract suite can be run as on another system:

    TEST_LACKS=os.posix_spawn PYTHONPATH=tests/platforms/lacking python -m pytest tests/contract --warm
"""

import os
from pathlib import Path

# Parts that a system lacks: functions by their full names, and modules.
NO_MEMORY_FILES = "os.memfd_create"
NO_FORK = "os.fork"
MACOS = f"{NO_MEMORY_FILES} {NO_FORK}"
NO_POSIX = "os.posix_spawn"
WINDOWS = f"""
{NO_POSIX} {MACOS} os.register_at_fork os.pwrite signal.pthread_sigmask select.poll
socket.CMSG_SPACE time.pthread_getcpuclockid time.clock_gettime fcntl resource termios pwd grp
"""

_LACKING = Path(__file__).parent / "lacking"


def lacking(parts: str) -> dict[str, str]:
    """The variables that make an environment lack parts of the system, for a process started with them."""
    path = [str(_LACKING), os.environ.get("PYTHONPATH", "")]
    return {"TEST_LACKS": " ".join(parts.split()), "PYTHONPATH": os.pathsep.join(filter(None, path))}
