// What the calls about pillars require of their arguments.
#pragma once

#include <cmath>

#include "common/call.hpp"
#include "pillars/cuda.hpp"

namespace pk {

constexpr int64_t kMostCells = int64_t{1} << 28;
constexpr int32_t kMostChannels = 65536;

inline void require_map(int32_t n_batches, int32_t height, int32_t width) {
  require(n_batches >= 1 && height >= 1 && width >= 1,
          "the number of batch elements, height and width must be at least 1");
  require(int64_t{height} * width <= kMostCells / n_batches, "the map has more than 2^28 cells");
}

inline PillarGrid checked_grid(const pk_pillar_grid* grid, int32_t n_batches) {
  require(grid != nullptr, "grid is null");
  require_map(n_batches, grid->height, grid->width);
  for (int axis = 0; axis < 3; ++axis) {
    require(std::isfinite(grid->size_m[axis]) && grid->size_m[axis] > 0, "the pillar size must be a positive number");
    require(std::isfinite(grid->minimum_m[axis]), "the minimum of the grid must be a number");
  }
  return {*grid, n_batches};
}

inline void require_channels(int32_t channels, int32_t least) {
  if (channels < least || channels > kMostChannels)
    throw Failure(PK_INVALID_ARGUMENT, "the number of channels must lie in " + std::to_string(least) + "..65536");
}

// begins [n_segments + 1] cut rows 0..n in order.
inline void require_begins(const int32_t* begins, int64_t n_segments, int64_t n) {
  for (int64_t segment = 0; segment < n_segments; ++segment)
    require(begins[segment] <= begins[segment + 1], "begins must ascend");
  if (n_segments > 0) require(begins[0] >= 0 && begins[n_segments] <= n, "begins name a row that does not exist");
}

}  // namespace pk
