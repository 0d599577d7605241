"""What of a robot's deployment changes what networks see; an evaluation without nodes has to do the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from perception.data.point_clouds import CloudSettings
from perception.evaluation.offline.network import MAX_SWEEP_AGE_S


@dataclass(frozen=True)
class Deployment:
    """Parameters of the nodes; the defaults are theirs.

    Attributes:
        clouds: task -> how its node reads clouds.
        fixed_frame: through which a detector of several sweeps sees past clouds.
        max_sweep_age_s: past clouds that are older are no sweeps.
    """

    clouds: Mapping[str, CloudSettings] = field(default_factory=dict)
    fixed_frame: str = "odom"
    max_sweep_age_s: float = MAX_SWEEP_AGE_S

    @classmethod
    def read(cls, config: str) -> Deployment:
        """Read the file that deploys a robot, as bring-up does; empty: the defaults.

        Raises:
            ConfigurationError: names the file, the key, and what was expected.
        """
        if not config:
            return cls()
        # Only now: what a node's parameter may be is told by ROS 2's types, which an evaluation does without.
        from perception.bringup.arguments import parse_arguments
        from perception.bringup.settings import load_bringup_settings

        settings, _ = load_bringup_settings(parse_arguments([f"config:={config}"]))
        names = {one.name for one in fields(CloudSettings)}
        clouds = {
            node: CloudSettings(**{name: value for name, value in given.items() if name in names})
            for node, given in settings.nodes.items()
        }
        detection = settings.nodes.get("detection", {})
        sweeps = {name: detection[name] for name in ("fixed_frame", "max_sweep_age_s") if name in detection}
        return cls(clouds, **sweeps)
