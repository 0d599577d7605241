#include "common/simd.hpp"

#include <cstdlib>
#include <cstring>

#include "perception_kernels.h"

namespace pk {

namespace baseline {
extern const Microkernels kernels;
}
#if defined(PK_X86)
namespace avx2 {
extern const Microkernels kernels;
}
namespace avx512 {
extern const Microkernels kernels;
}
#endif

namespace {

// A narrower set than the machine has, by name, so that tests reach all of them on one machine.
bool allowed(const Microkernels& kernels) {
  const char* wanted = std::getenv("PERCEPTION_KERNELS_INSTRUCTION_SET");
  return wanted == nullptr || *wanted == '\0' || std::strcmp(wanted, kernels.name) == 0;
}

const Microkernels& best() {
#if defined(PK_X86)
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
  if (has_avx512 && has_avx2 && allowed(avx512::kernels)) return avx512::kernels;
  if (has_avx2 && allowed(avx2::kernels)) return avx2::kernels;
#endif
  return baseline::kernels;
}

}  // namespace

const Microkernels& microkernels() {
  static const Microkernels& chosen = best();
  return chosen;
}

}  // namespace pk

extern "C" const char* pk_instruction_set(void) { return pk::microkernels().name; }
