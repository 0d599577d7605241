// What every entry point shares: errors that become a status with a sentence, and where to run.
#pragma once

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

#include "perception_kernels.h"

namespace pk {

// Keep a sentence for pk_last_error(); returns the status, for `return fail(...)`.
pk_status fail(pk_status status, const char* message) noexcept;

struct Failure : std::runtime_error {
  Failure(pk_status code, const std::string& sentence) : std::runtime_error(sentence), status(code) {}
  pk_status status;
};

// Run the body of an entry point; nothing that it throws crosses the C interface.
template <typename Body>
pk_status guarded(const char* operation, const Body& body) noexcept {
  try {
    body();
    return PK_OK;
  } catch (const Failure& failure) {
    try {
      return fail(failure.status, (std::string(operation) + ": " + failure.what()).c_str());
    } catch (...) {
      return fail(failure.status, operation);
    }
  } catch (const std::bad_alloc&) {
    return fail(PK_NO_MEMORY, "out of memory");
  } catch (...) {
    return fail(PK_INTERNAL, "unexpected failure");
  }
}

inline void require(bool condition, const char* sentence) {
  if (!condition) throw Failure(PK_INVALID_ARGUMENT, sentence);
}

// An array of `count` elements must be there, and rows must fit int32 indices.
void require_array(const void* pointer, int64_t count, const char* name);
void require_rows(int64_t count, const char* name);

// The number of threads asked for.
int cpu_threads(const pk_execution* where);

// Fewer threads where a share of the work would be smaller than what starting a thread costs.
int useful_threads(int threads, int64_t work, int64_t smallest_share);

}  // namespace pk
