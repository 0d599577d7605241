"""Bring-up: one description of what runs on the robot, and the two ways to start it (launch file and command)."""
