"""3D perception for edge devices: a library first, ROS 2 nodes at its edge."""

__version__ = "0.1.0"
