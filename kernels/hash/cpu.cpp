#include <algorithm>
#include <limits>

#include "common/call.hpp"
#include "hash/cuda.hpp"
#include "hash/table.hpp"

namespace pk {
namespace {

void build(const int32_t* coords, int64_t n, HashView hash) {
  for (int64_t row = 0; row < n; ++row) {
    const int32_t found = hash.find_or_insert(checked_key(coords, row), static_cast<int32_t>(row));
    if (found != row) throw_same_voxel(found, row);
  }
}

void query(const HashView& hash, const int32_t* wanted, int64_t n, int32_t* rows, int threads) {
  int64_t bad_row = n;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : bad_row)
  for (int64_t i = 0; i < n; ++i) {
    const int32_t* c = wanted + 4 * i;
    if (in_range(c[0], c[1], c[2], c[3]))
      rows[i] = hash.find(pack(c[0], c[1], c[2], c[3]));
    else
      bad_row = std::min(bad_row, i);
  }
  if (bad_row < n) throw_out_of_range(wanted + 4 * bad_row, bad_row);
}

}  // namespace

void throw_out_of_range(const int32_t* voxel, int64_t row) {
  throw Failure(PK_OUT_OF_RANGE, "row " + std::to_string(row) + " (batch " + std::to_string(voxel[0]) + ", x " +
                                     std::to_string(voxel[1]) + ", y " + std::to_string(voxel[2]) + ", z " +
                                     std::to_string(voxel[3]) +
                                     ") lies outside batch 0..4095, coordinates -65504..65503");
}

void throw_same_voxel(int64_t earlier, int64_t row) {
  throw Failure(PK_INVALID_ARGUMENT,
                "rows " + std::to_string(earlier) + " and " + std::to_string(row) + " are the same voxel");
}

uint64_t checked_key(const int32_t* coords, int64_t row) {
  const int32_t* c = coords + 4 * row;
  if (!in_range(c[0], c[1], c[2], c[3])) throw_out_of_range(c, row);
  return pack(c[0], c[1], c[2], c[3]);
}

void require_hash(const pk_hash* hash) {
  require(hash != nullptr, "hash is null");
  require(hash->capacity >= 16 && (hash->capacity & (hash->capacity - 1)) == 0,
          "the capacity of the hash must be a power of two, as pk_hash_capacity gives it");
  require_array(hash->keys, hash->capacity, "hash.keys");
  require_array(hash->values, hash->capacity, "hash.values");
}

}  // namespace pk

extern "C" {

int64_t pk_hash_capacity(int64_t n) {
  if (n < 0 || n > std::numeric_limits<int32_t>::max()) return 0;
  int64_t capacity = 16;
  while (capacity < 2 * n) capacity *= 2;
  return capacity;
}

pk_status pk_hash_build(const pk_execution* where, const int32_t* coords, int64_t n, const pk_hash* hash) {
  return pk::guarded("hash build", [&] {
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_hash(hash);
    pk::require(hash->capacity > n, "the capacity of the hash must be larger than the number of rows");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::hash_build(gpu, coords, n, *hash));
    pk::cpu_threads(where);
    std::fill_n(hash->keys, hash->capacity, pk::kEmptyKey);
    pk::build(coords, n, pk::HashView(*hash));
  });
}

pk_status pk_hash_query(const pk_execution* where, const pk_hash* hash, const int32_t* wanted, int64_t n,
                        int32_t* rows) {
  return pk::guarded("hash query", [&] {
    pk::require_hash(hash);
    pk::require_rows(n, "wanted");
    pk::require_array(wanted, n, "wanted");
    pk::require_array(rows, n, "rows");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::hash_query(gpu, *hash, wanted, n, rows));
    const int threads = pk::useful_threads(pk::cpu_threads(where), n, 4096);
    pk::query(pk::HashView(*hash), wanted, n, rows, threads);
  });
}
}
