// Rows of half precision to and from float32, on the CPU; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/half.hpp"
#include "common/instruction_set.hpp"

namespace pk {

struct HalfLoops {
  void (*widen)(const Half* from, float* to, int64_t count);
  void (*narrow)(const float* from, Half* to, int64_t count);
};

PK_TABLE_OF_EVERY_SET(HalfLoops, half_loops)

// `count` values from where they are stored, as float32, and back. Rows are short: a call of memcpy would cost more.
inline void copy_row(const float* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) std::memcpy(to + i, from + i, 8 * sizeof(float));
  for (; i < count; ++i) to[i] = from[i];
}

inline void read_row(const float* from, float* to, int64_t count) { copy_row(from, to, count); }
inline void read_row(const Half* from, float* to, int64_t count) { half_loops().widen(from, to, count); }
inline void write_row(const float* from, float* to, int64_t count) { copy_row(from, to, count); }
inline void write_row(const float* from, Half* to, int64_t count) { half_loops().narrow(from, to, count); }

}  // namespace pk
