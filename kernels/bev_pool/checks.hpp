// What the entry points of this folder check alike.
#pragma once

#include <cstdint>
#include <vector>

#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/grouping.hpp"

namespace pk {

constexpr int64_t kSmallestShareOfSums = 1 << 18;  // multiplications that are worth a thread

inline int64_t require_map(int32_t planes, int64_t plane_cells, int64_t channels) {
  require_rows(planes, "planes");
  require_rows(plane_cells, "cells of a plane");
  require_rows(planes * plane_cells, "cells");
  require(channels >= 1, "the number of channels must be at least 1");
  return planes * plane_cells;
}

// The number of points.
inline int64_t require_lift(const pk_lift* lift) {
  require(lift != nullptr, "sizes is null");
  require_dtype(lift->dtype);
  require_map(lift->planes, lift->plane_cells, lift->channels);
  require_rows(lift->cameras, "cameras");
  require_rows(lift->depths, "depths");
  require_rows(lift->pixels, "pixels");
  require_rows(int64_t{lift->cameras} * lift->depths, "cameras times depths");
  require_rows(int64_t{lift->cameras} * lift->pixels, "cameras times pixels");
  const int64_t points = int64_t{lift->cameras} * lift->depths * lift->pixels;
  require_rows(points, "points");
  return points;
}

inline void require_order(const int32_t* order, const int32_t* begins, int64_t n, int64_t n_cells) {
  require(begins[0] == 0 && begins[n_cells] <= n, "begins must lead from 0 to at most the number of points");
  bool ascending = true;
  for (int64_t cell = 0; cell < n_cells; ++cell) ascending &= begins[cell] <= begins[cell + 1];
  require(ascending, "begins must ascend");
  bool known = true;
  for (int64_t entry = 0; entry < begins[n_cells]; ++entry) known &= order[entry] >= 0 && order[entry] < n;
  require(known, "order names a point that does not exist");
}

inline void require_cells(const int32_t* cells, int64_t n, int64_t n_cells) {
  require_groups(cells, n, n_cells, "cells names a cell that does not exist");
}

}  // namespace pk
