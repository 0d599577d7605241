"""3D perception for edge devices: a library first, ROS 2 nodes at its edge."""

import os

__version__ = "0.1.0"

# Idle OpenMP threads sleep instead of spinning: on a robot the cores belong to other nodes too, and a kernel whose
# threads spin for a core that is taken needs twenty times as long (0.1 s became 2 s a frame on two busy cores).
# OpenMP reads this when its library is loaded, so it stands before every import that may load it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# ... but not at once: a frame is some 70 kernels one after another, and threads that spin for 5,000 turns (about 10 us)
# are still awake for the next one. Measured with GCC's runtime, two cores: a frame takes 60 instead of 70 to 80 ms, and
# 140 instead of 228 ms beside a second program of the same kind; 20,000 turns are worse there again.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
