"""The edge between ROS 2 and the library: messages, parameters, diagnostics, life cycle, transforms."""
