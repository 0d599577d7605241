#include "common/instruction_set.hpp"

#include <cstdlib>
#include <cstring>

#include "perception_kernels.h"

namespace pk {
namespace {

#if defined(PK_X86)
// A narrower set than the machine has, by name, so that tests reach all of them on one machine.
bool allowed(const char* name) {
  const char* wanted = std::getenv("PERCEPTION_KERNELS_INSTRUCTION_SET");
  return wanted == nullptr || *wanted == '\0' || std::strcmp(wanted, name) == 0;
}

InstructionSet best() {
  __builtin_cpu_init();
  const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
  if (has_avx512 && has_avx2 && allowed("avx512")) return InstructionSet::kAvx512;
  if (has_avx2 && allowed("avx2")) return InstructionSet::kAvx2;
  return InstructionSet::kBaseline;
}
#else
InstructionSet best() { return InstructionSet::kBaseline; }
#endif

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet chosen = best();
  return chosen;
}

}  // namespace pk

extern "C" const char* pk_instruction_set(void) {
  switch (pk::instruction_set()) {
    case pk::InstructionSet::kAvx512:
      return "avx512";
    case pk::InstructionSet::kAvx2:
      return "avx2";
    default:
#if defined(__aarch64__)
      return "neon";
#else
      return "baseline";
#endif
  }
}
