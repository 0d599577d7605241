// Whether and where a call runs on a GPU. Plain C++, for the entry points of all operations:
//
//   if (const Gpu gpu = gpu_of(where)) return PK_CUDA(cuda::devoxelize(gpu, ...));
//
// The functions of pk::cuda are declared in the operation's cuda.hpp and defined in its cuda.cu.
#pragma once

#include "common/call.hpp"

namespace pk {

struct Gpu {
  int device = PK_DEVICE_CPU;
  void* stream = nullptr;
  explicit operator bool() const { return device != PK_DEVICE_CPU; }
};

inline Gpu gpu_of(const pk_execution* where) {
  if (where == nullptr || where->device == PK_DEVICE_CPU) return {};
  require(where->device >= 0, "the device must be -1 (the CPU) or the index of a GPU");
  return {where->device, where->stream};
}

// The calling thread's current GPU, for the time of one call.
class DeviceGuard {
 public:
  explicit DeviceGuard(const Gpu& gpu);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_ = 0;
};

}  // namespace pk

#if defined(PK_WITH_CUDA)
#define PK_CUDA(call) (static_cast<void>(::pk::DeviceGuard(gpu)), call)
#else
#define PK_CUDA(call) throw ::pk::Failure(PK_UNSUPPORTED, "this library was built without CUDA")
#endif
