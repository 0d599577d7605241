"""How surfaces answer a laser: reflectivity, roughness and lost returns of each material.

The reflectivities put the medians of simulated intensities near those of SemanticKITTI's HDL-64E scans (road 0.2,
pavement 0.3, vegetation 0.3, signs up to 0.99); they are not physical albedos.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Material(IntEnum):
    """What a surface is made of; the value is its row in `MATERIALS`."""

    ASPHALT = 0
    MARKING = 1
    PARKING = 2
    PAVEMENT = 3
    GRASS = 4
    LEAVES = 5
    BARK = 6
    STONE = 7
    GLASS = 8
    METAL = 9
    WOOD = 10
    CAR_PAINT = 11
    RUBBER = 12
    CLOTH = 13
    SKIN = 14
    SIGN = 15


#: One row a material: reflectivity, relative spread from point to point, share that diffuses independently of the
#: angle of incidence, roughness in metres (blades, leaves and gravel below the mesh's resolution), lost returns.
MATERIALS: NDArray[np.float32] = np.array(
    [
        (0.28, 0.14, 0.55, 0.004, 0.00),  # asphalt
        (0.60, 0.20, 0.60, 0.003, 0.00),  # lane marking
        (0.20, 0.22, 0.55, 0.008, 0.00),  # parking, rough paving
        (0.40, 0.12, 0.65, 0.005, 0.00),  # pavement of a sidewalk
        (0.42, 0.15, 0.85, 0.030, 0.01),  # grass
        (0.40, 0.25, 0.80, 0.030, 0.05),  # leaves
        (0.38, 0.18, 0.70, 0.010, 0.00),  # bark
        (0.34, 0.18, 0.55, 0.005, 0.01),  # stone and plaster
        (0.08, 0.80, 0.10, 0.010, 0.55),  # glass
        (0.26, 0.50, 0.40, 0.004, 0.03),  # metal
        (0.30, 0.35, 0.60, 0.005, 0.01),  # wood
        (0.34, 0.40, 0.20, 0.003, 0.08),  # car paint
        (0.07, 0.50, 0.60, 0.005, 0.10),  # rubber
        (0.40, 0.25, 0.70, 0.010, 0.01),  # cloth
        (0.45, 0.25, 0.70, 0.005, 0.00),  # skin
        (1.00, 0.25, 0.70, 0.003, 0.00),  # reflective sheeting of signs and plates
    ],
    np.float32,
)
REFLECTIVITY, SPREAD, DIFFUSE, ROUGHNESS_M, LOSS = range(5)
