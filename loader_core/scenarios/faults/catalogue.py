"""All faults, healthy loaders and thin windows, by their ids."""

from __future__ import annotations

from loader_core.scenarios.faults.computing import COMPUTING
from loader_core.scenarios.faults.fault import Fault
from loader_core.scenarios.faults.healthy import HEALTHY, THIN_WINDOWS
from loader_core.scenarios.faults.process import PROCESS
from loader_core.scenarios.faults.ranks import RANKED
from loader_core.scenarios.faults.resources import RESOURCES
from loader_core.scenarios.faults.transfer import TRANSFER
from loader_core.scenarios.faults.waiting import WAITING

FAULTS: tuple[Fault, ...] = (*COMPUTING, *WAITING, *PROCESS, *TRANSFER, *RESOURCES, *RANKED)
"""At least one for each code of the vocabulary that names a fault."""

_BY_ID = {fault.id: fault for fault in (*FAULTS, *HEALTHY, *THIN_WINDOWS)}


def fault_of(name: str) -> Fault:
    """The fault, healthy loader or thin window of that id. Raises KeyError."""
    return _BY_ID[name]
