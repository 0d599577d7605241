// The check of indices that a caller passes, before any of them is followed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

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

// The row at each position of a sequence of n tokens; without an order, rows are in sequence.
inline std::vector<int32_t> rows_of_positions(const int32_t* order, int64_t n) {
  std::vector<int32_t> rows(static_cast<size_t>(n));
  std::vector<bool> seen(rows.size());
  for (size_t position = 0; position < rows.size(); ++position) {
    rows[position] = order != nullptr ? order[position] : static_cast<int32_t>(position);
    require(rows[position] >= 0 && rows[position] < n && !seen[static_cast<size_t>(rows[position])],
            "order must hold every row once");
    seen[static_cast<size_t>(rows[position])] = true;
  }
  return rows;
}

}  // namespace pk
