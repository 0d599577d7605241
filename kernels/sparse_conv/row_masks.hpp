// The set of weights that a row of a table uses, as bits, for CPU and CUDA code alike.
#pragma once

#include <cstdint>

#include "common/half.hpp"

namespace pk {

struct RowMasks {
  const int32_t* table;
  int64_t volume;
  int64_t n_in;

  // Neighbouring weights share a bit where there are more than 64.
  int bits() const { return volume < 64 ? static_cast<int>(volume) : 64; }

  PK_HOST_DEVICE uint64_t of(int64_t row) const {
    uint64_t mask = 0;
    for (int64_t k = 0; k < volume; ++k) {
      const int32_t input = table[row * volume + k];
      if (input >= 0 && input < n_in) mask |= uint64_t{1} << (volume <= 64 ? k : k * 64 / volume);
    }
    return mask;
  }
};

}  // namespace pk
