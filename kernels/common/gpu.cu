#include "common/cuda.cuh"
#include "common/tensor_core.cuh"

#if defined(PK_EMULATION)

#include <cstdlib>
#include <cstring>

namespace pk {

DeviceGuard::DeviceGuard(const Gpu& gpu) { require(gpu.device == 0, "the emulation has one GPU, number 0"); }
DeviceGuard::~DeviceGuard() = default;

namespace cuda {

void* allocate(const Gpu&, int64_t bytes) {
  if (bytes <= 0) return nullptr;
  void* pointer = std::malloc(static_cast<size_t>(bytes));
  if (pointer == nullptr) throw std::bad_alloc();
  std::memset(pointer, 0xFF, static_cast<size_t>(bytes));  // undefined memory should look like it
  return pointer;
}

void release(const Gpu&, void* pointer) noexcept { std::free(pointer); }

void fill_bytes(const Gpu&, void* pointer, int value, int64_t bytes) {
  if (bytes > 0) std::memset(pointer, value, static_cast<size_t>(bytes));
}

void copy_to_host(const Gpu& gpu, void* host, const void* device, int64_t bytes) {
  copy_on_device(gpu, host, device, bytes);
}

void copy_to_device(const Gpu& gpu, void* device, const void* host, int64_t bytes) {
  copy_on_device(gpu, device, host, bytes);
}

void copy_on_device(const Gpu&, void* to, const void* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}

bool has_tensor_cores(const Gpu&) { return true; }

}  // namespace cuda
}  // namespace pk

#else

namespace pk {
namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky must not meet the next call
  const pk_status status = error == cudaErrorMemoryAllocation ? PK_NO_MEMORY : PK_INTERNAL;
  throw Failure(status, std::string(what) + ": " + cudaGetErrorString(error));
}

cudaStream_t stream_of(const Gpu& gpu) { return static_cast<cudaStream_t>(gpu.stream); }

// Without memory pools (before Xavier, or a driver that has none) allocation waits for the device.
bool has_memory_pools(int device) {
  int supported = 0;
  check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device), "asking for memory pools");
  return supported != 0;
}

}  // namespace

DeviceGuard::DeviceGuard(const Gpu& gpu) {
  int count = 0;
  check(cudaGetDeviceCount(&count), "looking for a GPU");
  if (gpu.device >= count)
    throw Failure(PK_INVALID_ARGUMENT,
                  "there is no GPU " + std::to_string(gpu.device) + "; this machine has " + std::to_string(count));
  check(cudaGetDevice(&previous_), "asking for the current GPU");
  if (previous_ != gpu.device) check(cudaSetDevice(gpu.device), "choosing the GPU");
}

DeviceGuard::~DeviceGuard() {
  int now = previous_;
  if (cudaGetDevice(&now) == cudaSuccess && now != previous_) cudaSetDevice(previous_);
}

namespace cuda {

void* allocate(const Gpu& gpu, int64_t bytes) {
  if (bytes <= 0) return nullptr;
  void* pointer = nullptr;
  const auto size = static_cast<size_t>(bytes);
  const std::string what = "temporary memory of " + std::to_string(bytes) + " bytes";
  check(has_memory_pools(gpu.device) ? cudaMallocAsync(&pointer, size, stream_of(gpu)) : cudaMalloc(&pointer, size),
        what.c_str());
  return pointer;
}

void release(const Gpu& gpu, void* pointer) noexcept {
  if (pointer == nullptr) return;
  int supported = 0;
  cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, gpu.device);
  supported != 0 ? cudaFreeAsync(pointer, stream_of(gpu)) : cudaFree(pointer);
}

void fill_bytes(const Gpu& gpu, void* pointer, int value, int64_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(pointer, value, static_cast<size_t>(bytes), stream_of(gpu)), "filling memory");
}

void copy_to_host(const Gpu& gpu, void* host, const void* device, int64_t bytes) {
  if (bytes > 0)
    check(cudaMemcpyAsync(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_of(gpu)),
          "copying to the host");
  check(cudaStreamSynchronize(stream_of(gpu)), "waiting for the stream");
}

void copy_to_device(const Gpu& gpu, void* device, const void* host, int64_t bytes) {
  if (bytes > 0)
    check(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_of(gpu)),
          "copying to the GPU");
}

void copy_on_device(const Gpu& gpu, void* to, const void* from, int64_t bytes) {
  if (bytes > 0)
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream_of(gpu)),
          "copying on the GPU");
}

bool has_tensor_cores(const Gpu& gpu) {
  int major = 0;
  int minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu.device), "asking for the architecture");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, gpu.device), "asking for the architecture");
  return 10 * major + minor >= 75;
}

void check_launch(cudaError_t error, const Sizes& sizes) {
  if (error != cudaSuccess) check(error, ("launch with " + sizes.text()).c_str());
}

void allow_shared_memory(const void* kernel, size_t bytes, const Sizes& sizes) {
  const cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error != cudaSuccess)
    check(error, (std::to_string(bytes) + " bytes of shared memory for " + sizes.text()).c_str());
}

}  // namespace cuda
}  // namespace pk

#endif
