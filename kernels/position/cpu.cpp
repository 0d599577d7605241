#include <string>

#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "position/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 1 << 15;  // elements a thread
constexpr int32_t kMostChannels = 65536;

template <typename Stored>
void add_row(const Stored* features, const float* position, int64_t half, Stored* output) {
  for (int64_t c = 0; c < half; ++c) {
    const float feature = features != nullptr ? to_float(features[c]) : 0.0F;
    output[c] = from_float<Stored>(feature + position[c]);
  }
}

template <typename Stored>
void add_all(const cuda::Position& call, int threads) {
  const auto* features = static_cast<const Stored*>(call.features);
  auto* output = static_cast<Stored*>(call.output);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t row = 0; row < call.n; ++row)
    for (int part = 0; part < 2; ++part) {  // x, then y
      const float* position = call.table + int64_t{call.coords[3 * row + 2 - part]} * call.half;
      const Stored* from = features != nullptr ? features + row * call.step + part * call.half : nullptr;
      add_row(from, position, call.half, output + (2 * row + part) * call.half);
    }
}

void require_cells(const cuda::Position& call) {
  for (int64_t row = 0; row < call.n; ++row)
    for (int axis = 1; axis < 3; ++axis)
      if (call.coords[3 * row + axis] < 0 || call.coords[3 * row + axis] >= call.length)
        throw Failure(PK_OUT_OF_RANGE, "cell " + std::to_string(row) + " lies outside the table");
}

void require_position(const cuda::Position& call) {
  require_rows(call.n, "cells");
  require(call.half >= 1 && call.half <= kMostChannels, "half must lie in 1..65536");
  require(call.length >= 1, "the table must have at least one row");
  require_dtype(call.dtype);
  require_array(call.coords, call.n, "coords");
  require_array(call.table, call.length, "table");
  require_array(call.output, call.n, "output");
  require(call.features == nullptr || (call.step >= 2 * int64_t{call.half} && call.step <= INT32_MAX),
          "the step of features is shorter than a row, or too large");
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_add_position(const pk_execution* where, const void* features, int64_t step,
                                     const int32_t* coords, int64_t n, const float* table, int32_t length, int32_t half,
                                     int32_t dtype, void* output) {
  return pk::guarded("add position", [&] {
    const pk::cuda::Position call{features, step, coords, n, table, length, half, dtype, output};
    pk::require_position(call);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::add_position(gpu, call));
    pk::require_cells(call);
    const int threads = pk::useful_threads(pk::cpu_threads(where), 2 * n * half, pk::kSmallestShare);
    pk::with_stored(dtype, [&](auto stored) { pk::add_all<decltype(stored)>(call, threads); });
  });
}
