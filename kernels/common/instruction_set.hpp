// Inner loops that are compiled once for each instruction set and chosen at run time.
//
// The file simd.cpp of an operation's folder is compiled once for each set, with PK_SET its namespace. It defines a
// constant table of function pointers there, which a header of the same folder declares with
// PK_TABLE_OF_EVERY_SET(Type, name); pk::name() is the table for this machine. A simd.cpp may not use an inline
// function of a library: the linker would keep one copy for all sets, perhaps one that this machine cannot run.
#pragma once

namespace pk {

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

// The best set of this machine, or the narrower one that PERCEPTION_KERNELS_INSTRUCTION_SET names.
InstructionSet instruction_set();

}  // namespace pk

#if defined(PK_X86)
#define PK_TABLE_OF_EVERY_SET(Type, name)                                                                              \
  namespace baseline {                                                                                                 \
  extern const Type name;                                                                                              \
  }                                                                                                                    \
  namespace avx2 {                                                                                                     \
  extern const Type name;                                                                                              \
  }                                                                                                                    \
  namespace avx512 {                                                                                                   \
  extern const Type name;                                                                                              \
  }                                                                                                                    \
  inline const Type& name() {                                                                                          \
    const InstructionSet set = instruction_set();                                                                      \
    return set == InstructionSet::kAvx512 ? avx512::name : set == InstructionSet::kAvx2 ? avx2::name : baseline::name; \
  }
#else
#define PK_TABLE_OF_EVERY_SET(Type, name) \
  namespace baseline {                    \
  extern const Type name;                 \
  }                                       \
  inline const Type& name() { return baseline::name; }
#endif
