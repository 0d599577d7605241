"""3D perception for edge devices: a library first, ROS 2 nodes at its edge."""

import os

__version__ = "0.1.0"

# Idle OpenMP threads sleep instead of spinning: on a robot the cores belong to other nodes too, and a kernel whose
# threads spin for a core that is taken needs twenty times as long (0.1 s became 2 s a frame on two busy cores).
# OpenMP reads this when its library is loaded, so it stands before every import that may load it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
