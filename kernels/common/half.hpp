// Half precision as storage: two bytes in memory, float32 in registers. For CPU and CUDA code alike.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#define PK_HOST_DEVICE __host__ __device__
#else
#define PK_HOST_DEVICE
#endif

namespace pk {

struct Half {
  uint16_t bits;
};

namespace half_bits {

inline PK_HOST_DEVICE uint32_t of_float(float value) {
  uint32_t bits = 0;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline PK_HOST_DEVICE float to_float(uint32_t bits) {
  float value = 0.0F;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

// IEEE 754 binary16 to binary32: exact.
inline PK_HOST_DEVICE float widen(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t rest = half & 0x7FFFU;
  if (rest >= 0x7C00U) return to_float(sign | 0x7F800000U | (rest << 13));  // infinity, NaN
  // A subnormal half is a multiple of 2^-24, which float32 multiplies out exactly.
  if (rest < 0x0400U) return to_float(sign | of_float(static_cast<float>(rest) * 5.9604644775390625e-8F));
  return to_float(sign | ((rest << 13) + 0x38000000U));
}

// binary32 to binary16, to the nearest and on a tie to the even one.
inline PK_HOST_DEVICE uint16_t narrow(float value) {
  const uint32_t bits = of_float(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);  // rounds to 65536 or more
  if (magnitude < 0x38800000U) {
    // Below 2^-14: adding 0.5 leaves multiples of 2^-24 in the last bits, rounded by the addition itself.
    const uint32_t shifted = of_float(to_float(magnitude) + 0.5F);
    return static_cast<uint16_t>(sign | (shifted - 0x3F000000U));
  }
  const uint32_t rounded = magnitude + 0x0FFFU + ((magnitude >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

}  // namespace half_bits

inline PK_HOST_DEVICE float to_float(float value) { return value; }

inline PK_HOST_DEVICE float to_float(Half value) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(value.bits));
#else
  return half_bits::widen(value.bits);
#endif
}

inline PK_HOST_DEVICE Half to_half(float value) {
#if defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(value))};
#else
  return {half_bits::narrow(value)};
#endif
}

// A float as it is stored: from_float<Half>(x), from_float<float>(x).
template <typename Stored>
inline PK_HOST_DEVICE Stored from_float(float value);
template <>
inline PK_HOST_DEVICE float from_float<float>(float value) {
  return value;
}
template <>
inline PK_HOST_DEVICE Half from_float<Half>(float value) {
  return to_half(value);
}

}  // namespace pk
