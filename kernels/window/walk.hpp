// The place of a cell in the walk through windows, for CPU and CUDA code alike.
#pragma once

#include "common/bits.hpp"
#include "common/half.hpp"  // PK_HOST_DEVICE
#include "perception_kernels/window.h"

namespace pk {

constexpr uint64_t kNowhere = ~uint64_t{0};

// One axis of a map: cells in windows of a length, moved by `shift`.
struct WindowAxis {
  int64_t cells;
  int64_t length;
  int64_t shift;
  PK_HOST_DEVICE int64_t windows() const { return (cells - 1 + shift) / length + 1; }
};

struct WindowWalk {
  explicit WindowWalk(const pk_window_walk& walk)
      : n_batches(walk.n_batches),
        along_y(walk.along_y != 0),
        y{walk.height, walk.window_height, walk.shifted != 0 ? walk.window_height / 2 : 0},
        x{walk.width, walk.window_width, walk.shifted != 0 ? walk.window_width / 2 : 0} {}

  // Keys lie below this.
  int64_t size() const { return n_batches * y.windows() * x.windows() * y.length * x.length; }

  int key_bits() const { return bits_of(size() - 1); }

  PK_HOST_DEVICE bool contains(const int32_t* cell) const {
    return cell[0] >= 0 && cell[0] < n_batches && cell[1] >= 0 && cell[1] < y.cells && cell[2] >= 0 &&
           cell[2] < x.cells;
  }

  PK_HOST_DEVICE uint64_t key(const int32_t* cell) const {
    if (!contains(cell)) return kNowhere;
    return along_y ? key_along(x, y, cell[0], cell[2], cell[1]) : key_along(y, x, cell[0], cell[1], cell[2]);
  }

  // Rows of windows lie across `line`; the walk follows `line` within a row.
  PK_HOST_DEVICE static uint64_t key_along(const WindowAxis& across, const WindowAxis& line, int64_t batch, int64_t a,
                                           int64_t b) {
    const int64_t row = (a + across.shift) / across.length;
    const int64_t window = (b + line.shift) / line.length;
    const int64_t inner_a = (a + across.shift) % across.length;
    const int64_t inner_b = (b + line.shift) % line.length;
    const int64_t area = across.length * line.length;
    const int64_t step = inner_b * across.length + (inner_b % 2 == 0 ? inner_a : across.length - 1 - inner_a);
    const int64_t visited = row % 2 == 0 ? window : line.windows() - 1 - window;
    const int64_t inside = row % 2 == 0 ? step : area - 1 - step;
    return static_cast<uint64_t>(((batch * across.windows() + row) * line.windows() + visited) * area + inside);
  }

  int64_t n_batches;
  bool along_y;
  WindowAxis y, x;
};

}  // namespace pk
