// A pixel of an encoded image as R, G, B, on the CPU and on a GPU alike. Colours: perception_kernels/image.h.
#pragma once

#include <cstdint>

#include "common/half.hpp"
#include "perception_kernels.h"

namespace pk {

// Red, green and blue from the lowest byte on; the highest is 0.
PK_HOST_DEVICE inline uint32_t pack_rgb(uint32_t red, uint32_t green, uint32_t blue) {
  return red | green << 8 | blue << 16;
}

PK_HOST_DEVICE inline uint32_t clamp_level(int32_t value) {
  return static_cast<uint32_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// BT.601, coefficients with 20 bits after the binary point.
PK_HOST_DEVICE inline uint32_t rgb_of_yuv(int32_t y, int32_t u, int32_t v) {
  constexpr int kBits = 20;
  constexpr int32_t kLuma = 1220542, kRedV = 1673527, kGreenU = -409993, kGreenV = -852492, kBlueU = 2116026;
  const int32_t luma = (y > 16 ? y - 16 : 0) * kLuma + (1 << (kBits - 1));
  u -= 128;
  v -= 128;
  return pack_rgb(clamp_level((luma + kRedV * v) >> kBits), clamp_level((luma + kGreenU * u + kGreenV * v) >> kBits),
                  clamp_level((luma + kBlueU * u) >> kBits));
}

PK_HOST_DEVICE inline uint32_t rgb_of_yuv_pair(const uint8_t* row, int32_t x, bool luma_first) {
  const uint8_t* pair = row + (x & ~1) * 2;
  const uint8_t* luma = pair + (luma_first ? 0 : 1);
  const uint8_t* chroma = pair + (luma_first ? 1 : 0);
  return rgb_of_yuv(luma[(x & 1) * 2], chroma[0], chroma[2]);
}

// Where red lies in a Bayer pattern: at odd or even columns and rows.
struct BayerPattern {
  int32_t red_column;
  int32_t red_row;
};

PK_HOST_DEVICE inline BayerPattern bayer_pattern(int32_t encoding) {
  return {encoding == PK_BAYER_BGGR8 || encoding == PK_BAYER_GRBG8 ? 1 : 0,
          encoding == PK_BAYER_BGGR8 || encoding == PK_BAYER_GBRG8 ? 1 : 0};
}

// A row of an image and the ones above and below, mirrored at the border.
struct BayerRows {
  const uint8_t* above;
  const uint8_t* row;
  const uint8_t* below;
  bool red_row;
};

PK_HOST_DEVICE inline BayerRows bayer_rows(const pk_image_call& call, int32_t y, const BayerPattern& pattern) {
  const uint8_t* row = call.image + y * call.step;
  const uint8_t* above = y > 0 ? row - call.step : row + call.step;
  return {above, row, y + 1 < call.height ? row + call.step : row - call.step, (y & 1) == pattern.red_row};
}

PK_HOST_DEVICE inline uint32_t rgb_of_bayer(const BayerRows& rows, int32_t x, int32_t width, int32_t red_column) {
  const int32_t left = x > 0 ? x - 1 : 1;
  const int32_t right = x + 1 < width ? x + 1 : width - 2;
  const uint32_t own = rows.row[x];
  const uint32_t beside = rows.row[left] + rows.row[right];
  const uint32_t over = rows.above[x] + rows.below[x];
  if (((x & 1) == red_column) != rows.red_row) {  // green
    const uint32_t red = rows.red_row ? beside : over;
    const uint32_t blue = rows.red_row ? over : beside;
    return pack_rgb((red + 1) / 2, own, (blue + 1) / 2);
  }
  const uint32_t corners = rows.above[left] + rows.above[right] + rows.below[left] + rows.below[right];
  const uint32_t green = (beside + over + 2) / 4;
  const uint32_t other = (corners + 2) / 4;
  return rows.red_row ? pack_rgb(own, green, other) : pack_rgb(other, green, own);
}

PK_HOST_DEVICE inline uint32_t decode_pixel(const pk_image_call& call, int32_t x, int32_t y) {
  const uint8_t* row = call.image + y * call.step;
  const int64_t x3 = 3 * int64_t{x};
  const int64_t x4 = 4 * int64_t{x};
  switch (call.encoding) {
    case PK_RGB8:
      return pack_rgb(row[x3], row[x3 + 1], row[x3 + 2]);
    case PK_BGR8:
      return pack_rgb(row[x3 + 2], row[x3 + 1], row[x3]);
    case PK_RGBA8:
      return pack_rgb(row[x4], row[x4 + 1], row[x4 + 2]);
    case PK_BGRA8:
      return pack_rgb(row[x4 + 2], row[x4 + 1], row[x4]);
    case PK_MONO8:
      return pack_rgb(row[x], row[x], row[x]);
    case PK_YUV422:
    case PK_YUV422_YUY2:
      return rgb_of_yuv_pair(row, x, call.encoding == PK_YUV422_YUY2);
    default:
      const BayerPattern pattern = bayer_pattern(call.encoding);
      return rgb_of_bayer(bayer_rows(call, y, pattern), x, call.width, pattern.red_column);
  }
}

}  // namespace pk
