// Turning a matrix of floats around, for simd.cpp files.
#pragma once

#include "common/vectors.hpp"

namespace pk::PK_SET {

typedef int32_t FourLanes __attribute__((vector_size(16)));

// The first two lanes of both, or the last two, in turns.
inline Vector<4> interleaved_low(Vector<4> a, Vector<4> b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#else
  return __builtin_shuffle(a, b, FourLanes{0, 4, 1, 5});
#endif
}

inline Vector<4> interleaved_high(Vector<4> a, Vector<4> b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#else
  return __builtin_shuffle(a, b, FourLanes{2, 6, 3, 7});
#endif
}

inline void transpose_4_by_4(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const Vector<4> a = load<4>(from);
  const Vector<4> b = load<4>(from + from_stride);
  const Vector<4> c = load<4>(from + 2 * from_stride);
  const Vector<4> d = load<4>(from + 3 * from_stride);
  const Vector<4> ac_low = interleaved_low(a, c);
  const Vector<4> bd_low = interleaved_low(b, d);
  const Vector<4> ac_high = interleaved_high(a, c);
  const Vector<4> bd_high = interleaved_high(b, d);
  store<4>(to, interleaved_low(ac_low, bd_low));
  store<4>(to + to_stride, interleaved_high(ac_low, bd_low));
  store<4>(to + 2 * to_stride, interleaved_low(ac_high, bd_high));
  store<4>(to + 3 * to_stride, interleaved_high(ac_high, bd_high));
}

// Four columns at a time, so that lines of the result are filled one after another.
inline void transpose(const float* from, int64_t rows, int64_t columns, int64_t from_stride, float* to,
                      int64_t to_stride) {
  const int64_t whole_rows = rows / 4 * 4;
  const int64_t whole_columns = columns / 4 * 4;
  for (int64_t column = 0; column < whole_columns; column += 4)
    for (int64_t row = 0; row < whole_rows; row += 4)
      transpose_4_by_4(from + row * from_stride + column, from_stride, to + column * to_stride + row, to_stride);
  for (int64_t column = 0; column < columns; ++column)
    for (int64_t row = column < whole_columns ? whole_rows : 0; row < rows; ++row)
      to[column * to_stride + row] = from[row * from_stride + column];
}

}  // namespace pk::PK_SET
