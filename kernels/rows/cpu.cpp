#include <algorithm>
#include <cstring>
#include <numeric>

#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/indices.hpp"
#include "half/loops.hpp"
#include "rows/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 1 << 17;  // bytes a thread
constexpr int64_t kPart = 1 << 14;           // elements of a call of an inner loop
constexpr int32_t kMostChannels = 65536;
constexpr int32_t kMostRowBytes = 1 << 24;

int threads_for(const pk_execution* where, int64_t bytes) {
  return useful_threads(cpu_threads(where), bytes, kSmallestShare);
}

// Call body(begin, end) for parts of 0..count.
template <typename Body>
void each_part(int64_t count, int threads, const Body& body) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t begin = 0; begin < count; begin += kPart) body(begin, std::min(begin + kPart, count));
}

// Rows are short: a call of memcpy would cost more.
void copy_bytes(const char* from, char* to, int64_t count) {
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) std::memcpy(to + i, from + i, 32);
  for (; i + 4 <= count; i += 4) std::memcpy(to + i, from + i, 4);
  for (; i < count; ++i) to[i] = from[i];
}

void add_rows(const Addition& call, int32_t dtype, int threads) {
  const int64_t size = dtype == PK_FLOAT16 ? 2 : 4;
  each_part(call.count, threads, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * size;
    row_arithmetic().add[dtype]({static_cast<const char*>(call.a) + at, static_cast<const char*>(call.b) + at,
                                 static_cast<char*>(call.output) + at, end - begin, call.relu});
  });
}

void concatenate(const void* const* inputs, const int32_t* row_bytes, int32_t n_inputs, int64_t rows, char* output,
                 int64_t output_bytes, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    char* to = output + row * output_bytes;
    for (int32_t i = 0; i < n_inputs; to += row_bytes[i++])
      copy_bytes(static_cast<const char*>(inputs[i]) + row * row_bytes[i], to, row_bytes[i]);
  }
}

void take(const char* values, int64_t row_bytes, const int32_t* rows, int64_t n, int absent_byte, char* output,
          int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    char* to = output + i * row_bytes;
    if (rows[i] >= 0)
      copy_bytes(values + rows[i] * row_bytes, to, row_bytes);
    else
      std::memset(to, absent_byte, static_cast<size_t>(row_bytes));
  }
}

void cast(const void* values, int32_t from, int64_t count, int32_t to, void* output, int threads) {
  with_stored(from, [&](auto source) {
    using Source = decltype(source);
    with_stored(to, [&](auto target) {
      using Target = decltype(target);
      each_part(count, threads, [&](int64_t begin, int64_t end) {
        const Source* in = static_cast<const Source*>(values) + begin;
        Target* out = static_cast<Target*>(output) + begin;
        if constexpr (sizeof(Source) == sizeof(Target))
          std::memcpy(out, in, static_cast<size_t>(end - begin) * sizeof(Source));
        else if constexpr (sizeof(Source) == sizeof(Half))
          read_row(in, out, end - begin);
        else
          write_row(in, out, end - begin);
      });
    });
  });
}

void require_count(int64_t count) {
  require(count >= 0 && count <= INT64_MAX / 8, "the number of values must lie in 0..2^60");
}

void require_row_bytes(int32_t row_bytes) {
  require(row_bytes >= 1 && row_bytes <= kMostRowBytes, "the bytes of a row must lie in 1..2^24");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_add_rows(const pk_execution* where, const void* a, const void* b, int32_t dtype, int64_t rows,
                      int32_t channels, int32_t relu, void* output) {
  return pk::guarded("adding rows", [&] {
    pk::require_rows(rows, "rows");
    pk::require(channels >= 1 && channels <= pk::kMostChannels, "the number of channels must lie in 1..65536");
    pk::require_dtype(dtype);
    for (const void* array : {a, b, static_cast<const void*>(output)}) pk::require_array(array, rows, "a, b or output");
    const pk::Addition call{a, b, output, rows * channels, relu != 0};
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::add_rows(gpu, call, dtype));
    pk::add_rows(call, dtype, pk::threads_for(where, 4 * call.count));
  });
}

pk_status pk_concatenate_columns(const pk_execution* where, const void* const* inputs, const int32_t* row_bytes,
                                 int32_t n_inputs, int64_t rows, void* output) {
  return pk::guarded("concatenating columns", [&] {
    pk::require_rows(rows, "rows");
    pk::require(n_inputs >= 1 && n_inputs <= PK_MOST_JOINED, "the number of inputs must lie in 1..8");
    pk::require_array(inputs, 1, "inputs");
    pk::require_array(row_bytes, 1, "row_bytes");
    pk::require_array(output, rows, "output");
    for (int32_t i = 0; i < n_inputs; ++i) {
      pk::require_row_bytes(row_bytes[i]);
      pk::require_array(inputs[i], rows, "inputs");
    }
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::concatenate_columns(gpu, inputs, row_bytes, n_inputs, rows, output));
    const int64_t bytes = std::accumulate(row_bytes, row_bytes + n_inputs, int64_t{0});
    pk::concatenate(inputs, row_bytes, n_inputs, rows, static_cast<char*>(output), bytes,
                    pk::threads_for(where, rows * bytes));
  });
}

pk_status pk_take_rows(const pk_execution* where, const void* values, int32_t row_bytes, int64_t n_values,
                       const int32_t* rows, int64_t n, int32_t absent_byte, void* output) {
  return pk::guarded("taking rows", [&] {
    pk::require_rows(n_values, "values");
    pk::require_rows(n, "rows");
    pk::require_row_bytes(row_bytes);
    pk::require(absent_byte >= 0 && absent_byte <= 255, "absent_byte must lie in 0..255");
    pk::require_array(values, n_values, "values");
    pk::require_array(rows, n, "rows");
    pk::require_array(output, n, "output");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::take_rows(gpu, values, row_bytes, n_values, rows, n, absent_byte, output));
    const int threads = pk::threads_for(where, n * row_bytes);
    pk::require_indices(rows, n, n_values, threads, "rows names a row that does not exist");
    pk::take(static_cast<const char*>(values), row_bytes, rows, n, absent_byte, static_cast<char*>(output), threads);
  });
}

pk_status pk_cast(const pk_execution* where, const void* values, int32_t from_dtype, int64_t count, int32_t to_dtype,
                  void* output) {
  return pk::guarded("casting", [&] {
    pk::require_count(count);
    pk::require_dtype(from_dtype);
    pk::require_dtype(to_dtype);
    pk::require_array(values, count, "values");
    pk::require_array(output, count, "output");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::cast(gpu, values, from_dtype, count, to_dtype, output));
    pk::cast(values, from_dtype, count, to_dtype, output, pk::threads_for(where, 4 * count));
  });
}

pk_status pk_cast_integers(const pk_execution* where, const int32_t* values, int64_t count, float* output) {
  return pk::guarded("casting integers", [&] {
    pk::require_count(count);
    pk::require_array(values, count, "values");
    pk::require_array(output, count, "output");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::cast_integers(gpu, values, count, output));
    pk::each_part(count, pk::threads_for(where, 4 * count), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) output[i] = static_cast<float>(values[i]);
    });
  });
}
}
