"""The process that runs a case: `python -m loader_core.scenarios.faults FAULT STRENGTH ENGINE FOLDER DIRECTORY {}`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from loader_core.scenarios.faults.fault import Case
from loader_core.scenarios.faults.running import run

if __name__ == "__main__":
    fault, strength, engine, folder, directory, arguments = sys.argv[1:]
    run(Case(fault, strength, engine, Path(folder)), Path(directory), json.loads(arguments))  # type: ignore[arg-type]
