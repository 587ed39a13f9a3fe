"""What can be said of a module by its name."""

import os
import sys


def is_being_imported(name: str) -> bool:
    """Whether a module is not complete yet, so that a worker that imported it would begin it anew."""
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))


def is_installed(name: str) -> bool:
    """Whether a module belongs to the standard library or to an installed package."""
    path = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None) or ""
    return "site-packages" in path or path.startswith(os.path.dirname(os.__file__))
