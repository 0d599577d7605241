// The check of indices that a caller passes, before any of them is followed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/call.hpp"

namespace pk {

// Indices must lie in -1 (none) to n - 1, or a failure has the sentence.
inline void require_indices(const int32_t* indices, int64_t count, int64_t n, int threads, const char* sentence) {
  int32_t lowest = -1;
  int32_t highest = -1;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : lowest) reduction(max : highest)
  for (int64_t i = 0; i < count; ++i) {
    lowest = std::min(lowest, indices[i]);
    highest = std::max(highest, indices[i]);
  }
  require(lowest >= -1 && highest < n, sentence);
}

}  // namespace pk
