// What every .cu file builds on: launching, temporary memory, copies. nvcc compiles it for GPUs; with PK_EMULATION a
// C++ compiler does, and the kernels run on the CPU (emulation/).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>

#include "common/gpu.hpp"
#include "common/half.hpp"

#if defined(PK_EMULATION)
#include "emulation/cuda.hpp"
#else
#include <cuda_runtime.h>
// The type is the same for all kernels, since an extern array has one declaration; every kernel sees its own.
#define PK_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char pk_dynamic_shared[]; \
  type* name = reinterpret_cast<type*>(pk_dynamic_shared)
#endif

namespace pk::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;

struct Size {
  const char* name;
  int64_t value;
};

// What a launch worked on, for the error message.
class Sizes {
 public:
  Sizes(std::initializer_list<Size> sizes) {  // NOLINT: a braced list is meant to convert
    for (const Size& size : sizes)
      if (count_ < kMost) sizes_[count_++] = size;
  }
  std::string text() const {
    std::string text;
    for (int i = 0; i < count_; ++i)
      text += (i == 0 ? "" : ", ") + std::string(sizes_[i].name) + " " + std::to_string(sizes_[i].value);
    return text;
  }

 private:
  static constexpr int kMost = 8;
  Size sizes_[kMost] = {};
  int count_ = 0;
};

// Blocks of `threads` that cover `work` elements.
inline unsigned blocks(int64_t work, int threads) {
  const int64_t count = (work + threads - 1) / threads;
  require(count >= 0 && count <= 0x7FFFFFFF, "too much work for one launch");
  return static_cast<unsigned>(count);
}

// --- memory, ordered on the stream (gpu.cu) ---

void* allocate(const Gpu& gpu, int64_t bytes);
void release(const Gpu& gpu, void* pointer) noexcept;
void fill_bytes(const Gpu& gpu, void* pointer, int value, int64_t bytes);
void copy_to_host(const Gpu& gpu, void* host, const void* device, int64_t bytes);  // waits for the stream
void copy_to_device(const Gpu& gpu, void* device, const void* host, int64_t bytes);
void copy_on_device(const Gpu& gpu, void* to, const void* from, int64_t bytes);

// Temporary memory of one call, undefined at first.
template <typename Element>
class Scratch {
 public:
  Scratch(const Gpu& gpu, int64_t count)
      : gpu_(gpu), data_(static_cast<Element*>(allocate(gpu, count * static_cast<int64_t>(sizeof(Element))))) {}
  ~Scratch() { release(gpu_, data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Element* data() const { return data_; }

 private:
  Gpu gpu_;
  Element* data_;
};

// --- launching ---

#if !defined(PK_EMULATION)
// Throw a failure that names the sizes, if a launch failed (gpu.cu).
void check_launch(cudaError_t error, const Sizes& sizes);
// More dynamic shared memory than the 48 KiB that every kernel may use has to be asked for (gpu.cu).
void allow_shared_memory(const void* kernel, size_t bytes, const Sizes& sizes);
#endif

template <typename... Parameters, typename... Arguments>
void launch(const Gpu& gpu, const Sizes& sizes, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t shared_bytes, Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#if defined(PK_EMULATION)
  static_cast<void>(gpu);
  emulation::run(sizes.text(), [&] { kernel(static_cast<Parameters>(arguments)...); }, grid, block, shared_bytes);
#else
  if (shared_bytes > 48 * 1024) allow_shared_memory(reinterpret_cast<const void*>(kernel), shared_bytes, sizes);
  // The <<<>>> notation would hide the error code, and formatters take it for templates.
  const auto queue = [&](Parameters... values) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&values))..., nullptr};
    return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared_bytes,
                            static_cast<cudaStream_t>(gpu.stream));
  };
  check_launch(queue(static_cast<Parameters>(arguments)...), sizes);
#endif
}

// The element of a one-dimensional launch.
__device__ inline int64_t global_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + static_cast<int64_t>(threadIdx.x);
}

}  // namespace pk::cuda
