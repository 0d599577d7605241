// Vectors of floats that lie in memory as half precision, for simd.cpp files. Loads are exact; stores round to the
// nearest, a tie to the even one. (The functions of half.hpp may not be used there: see instruction_set.hpp.)
#pragma once

#if defined(__F16C__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "common/half.hpp"
#include "common/vectors.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
constexpr uint16_t kAll = 0xFFFF;  // GCC 12 warns about its own header where a conversion has no mask
#endif

template <int kFloats>
struct HalvesOf {
  typedef uint32_t words __attribute__((vector_size(kFloats * sizeof(uint32_t))));
  typedef uint16_t bits __attribute__((vector_size(kFloats * sizeof(uint16_t))));
  typedef float floats __attribute__((vector_size(kFloats * sizeof(float))));
  // Loads and stores go through this type: any alignment, and it may alias Half.
  typedef uint16_t memory
      __attribute__((vector_size(kFloats * sizeof(uint16_t)), aligned(alignof(uint16_t)), may_alias));
};

template <int kFloats>
inline Vector<kFloats> load(const Half* from) {
  using Type = HalvesOf<kFloats>;
#if defined(__AVX512F__)
  if constexpr (kFloats == 16)
    return _mm512_maskz_cvtph_ps(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#endif
#if defined(__F16C__)
  if constexpr (kFloats == 8) return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  if constexpr (kFloats == 4) return _mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
#endif
#if defined(__aarch64__)
  if constexpr (kFloats == 4)
    return (Vector<kFloats>)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const uint16_t*>(from))));
#endif
  const typename Type::bits bits = *reinterpret_cast<const typename Type::memory*>(from);
  const auto word = __builtin_convertvector(bits, typename Type::words);
  const typename Type::words shifted = (word & 0x7FFFU) << 13;
  // The exponents' biases differ by 112; multiplying takes subnormal halves along.
  const auto scaled = (typename Type::words)((typename Type::floats)shifted * 0x1p112F);
  const auto endless = (typename Type::words)(shifted >= 0x0F800000U) & 0x7F800000U;  // infinity, NaN
  return (Vector<kFloats>)(scaled | endless | (word & 0x8000U) << 16);
}

template <int kFloats>
inline void store(Half* to, Vector<kFloats> value) {
  using Type = HalvesOf<kFloats>;
  using Words = typename Type::words;
#if defined(__AVX512F__)
  if constexpr (kFloats == 16)
    return _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                               _mm512_maskz_cvtps_ph(kAll, value, _MM_FROUND_TO_NEAREST_INT));
#endif
#if defined(__F16C__)
  if constexpr (kFloats == 8)
    return _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  if constexpr (kFloats == 4)
    return _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
#endif
#if defined(__aarch64__)
  if constexpr (kFloats == 4)
    return vst1_u16(reinterpret_cast<uint16_t*>(to), vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)value)));
#endif
  const auto word = (Words)value;
  const Words magnitude = word & 0x7FFFFFFFU;
  const Words normal = (magnitude + 0x0FFFU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 13;
  // Below 2^-14: adding 0.5 leaves multiples of 2^-24 in the last bits, rounded by the addition itself.
  const Words small = (Words)((typename Type::floats)magnitude + 0.5F) - 0x3F000000U;
  Words result = magnitude < 0x38800000U ? small : normal;
  result = magnitude >= 0x477FF000U ? Words{} + 0x7C00U : result;  // rounds to 65536 or more
  result = magnitude > 0x7F800000U ? Words{} + 0x7E00U : result;
  const Words sign = (word >> 16) & 0x8000U;
  *reinterpret_cast<typename Type::memory*>(to) = __builtin_convertvector(result | sign, typename Type::bits);
}

}  // namespace pk::PK_SET
