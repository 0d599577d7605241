// Vectors of floats from and to float16 in memory (IEEE binary16, held as uint16_t), rounded to nearest even.
#pragma once

#include "common/half.hpp"
#include "common/vectors.hpp"

#if defined(__F16C__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace pk::PK_SET {

// A single value, without any help of the machine.
inline float widen(uint16_t half) {
  const uint32_t magnitude = half & 0x7FFFU;
  union {
    uint32_t bits;
    float value;
  } single;
  if (magnitude >= 0x7C00U)
    single.bits = 0x7F800000U | (magnitude & 0x3FFU) << 13;  // infinite or not a number
  else if (magnitude < 0x400U)
    single.value = static_cast<float>(magnitude) * 0x1p-24F;  // below the normal range
  else
    single.bits = (magnitude << 13) + (112U << 23);
  single.bits |= (half & 0x8000U) << 16;
  return single.value;
}

inline uint16_t narrow(float value) {
  union {
    float value;
    uint32_t bits;
  } single = {value}, shifted = {};
  const uint32_t sign = single.bits >> 16 & 0x8000U;
  const uint32_t magnitude = single.bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x47800000U) return static_cast<uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {  // below the normal range: the last place of 0.5 + x is that of the result
    single.bits = magnitude;
    shifted.value = single.value + 0.5F;
    return static_cast<uint16_t>(sign | (shifted.bits - 0x3F000000U));
  }
  const uint32_t odd = magnitude >> 13 & 1U;
  return static_cast<uint16_t>(sign | (magnitude - (112U << 23) + 0xFFFU + odd) >> 13);
}

#if defined(__AVX512F__)
constexpr __mmask16 kAll = 0xFFFF;  // GCC 12 warns about the forms without a mask
#endif

template <int kFloats>
inline Vector<kFloats> load(const uint16_t* from) {
#if defined(__AVX512F__)
  if constexpr (kFloats == 16)
    return reinterpret_cast<Vector<16>>(
        _mm512_maskz_cvtph_ps(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#endif
#if defined(__F16C__)
  if constexpr (kFloats == 8)
    return reinterpret_cast<Vector<8>>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__aarch64__)
  if constexpr (kFloats == 4) return reinterpret_cast<Vector<4>>(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))));
#endif
  Vector<kFloats> value = {};
  for (int i = 0; i < kFloats; ++i) value[i] = widen(from[i]);
  return value;
}

template <int kFloats>
inline void store(uint16_t* to, Vector<kFloats> value) {
#if defined(__AVX512F__)
  if constexpr (kFloats == 16) {
    const __m256i halves = _mm512_maskz_cvtps_ph(kAll, reinterpret_cast<__m512>(value), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), halves);
    return;
  }
#endif
#if defined(__F16C__)
  if constexpr (kFloats == 8) {
    const __m128i halves = _mm256_cvtps_ph(reinterpret_cast<__m256>(value), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), halves);
    return;
  }
#elif defined(__aarch64__)
  if constexpr (kFloats == 4) {
    vst1_u16(to, vreinterpret_u16_f16(vcvt_f16_f32(reinterpret_cast<float32x4_t>(value))));
    return;
  }
#endif
  for (int i = 0; i < kFloats; ++i) to[i] = narrow(value[i]);
}

template <int kFloats>
inline Vector<kFloats> load(const Half* from) {
  return load<kFloats>(&from->bits);
}

template <int kFloats>
inline void store(Half* to, Vector<kFloats> value) {
  store<kFloats>(&to->bits, value);
}

}  // namespace pk::PK_SET
