// Checks that the operations on boxes share.
#pragma once

#include "boxes/prepared_box.hpp"
#include "common/call.hpp"
#include "common/gpu.hpp"

namespace pk::boxes {

constexpr int32_t kMostColumns = 1024;

inline void require_boxes(const float* boxes, int64_t n, int32_t columns, const char* name) {
  require_rows(n, name);
  require(columns >= kBoxColumns && columns <= kMostColumns, "boxes must have 7 to 1024 columns");
  require_array(boxes, n, name);
}

}  // namespace pk::boxes
