#include "image/decode_rows.hpp"

#include "image/decode.hpp"

namespace pk {
namespace {

template <int kBytes, int kRed>
void decode_colours(const uint8_t* row, int32_t begin, int32_t end, uint32_t* target, int64_t stride) {
  for (int64_t x = begin; x < end; ++x) {
    const uint8_t* pixel = row + kBytes * x;
    target[x * stride] = pack_rgb(pixel[kRed], pixel[1], pixel[2 - kRed]);
  }
}

void decode_bayer(const pk_image_call& call, int32_t y, int32_t begin, int32_t end, uint32_t* target, int64_t stride) {
  const BayerPattern pattern = bayer_pattern(call.encoding);
  const BayerRows rows = bayer_rows(call, y, pattern);
  for (int32_t x = begin; x < end; ++x) target[x * stride] = rgb_of_bayer(rows, x, call.width, pattern.red_column);
}

}  // namespace

void decode_row(const pk_image_call& call, int32_t y, int32_t begin, int32_t end, uint32_t* target, int64_t stride) {
  const uint8_t* row = call.image + y * call.step;
  switch (call.encoding) {
    case PK_RGB8:
      return decode_colours<3, 0>(row, begin, end, target, stride);
    case PK_BGR8:
      return decode_colours<3, 2>(row, begin, end, target, stride);
    case PK_RGBA8:
      return decode_colours<4, 0>(row, begin, end, target, stride);
    case PK_BGRA8:
      return decode_colours<4, 2>(row, begin, end, target, stride);
    case PK_MONO8:
      for (int64_t x = begin; x < end; ++x) target[x * stride] = row[x] * 0x010101U;
      return;
    case PK_YUV422:
    case PK_YUV422_YUY2:
      for (int32_t x = begin; x < end; ++x)
        target[x * stride] = rgb_of_yuv_pair(row, x, call.encoding == PK_YUV422_YUY2);
      return;
    default:
      return decode_bayer(call, y, begin, end, target, stride);
  }
}

int64_t row_bytes(const pk_image_call& call) {
  const int64_t width = call.width;
  switch (call.encoding) {
    case PK_RGB8:
    case PK_BGR8:
      return 3 * width;
    case PK_RGBA8:
    case PK_BGRA8:
      return 4 * width;
    case PK_YUV422:
    case PK_YUV422_YUY2:
      return 2 * width;
    default:
      return width;
  }
}

}  // namespace pk
