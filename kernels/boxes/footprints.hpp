// Boxes as columns, for the inner loops.
#pragma once

#include <limits>
#include <vector>

#include "boxes/loops.hpp"

namespace pk::boxes {

class Footprints {
 public:
  explicit Footprints(int64_t count)
      : stride_((count + kWidestVector - 1) / kWidestVector * kWidestVector),
        values_(static_cast<size_t>(kColumns * stride_ + kWidestVector), std::numeric_limits<float>::quiet_NaN()) {}

  void set(int64_t i, const PreparedBox& box) {
    const Footprint<float>& from = box.footprint;
    const float row[kColumns] = {from.x,    from.y,    from.half_length, from.half_width, from.cosine,
                                 from.sine, box.z.low, box.z.high,       box.radius};
    for (int64_t column = 0; column < kColumns; ++column) at(column, i) = row[column];
  }

  PreparedBox get(int64_t i) const {
    return {{at(0, i), at(1, i), at(2, i), at(3, i), at(4, i), at(5, i)}, {at(6, i), at(7, i)}, at(8, i)};
  }

  void copy(int64_t to, const Footprints& from, int64_t i) {
    for (int64_t column = 0; column < kColumns; ++column) at(column, to) = from.at(column, i);
  }

  // The columns from box `begin` on.
  BoxColumns columns(int64_t begin = 0) const {
    const auto start = [&](int64_t column) { return values_.data() + column * stride_ + begin; };
    return {start(0), start(1), start(2), start(3), start(4), start(5), start(6), start(7), start(8)};
  }

 private:
  static constexpr int64_t kColumns = 9;

  float& at(int64_t column, int64_t i) { return values_[static_cast<size_t>(column * stride_ + i)]; }
  float at(int64_t column, int64_t i) const { return values_[static_cast<size_t>(column * stride_ + i)]; }

  int64_t stride_;
  std::vector<float> values_;
};

inline Footprints prepare_all(const float* boxes, int64_t n, int64_t columns) {
  Footprints prepared(n);
  for (int64_t i = 0; i < n; ++i) prepared.set(i, prepare(boxes + i * columns));
  return prepared;
}

}  // namespace pk::boxes
