#include "common/simd.hpp"

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

const Microkernels& best() {
#if defined(PK_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return avx512::kernels;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::kernels;
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
