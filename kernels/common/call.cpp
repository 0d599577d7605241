#include "common/call.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace pk {
namespace {

constexpr int kMaxThreads = 1024;
thread_local char last_error[512] = "";

}  // namespace

pk_status fail(pk_status status, const char* message) noexcept {
  std::snprintf(last_error, sizeof(last_error), "%s", message);
  return status;
}

void require_array(const void* pointer, int64_t count, const char* name) {
  if (count < 0) throw Failure(PK_INVALID_ARGUMENT, std::string("the size of ") + name + " is negative");
  if (count > 0 && pointer == nullptr) throw Failure(PK_INVALID_ARGUMENT, std::string(name) + " is null");
}

void require_rows(int64_t count, const char* name) {
  if (count < 0 || count > std::numeric_limits<int32_t>::max())
    throw Failure(PK_INVALID_ARGUMENT, std::string("the number of ") + name + " must lie in 0..2147483647");
}

int cpu_threads(const pk_execution* where) {
  if (where == nullptr) return 1;
  if (where->device != PK_DEVICE_CPU) throw Failure(PK_UNSUPPORTED, "this operation runs on the CPU only");
  require(where->threads >= 1, "the number of threads must be at least 1");
  return std::min<int>(where->threads, kMaxThreads);
}

int useful_threads(int threads, int64_t work, int64_t smallest_share) {
  return static_cast<int>(std::clamp<int64_t>(work / smallest_share, 1, threads));
}

}  // namespace pk

extern "C" {

const char* pk_last_error(void) { return pk::last_error; }

int32_t pk_interface_version(void) { return PK_INTERFACE_VERSION; }

int32_t pk_has_cuda(void) {
#if defined(PK_EMULATION)
  return 2;
#elif defined(PK_WITH_CUDA)
  return 1;
#else
  return 0;
#endif
}
}
