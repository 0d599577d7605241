"""Every frame of every bag through every network, by the library: no ROS, several processes, as fast as it goes."""

from perception.evaluation.offline.outcomes import OfflineOptions, offline_outcomes

__all__ = ["OfflineOptions", "offline_outcomes"]
