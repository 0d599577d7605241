"""The ROS 2 nodes, one file a node, and what runs them in a process."""
