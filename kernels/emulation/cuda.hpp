// CUDA's execution model on one CPU thread, for tests: blocks, threads, barriers, shared memory, warp collectives and
// atomics, as far as the kernels of this library use them. Never part of a shipped library.
//
// What it finds that a GPU may hide: reads and writes out of bounds (with AddressSanitizer; __shared__ arrays too),
// shared memory that is read before it is written (poisoned before each block), barriers that not all threads reach,
// lanes of a warp that disagree about a collective. Threads run in an order drawn anew for every block, so that a
// missing barrier gives wrong results in some runs; PK_EMULATION_SEED fixes the order.
#pragma once

#include <math.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "common/half.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
// All shared arrays lie in one section, which is poisoned before each block. One block runs at a time.
#define __shared__ static __attribute__((section("pk_shared")))
#define PK_DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(::pk::emulation::dynamic_shared_memory())

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}  // NOLINT: as in CUDA
};

#define PK_EMULATED_VECTOR(element, name, bytes2, bytes4)                \
  struct alignas(bytes2) name##2 { element x, y; };                      \
  struct alignas(bytes4) name##4 { element x, y, z, w; };                \
  inline name##2 make_##name##2(element x, element y) { return {x, y}; } \
  inline name##4 make_##name##4(element x, element y, element z, element w) { return {x, y, z, w}; }
PK_EMULATED_VECTOR(float, float, 8, 16)
PK_EMULATED_VECTOR(int, int, 8, 16)
PK_EMULATED_VECTOR(unsigned, uint, 8, 16)
#undef PK_EMULATED_VECTOR
struct float3 {
  float x, y, z;
};
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }

namespace pk::emulation {

struct Coordinates {
  uint3 thread;
  uint3 block;
  dim3 block_size;
  dim3 grid_size;
};

// Those of the thread that runs at present.
const Coordinates& coordinates();
void* dynamic_shared_memory();

// Wait for all threads of the block. `count` becomes how many of them say yes.
int barrier(bool vote);

// Give a value of at most 64 bytes to all lanes of the warp and wait for theirs: 32 values, 64 bytes apart.
const unsigned char* exchange(int collective, const void* value, size_t bytes);

// Run a kernel. Throws pk::Failure with `sizes` where the kernel breaks a rule.
void run(const std::string& sizes, const std::function<void()>& kernel, dim3 grid, dim3 block, size_t shared_bytes);

enum Collective { kShuffle, kBallot, kSyncWarp, kMatrixProduct };

inline unsigned linear_thread() {
  const Coordinates& at = coordinates();
  return at.thread.x + at.block_size.x * (at.thread.y + at.block_size.y * at.thread.z);
}

template <typename Value>
Value shuffle(Value value, int lane) {
  static_assert(sizeof(Value) <= 64, "a lane gives at most 64 bytes");
  const unsigned char* all = exchange(kShuffle, &value, sizeof(Value));
  if (lane >= 0 && lane < 32) std::memcpy(&value, all + 64 * lane, sizeof(Value));
  return value;
}

template <typename Value>
Value exchange_memory(Value* at, Value value) {
  const Value before = *at;
  *at = value;
  return before;
}

}  // namespace pk::emulation

#define threadIdx (::pk::emulation::coordinates().thread)
#define blockIdx (::pk::emulation::coordinates().block)
#define blockDim (::pk::emulation::coordinates().block_size)
#define gridDim (::pk::emulation::coordinates().grid_size)
constexpr int warpSize = 32;

inline void __syncthreads() { pk::emulation::barrier(false); }
inline int __syncthreads_count(int yes) { return pk::emulation::barrier(yes != 0); }
inline int __syncthreads_or(int yes) { return pk::emulation::barrier(yes != 0) != 0 ? 1 : 0; }
inline void __threadfence() {}
inline void __threadfence_block() {}

inline unsigned __ballot_sync(unsigned, int yes) {
  const int vote = yes != 0 ? 1 : 0;
  const unsigned char* all = pk::emulation::exchange(pk::emulation::kBallot, &vote, sizeof(vote));
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane) bits |= static_cast<unsigned>(all[64 * lane]) << lane;
  return bits;
}
inline int __any_sync(unsigned mask, int yes) { return __ballot_sync(mask, yes) != 0U ? 1 : 0; }
inline int __all_sync(unsigned mask, int yes) { return __ballot_sync(mask, yes) == 0xFFFFFFFFU ? 1 : 0; }
inline void __syncwarp(unsigned = 0xFFFFFFFFU) { pk::emulation::exchange(pk::emulation::kSyncWarp, nullptr, 0); }

template <typename Value>
Value __shfl_sync(unsigned, Value value, int lane, int width = 32) {
  const int own = static_cast<int>(pk::emulation::linear_thread() % 32U);
  return pk::emulation::shuffle(value, own / width * width + ((lane % width) + width) % width);
}
template <typename Value>
Value __shfl_xor_sync(unsigned, Value value, int bits, int width = 32) {
  const int own = static_cast<int>(pk::emulation::linear_thread() % 32U);
  const int lane = own ^ bits;
  return pk::emulation::shuffle(value, lane / width > own / width ? own : lane);
}
template <typename Value>
Value __shfl_down_sync(unsigned, Value value, unsigned delta, int width = 32) {
  const int own = static_cast<int>(pk::emulation::linear_thread() % 32U);
  const int lane = own + static_cast<int>(delta);
  return pk::emulation::shuffle(value, lane / width == own / width ? lane : own);
}
template <typename Value>
Value __shfl_up_sync(unsigned, Value value, unsigned delta, int width = 32) {
  const int own = static_cast<int>(pk::emulation::linear_thread() % 32U);
  const int lane = own - static_cast<int>(delta);
  return pk::emulation::shuffle(value, lane >= own / width * width ? lane : own);
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits)); }
inline int __clzll(long long bits) { return bits == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(bits)); }

// Plain memory accesses are enough: one emulated thread runs at a time.
template <typename Value>
Value __ldg(const Value* from) {
  return *from;
}
template <typename Value>
Value atomicAdd(Value* at, Value value) {
  return pk::emulation::exchange_memory(at, static_cast<Value>(*at + value));
}
template <typename Value>
Value atomicSub(Value* at, Value value) {
  return pk::emulation::exchange_memory(at, static_cast<Value>(*at - value));
}
template <typename Value>
Value atomicMin(Value* at, Value value) {
  return pk::emulation::exchange_memory(at, std::min(*at, value));
}
template <typename Value>
Value atomicMax(Value* at, Value value) {
  return pk::emulation::exchange_memory(at, std::max(*at, value));
}
template <typename Value>
Value atomicOr(Value* at, Value value) {
  return pk::emulation::exchange_memory(at, static_cast<Value>(*at | value));
}
template <typename Value>
Value atomicAnd(Value* at, Value value) {
  return pk::emulation::exchange_memory(at, static_cast<Value>(*at & value));
}
template <typename Value>
Value atomicExch(Value* at, Value value) {
  return pk::emulation::exchange_memory(at, value);
}
template <typename Value>
Value atomicCAS(Value* at, Value expected, Value value) {
  return pk::emulation::exchange_memory(at, *at == expected ? value : *at);
}

inline float rsqrtf(float value) { return 1.0F / sqrtf(value); }
inline float __expf(float value) { return expf(value); }
inline float __fdividef(float numerator, float denominator) { return numerator / denominator; }
inline float __int_as_float(int bits) { return pk::half_bits::to_float(static_cast<uint32_t>(bits)); }
inline int __float_as_int(float value) { return static_cast<int>(pk::half_bits::of_float(value)); }
inline unsigned __float_as_uint(float value) { return pk::half_bits::of_float(value); }
inline float __uint_as_float(unsigned bits) { return pk::half_bits::to_float(bits); }

using std::max;
using std::min;
