// What the entry point checks before anything runs.
#pragma once

#include <limits>

#include "common/call.hpp"
#include "common/dtype.hpp"
#include "image/decode_rows.hpp"

namespace pk {

constexpr int32_t kLargestSide = 1 << 16;

inline void require_axis(const pk_resize_axis& axis, int32_t source) {
  require(axis.size >= 1 && axis.size <= kLargestSide, "the output must have 1 to 65536 rows and columns");
  require(axis.taps >= 1 && axis.taps <= source, "an output must have at least 1 tap and at most the source's size");
  require_array(axis.begins, axis.size, "begins");
  require_array(axis.weights, axis.size, "weights");
}

inline void require_begins(const pk_resize_axis& axis, int32_t first, int32_t end) {
  bool inside = true;
  for (int32_t i = 0; i < axis.size; ++i) inside &= axis.begins[i] >= first && axis.begins[i] <= end - axis.taps;
  require(inside, "begins names source rows or columns that do not exist");
}

inline void require_image(const pk_image_call& call) {
  require(call.encoding >= PK_RGB8 && call.encoding <= PK_BAYER_GRBG8, "the encoding is unknown");
  require(call.height >= 1 && call.height <= kLargestSide && call.width >= 1 && call.width <= kLargestSide,
          "the image must have 1 to 65536 rows and columns");
  require(call.step >= row_bytes(call) && call.step <= std::numeric_limits<int32_t>::max(),
          "the step must be at least the bytes of a row");
  const bool pairs = call.encoding == PK_YUV422 || call.encoding == PK_YUV422_YUY2;
  require(!pairs || call.width % 2 == 0, "a yuv422 image must have an even width");
  require(call.encoding < PK_BAYER_RGGB8 || (call.height >= 2 && call.width >= 2),
          "a Bayer image must have at least 2 rows and columns");
  require_array(call.image, call.height, "image");
}

inline void require_call(const pk_image_call* call) {
  require(call != nullptr, "call is null");
  require_image(*call);
  require_axis(call->columns, call->width);
  require_axis(call->rows, call->height);
  require(call->first_row >= 0 && call->row_count >= call->rows.taps && call->row_count <= call->height &&
              call->first_row <= call->height - call->row_count,
          "first_row and row_count must name rows of the image, at least as many as an output row's taps");
  require_dtype(call->dtype);
  require_array(call->output, call->rows.size, "output");
}

}  // namespace pk
