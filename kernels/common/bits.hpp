// How many bits numbers take, so that a radix sort looks at no more of its keys.
#pragma once

#include <cstdint>

namespace pk {

// The bits of 0 to `largest` as binary numbers; 0 where there is nothing above 0.
inline int bits_of(int64_t largest) {
  int bits = 0;
  for (; largest > 0; largest >>= 1) ++bits;
  return bits;
}

}  // namespace pk
