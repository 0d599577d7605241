#include "kernel_map/sorted_voxels.hpp"

#include <array>
#include <limits>
#include <utility>

#include "common/bits.hpp"
#include "common/call.hpp"
#include "hash/table.hpp"

namespace pk {
namespace {

constexpr int kMostDigitBits = 12;  // the counters of a digit stay in the first cache

KeyLayout layout_of(const int32_t* coords, int64_t n, int32_t margin) {
  constexpr int32_t most = std::numeric_limits<int32_t>::max(), least = std::numeric_limits<int32_t>::min();
  KeyLayout layout{{most, most, most, most}, {least, least, least, least}, {}, 0, margin};
  for (int64_t row = 0; row < n; ++row)
    for (int axis = 0; axis < 4; ++axis) {
      layout.lowest[axis] = std::min(layout.lowest[axis], coords[4 * row + axis]);
      layout.highest[axis] = std::max(layout.highest[axis], coords[4 * row + axis]);
    }
  const auto in_range_all = [](const int32_t* c) { return in_range(c[0], c[1], c[2], c[3]); };
  if (n > 0 && !(in_range_all(layout.lowest) && in_range_all(layout.highest)))
    for (int64_t row = 0; row < n; ++row) checked_key(coords, row);
  for (int axis = 3; axis >= 0; --axis) {
    layout.shift[axis] = layout.bits;
    const int64_t steps = n == 0 ? 0 : int64_t{layout.highest[axis]} - layout.lowest[axis];
    layout.bits += bits_of(steps + (axis > 0 ? 2 * margin : 0));
  }
  return layout;
}

struct Pairs {
  std::vector<uint64_t> keys;
  std::vector<int32_t> rows;
  explicit Pairs(std::size_t n) : keys(n + 1), rows(n) {}
};

// One pass of a radix sort: stable, by the digit of `bits` bits above `shift`.
void sort_by_digit(const Pairs& from, Pairs& to, int shift, int bits) {
  std::array<uint32_t, std::size_t{1} << kMostDigitBits> next{};
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  const std::size_t n = from.rows.size();
  for (std::size_t i = 0; i < n; ++i) ++next[(from.keys[i] >> shift) & mask];
  uint32_t begin = 0;
  for (uint32_t& counter : next) begin += std::exchange(counter, begin);
  for (std::size_t i = 0; i < n; ++i) {
    const uint32_t place = next[(from.keys[i] >> shift) & mask]++;
    to.keys[place] = from.keys[i];
    to.rows[place] = from.rows[i];
  }
}

void sort(Pairs& pairs, int bits) {
  Pairs other(pairs.rows.size());
  const int passes = (bits + kMostDigitBits - 1) / kMostDigitBits;
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = bits * pass / passes;
    sort_by_digit(pairs, other, shift, bits * (pass + 1) / passes - shift);
    std::swap(pairs, other);
  }
}

}  // namespace

SortedVoxels sort_voxels(const int32_t* coords, int64_t n, int32_t margin) {
  const KeyLayout layout = layout_of(coords, n, margin);
  Pairs pairs(static_cast<std::size_t>(n));
  for (int64_t row = 0; row < n; ++row) {
    pairs.keys[static_cast<std::size_t>(row)] = layout.key(coords + 4 * row);
    pairs.rows[static_cast<std::size_t>(row)] = static_cast<int32_t>(row);
  }
  sort(pairs, layout.bits);
  pairs.keys.back() = ~uint64_t{0};
  return {layout, std::move(pairs.keys), std::move(pairs.rows)};
}

void require_distinct(const SortedVoxels& voxels) {
  int32_t row = -1, earlier = -1;
  for (std::size_t i = 1; i < voxels.rows.size(); ++i) {
    if (voxels.keys[i] != voxels.keys[i - 1] || (row >= 0 && voxels.rows[i] > row)) continue;
    row = voxels.rows[i];
    earlier = voxels.rows[i - 1];
  }
  if (row >= 0) throw_same_voxel(earlier, row);
}

}  // namespace pk
