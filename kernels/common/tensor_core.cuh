// One matrix product of a warp on tensor cores, with its fragments as PTX lays them out.
#pragma once

#include "common/cuda.cuh"

namespace pk::cuda {

// Whether the code being compiled may use tensor cores: half precision with float32 sums, Turing and later.
#if defined(PK_EMULATION) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 750)
#define PK_TENSOR_CORES 1
#else
#define PK_TENSOR_CORES 0
#endif

// sums (16 x 8) += a (16 x 16) b (16 x 8), by all 32 lanes of a warp.
//
// With group = lane / 4 and pair = lane % 4, a lane holds two halves in each word (the lower column or row in the lower
// half): a[0] = A[group][2 pair..], a[1] = A[group + 8][2 pair..], a[2] = A[group][2 pair + 8..], a[3] =
// A[group + 8][2 pair + 8..]; b[0] = B[2 pair..][group], b[1] = B[2 pair + 8..][group]; sums[0..1] =
// C[group][2 pair..], sums[2..3] = C[group + 8][2 pair..]. (PTX ISA, mma.m16n8k16.)
__device__ inline void mma_16x8x16(float sums[4], const uint32_t a[4], const uint32_t b[2]) {
#if defined(PK_EMULATION)
  struct Fragments {
    uint32_t a[4], b[2];
  };
  const Fragments own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const unsigned char* all = emulation::exchange(emulation::kMatrixProduct, &own, sizeof(own));
  const auto word_of = [all](unsigned lane) { return reinterpret_cast<const Fragments*>(all + 64 * lane); };
  const auto half_of = [](uint32_t word, unsigned which) {
    return to_float(Half{static_cast<uint16_t>(which == 0 ? word & 0xFFFFU : word >> 16U)});
  };
  const unsigned lane = emulation::linear_thread() % 32U;
  for (unsigned entry = 0; entry < 4; ++entry) {
    const unsigned row = lane / 4U + 8U * (entry / 2U);
    const unsigned column = 2U * (lane % 4U) + entry % 2U;
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned pair = k % 8U / 2U;
      const uint32_t left = word_of(row % 8U * 4U + pair)->a[row / 8U + 2U * (k / 8U)];
      const uint32_t right = word_of(column * 4U + pair)->b[k / 8U];
      sums[entry] += half_of(left, k % 2U) * half_of(right, k % 2U);
    }
  }
#elif PK_TENSOR_CORES && __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif PK_TENSOR_CORES
  // Turing has the product of half the depth; two of them make one.
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};\n"
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%7,%8}, {%9}, {%0,%1,%2,%3};\n"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(a[2]), "r"(a[3]), "r"(b[1]));
#else
  // Never chosen on such a GPU (has_tensor_cores); the code only has to compile.
  static_cast<void>(sums), static_cast<void>(a), static_cast<void>(b);
#endif
}

// Whether a GPU has them; the answer for the code that runs, not for the code being compiled (gpu.cu).
bool has_tensor_cores(const Gpu& gpu);

}  // namespace pk::cuda
