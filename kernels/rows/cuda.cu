#include "common/dtype.hpp"
#include "common/rows.cuh"
#include "common/vector_memory.cuh"
#include "perception_kernels/rows.h"
#include "rows/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kFew = 4;  // elements a thread

// Whether each address is one of kFew elements beside each other that can be read or written at once.
template <typename Stored>
bool wide(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % (kFew * sizeof(Stored)) == 0;
}

template <typename Stored>
__global__ void add(Addition call, bool wide) {
  const int64_t at = kFew * global_index();
  if (at >= call.count) return;
  const auto sum_of = [&call](Stored a, Stored b) {
    const float sum = to_float(a) + to_float(b);
    return from_float<Stored>(call.relu && sum < 0.0F ? 0.0F : sum);  // NaN stays
  };
  const Stored* a = static_cast<const Stored*>(call.a) + at;
  const Stored* b = static_cast<const Stored*>(call.b) + at;
  Stored* output = static_cast<Stored*>(call.output) + at;
  if (wide && at + kFew <= call.count) {
    using Values = Few<Stored, kFew>;
    const Values left = load_vector<Values>(a);
    const Values right = load_vector<Values>(b);
    Values sums;
#pragma unroll
    for (int i = 0; i < kFew; ++i) sums.at[i] = sum_of(left.at[i], right.at[i]);
    store_vector(output, sums);
    return;
  }
  for (int64_t i = 0; i < kFew && at + i < call.count; ++i) output[i] = sum_of(a[i], b[i]);
}

template <typename From, typename To>
__global__ void convert(const From* values, int64_t count, bool wide, To* output) {
  const int64_t at = kFew * global_index();
  if (at >= count) return;
  if (wide && at + kFew <= count) {
    const auto from = load_vector<Few<From, kFew>>(values + at);
    Few<To, kFew> to;
#pragma unroll
    for (int i = 0; i < kFew; ++i) to.at[i] = from_float<To>(to_float(from.at[i]));
    store_vector(output + at, to);
    return;
  }
  for (int64_t i = at; i < at + kFew && i < count; ++i) output[i] = from_float<To>(to_float(values[i]));
}

__global__ void convert_integers(const int32_t* values, int64_t count, float* output) {
  const int64_t i = global_index();
  if (i < count) output[i] = static_cast<float>(values[i]);
}

// --- rows of any elements, in units of as many bytes as all addresses and lengths are multiples of ---

template <typename Body>
void with_unit(uintptr_t addresses_and_lengths, const Body& body) {
  if (addresses_and_lengths % 16 == 0) return body(Few<uint32_t, 4>{});
  if (addresses_and_lengths % 8 == 0) return body(Few<uint32_t, 2>{});
  if (addresses_and_lengths % 4 == 0) return body(uint32_t{});
  if (addresses_and_lengths % 2 == 0) return body(uint16_t{});
  body(uint8_t{});
}

struct Joined {
  const unsigned char* from[PK_MOST_JOINED];
  int64_t row_bytes[PK_MOST_JOINED];
  int n_inputs;
};

template <typename Unit>
__global__ void concatenate(Joined joined, int64_t rows, unsigned char* output, int64_t output_bytes) {
  const int64_t row = row_of_thread();
  if (row >= rows) return;
  unsigned char* to = output + row * output_bytes;
  constexpr int64_t kUnit = sizeof(Unit);
  for (int i = 0; i < joined.n_inputs; ++i) {
    const unsigned char* from = joined.from[i] + row * joined.row_bytes[i];
    for (int64_t at = kUnit * threadIdx.x; at < joined.row_bytes[i]; at += kUnit * blockDim.x)
      store_vector(to + at, load_vector<Unit>(from + at));
    to += joined.row_bytes[i];
  }
}

template <typename Unit>
__global__ void take(const unsigned char* values, int64_t row_bytes, int64_t n_values, const int32_t* rows, int64_t n,
                     int absent_byte, unsigned char* output) {
  const int64_t row = row_of_thread();
  if (row >= n) return;
  const int64_t source = rows[row];
  const bool exists = source >= 0 && source < n_values;
  constexpr int64_t kUnit = sizeof(Unit);
  for (int64_t at = kUnit * threadIdx.x; at < row_bytes; at += kUnit * blockDim.x) {
    unsigned char* to = output + row * row_bytes + at;
    if (exists)
      store_vector(to, load_vector<Unit>(values + source * row_bytes + at));
    else
      for (int64_t i = 0; i < kUnit; ++i) to[i] = static_cast<unsigned char>(absent_byte);
  }
}

}  // namespace

void add_rows(const Gpu& gpu, const Addition& call, int32_t dtype) {
  with_stored(dtype, [&](auto stored) {
    using Stored = decltype(stored);
    const bool fits = wide<Stored>(call.a) && wide<Stored>(call.b) && wide<Stored>(call.output);
    launch(gpu, {{"elements", call.count}}, add<Stored>, blocks(call.count, kFew * kThreads), kThreads, 0, call, fits);
  });
}

void concatenate_columns(const Gpu& gpu, const void* const* inputs, const int32_t* row_bytes, int32_t n_inputs,
                         int64_t rows, void* output) {
  Joined joined = {{}, {}, n_inputs};
  int64_t bytes = 0;
  int64_t longest = 0;
  auto all = reinterpret_cast<uintptr_t>(output);
  for (int i = 0; i < n_inputs; ++i) {
    joined.from[i] = static_cast<const unsigned char*>(inputs[i]);
    joined.row_bytes[i] = row_bytes[i];
    bytes += row_bytes[i];
    longest = row_bytes[i] > longest ? row_bytes[i] : longest;
    all |= reinterpret_cast<uintptr_t>(inputs[i]) | static_cast<uintptr_t>(row_bytes[i]);
  }
  with_unit(all, [&](auto unit) {
    using Unit = decltype(unit);
    const int64_t units = longest / static_cast<int64_t>(sizeof(Unit));
    launch(gpu, {{"rows", rows}, {"bytes a row", bytes}}, concatenate<Unit>, row_grid(rows, units), row_block(units), 0,
           joined, rows, static_cast<unsigned char*>(output), bytes);
  });
}

void take_rows(const Gpu& gpu, const void* values, int32_t row_bytes, int64_t n_values, const int32_t* rows, int64_t n,
               int32_t absent_byte, void* output) {
  const uintptr_t all =
      reinterpret_cast<uintptr_t>(values) | reinterpret_cast<uintptr_t>(output) | static_cast<uintptr_t>(row_bytes);
  with_unit(all, [&](auto unit) {
    using Unit = decltype(unit);
    const int64_t units = row_bytes / static_cast<int64_t>(sizeof(Unit));
    launch(gpu, {{"rows", n}, {"values", n_values}, {"bytes a row", row_bytes}}, take<Unit>, row_grid(n, units),
           row_block(units), 0, static_cast<const unsigned char*>(values), row_bytes, n_values, rows, n, absent_byte,
           static_cast<unsigned char*>(output));
  });
}

void cast(const Gpu& gpu, const void* values, int32_t from_dtype, int64_t count, int32_t to_dtype, void* output) {
  with_stored(from_dtype, [&](auto source) {
    using From = decltype(source);
    with_stored(to_dtype, [&](auto target) {
      using To = decltype(target);
      launch(gpu, {{"elements", count}}, convert<From, To>, blocks(count, kFew * kThreads), kThreads, 0,
             static_cast<const From*>(values), count, wide<From>(values) && wide<To>(output), static_cast<To*>(output));
    });
  });
}

void cast_integers(const Gpu& gpu, const int32_t* values, int64_t count, float* output) {
  launch(gpu, {{"elements", count}}, convert_integers, blocks(count, kThreads), kThreads, 0, values, count, output);
}

}  // namespace pk::cuda
