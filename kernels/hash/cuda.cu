#include "hash/cuda.hpp"
#include "hash/device_hash.cuh"
#include "hash/table.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kNone = ~0U;

__global__ void offer_kernel(const int32_t* coords, int64_t n, DeviceHash hash) {
  const int64_t row = global_index();
  if (row >= n || !in_range(coords + 4 * row)) return;
  hash.offer(key_of(coords + 4 * row), static_cast<int32_t>(row));
}

// first_bad[0]: the first row out of range; first_bad[1]: the first row whose voxel an earlier one has.
__global__ void check_kernel(const int32_t* coords, int64_t n, DeviceHash hash, unsigned* first_bad) {
  const int64_t row = global_index();
  if (row >= n) return;
  const bool good = in_range(coords + 4 * row);
  if (good && hash.find(key_of(coords + 4 * row)) == row) return;
  atomicMin(first_bad + (good ? 1 : 0), static_cast<unsigned>(row));
}

__global__ void query_kernel(DeviceHash hash, const int32_t* wanted, int64_t n, int32_t* rows) {
  const int64_t i = global_index();
  if (i >= n) return;
  rows[i] = in_range(wanted + 4 * i) ? hash.find(key_of(wanted + 4 * i)) : -1;
}

void query(const Gpu& gpu, const DeviceHash& hash, const int32_t* wanted, int64_t n, int32_t* rows) {
  launch(gpu, {{"voxels", n}}, query_kernel, blocks(n, kThreads), kThreads, 0, hash, wanted, n, rows);
}

[[noreturn]] void throw_twice(const Gpu& gpu, const int32_t* coords, int64_t row, const DeviceHash& hash) {
  const Scratch<int32_t> first(gpu, 1);
  query(gpu, hash, coords + 4 * row, 1, first.data());
  int32_t earlier = 0;
  copy_to_host(gpu, &earlier, first.data(), sizeof(earlier));
  throw_same_voxel(earlier, row);
}

}  // namespace

void throw_row_out_of_range(const Gpu& gpu, const int32_t* coords, int64_t row) {
  int32_t voxel[4];
  copy_to_host(gpu, voxel, coords + 4 * row, sizeof(voxel));
  throw_out_of_range(voxel, row);
}

void offer_rows(const Gpu& gpu, const int32_t* coords, int64_t n, const DeviceHash& hash) {
  launch(gpu, {{"voxels", n}}, offer_kernel, blocks(n, kThreads), kThreads, 0, coords, n, hash);
}

void hash_build(const Gpu& gpu, const int32_t* coords, int64_t n, const pk_hash& hash) {
  const DeviceHash view = device_hash(hash);
  clear(gpu, hash);
  offer_rows(gpu, coords, n, view);
  const Scratch<unsigned> first_bad(gpu, 2);
  fill_bytes(gpu, first_bad.data(), 0xFF, 2 * sizeof(unsigned));
  launch(gpu, {{"voxels", n}}, check_kernel, blocks(n, kThreads), kThreads, 0, coords, n, view, first_bad.data());
  unsigned found[2];
  copy_to_host(gpu, found, first_bad.data(), sizeof(found));
  if (found[0] != kNone) throw_row_out_of_range(gpu, coords, found[0]);
  if (found[1] != kNone) throw_twice(gpu, coords, found[1], view);
}

void hash_query(const Gpu& gpu, const pk_hash& hash, const int32_t* wanted, int64_t n, int32_t* rows) {
  query(gpu, device_hash(hash), wanted, n, rows);
}

}  // namespace pk::cuda
