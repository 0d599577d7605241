// Collecting the pairs of a tile. Most cells of a table are empty, so a row becomes bits first, and only the bits that
// are set are visited.
#pragma once

#include "common/vectors.hpp"

namespace pk::PK_SET {

// Bit k tells whether cell k holds a row; at most 32 cells.
inline uint32_t occupied(const int32_t* cells, int64_t count) {
  uint32_t bits = 0;
  for (int64_t k = 0; k < count; ++k) bits |= (~static_cast<uint32_t>(cells[k]) >> 31) << k;
  return bits;
}

template <int64_t kCount>
inline uint32_t occupied(const int32_t* cells) {
  return occupied(cells, kCount);
}

inline bool collect_cells(const TilePairs& call, int64_t row, int64_t first, uint32_t bits) {
  const int32_t* cells = call.table + row * call.volume + first;
  bool good = true;
  for (; bits != 0; bits &= bits - 1) {
    const int k = __builtin_ctz(bits);
    const int64_t at = (first + k) * call.tile + call.counts[first + k]++;
    call.inputs[at] = cells[k];
    call.outputs[at] = static_cast<int32_t>(row);
    good &= cells[k] < call.n_in;
  }
  return good;
}

template <int64_t kVolume>
bool collect_fixed(const TilePairs& call) {
  bool good = true;
  for (int64_t row = 0; row < call.rows; ++row)
    good &= collect_cells(call, row, 0, occupied<kVolume>(call.table + row * kVolume));
  return good;
}

inline bool collect(const TilePairs& call) {
  for (int64_t k = 0; k < call.volume; ++k) call.counts[k] = 0;
  if (call.volume == 27) return collect_fixed<27>(call);
  if (call.volume == 8) return collect_fixed<8>(call);
  bool good = true;
  for (int64_t row = 0; row < call.rows; ++row)
    for (int64_t first = 0; first < call.volume; first += 32) {
      const int64_t rest = call.volume - first;
      good &= collect_cells(call, row, first, occupied(call.table + row * call.volume + first, rest < 32 ? rest : 32));
    }
  return good;
}

}  // namespace pk::PK_SET
