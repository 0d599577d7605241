// What the peaks of a heat map are, for the CPU and a GPU alike.
#pragma once

#include <cstdint>

#include "boxes/geometry.hpp"
#include "perception_kernels/boxes.h"

namespace pk::boxes {

constexpr int32_t kMostHeatmapClasses = 1024;

inline int64_t cells_per_class(const pk_heatmap& heatmap) { return int64_t{heatmap.height} * heatmap.width; }
inline int64_t cells_per_batch(const pk_heatmap& heatmap) { return heatmap.classes * cells_per_class(heatmap); }

}  // namespace pk::boxes
