"""Python imports this as it starts: takes away what the environment says that this system lacks."""

import importlib
import os
import sys

for name in os.environ.get("TEST_LACKS", "").split():
    module, _, attribute = name.rpartition(".")
    if module:
        delattr(importlib.import_module(module), attribute)
    else:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes importing it an error
