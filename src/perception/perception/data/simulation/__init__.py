"""Simulated drives through procedural streets.

The world (`street`, `traffic`: meshes whose faces know their class, object and material) knows no sensor; `lidar`
casts rays into it. A camera or a lane map can be added beside `lidar` from the same description.
"""

from perception.data.simulation.drive import SimulatedDrive, simulate_drive
from perception.data.simulation.settings import SensorSettings, StreetSettings, load_sensor

__all__ = ["SensorSettings", "SimulatedDrive", "StreetSettings", "load_sensor", "simulate_drive"]
