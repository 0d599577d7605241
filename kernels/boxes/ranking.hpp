// Floats as integers that sort the same way. For CPU and CUDA code.
#pragma once

#include <stdint.h>
#include <string.h>

#include "boxes/geometry.hpp"

namespace pk::boxes {

// Grows with the value; not for NaN. Both zeros are the same.
PK_GEOMETRY uint32_t rank_of(float value) {
  const float one_zero = value + 0.0F;
  uint32_t bits = 0;
  memcpy(&bits, &one_zero, sizeof(bits));
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

PK_GEOMETRY float value_of(uint32_t rank) {
  const uint32_t bits = (rank & 0x80000000U) != 0 ? rank & 0x7FFFFFFFU : ~rank;
  float value = 0.0F;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

}  // namespace pk::boxes
