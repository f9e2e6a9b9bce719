"""Scenarios with known truth: loaders with a fault that we put there, and such without one."""

from loader_core.scenarios.faults.catalogue import FAULTS, fault_of
from loader_core.scenarios.faults.fault import ENGINES, STRENGTHS, Case, Engine, Fault, Load, Strength
from loader_core.scenarios.faults.healthy import HEALTHY, THIN_WINDOWS
from loader_core.scenarios.faults.running import STEP, record

__all__ = [
    "ENGINES",
    "FAULTS",
    "HEALTHY",
    "STEP",
    "STRENGTHS",
    "THIN_WINDOWS",
    "Case",
    "Engine",
    "Fault",
    "Load",
    "Strength",
    "fault_of",
    "record",
]
