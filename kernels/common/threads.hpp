// Which thread of a parallel region this is, also where the library is built without OpenMP.
#pragma once

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace pk {

inline int thread_index() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

}  // namespace pk
