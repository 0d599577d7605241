#include "hash/device_hash.cuh"
#include "kernel_map/cuda.hpp"
#include "kernel_map/window.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

void fill_with_none(const Gpu& gpu, int32_t* table, int64_t cells) {
  fill_bytes(gpu, table, 0xFF, cells * static_cast<int64_t>(sizeof(*table)));
}

struct Edges {
  int32_t of[3];
};

// One thread looks for one neighbour in the first half of the box. If j is the neighbour k of i, then i is the
// neighbour volume - 1 - k of j.
__global__ void submanifold_kernel(const int32_t* coords, int64_t n, Edges size, DeviceHash hash, int32_t* table) {
  const int32_t volume = volume_of(size.of), half = volume / 2;
  const int64_t row = global_index() / (half + 1);
  const auto k = static_cast<int32_t>(global_index() % (half + 1));
  if (row >= n || !in_range(coords + 4 * row)) return;
  if (k == half) {
    table[row * volume + half] = static_cast<int32_t>(row);
    return;
  }
  const int32_t dx = k % size.of[0] - size.of[0] / 2;
  const int32_t dy = k / size.of[0] % size.of[1] - size.of[1] / 2;
  const int32_t dz = k / size.of[0] / size.of[1] - size.of[2] / 2;
  const int64_t neighbour = hash.find(key_of(coords + 4 * row) + key_step(dx, dy, dz));
  if (neighbour < 0) return;
  table[row * volume + k] = static_cast<int32_t>(neighbour);
  table[neighbour * volume + volume - 1 - k] = static_cast<int32_t>(row);
}

// One thread looks for one input of one output.
__global__ void window_kernel(const int32_t* out_coords, int64_t n_out, pk_window window, DeviceHash hash,
                              int32_t* table) {
  const int32_t volume = volume_of(window.size);
  const int64_t row = global_index() / volume;
  if (row >= n_out) return;
  auto k = static_cast<int32_t>(global_index() % volume);
  const int32_t* c = out_coords + 4 * row;
  int32_t voxel[4] = {c[0], 0, 0, 0};
  bool good = in_range(c);
  for (int axis = 0; axis < 3 && good; k /= window.size[axis], ++axis)
    voxel[axis + 1] = c[axis + 1] * window.stride[axis] - window.padding[axis] + k % window.size[axis];
  good = good && in_range(voxel);
  table[global_index()] = good ? hash.find(key_of(voxel)) : -1;
}

// The largest row wins where two claim a cell, so that the table is the same on every run.
__global__ void strided_kernel(const int32_t* parent, const uint8_t* offset, int64_t n, int64_t n_coarse,
                               int32_t volume, int32_t* table) {
  const int64_t row = global_index();
  if (row >= n || parent[row] < 0 || parent[row] >= n_coarse || offset[row] >= volume) return;
  atomicMax(table + static_cast<int64_t>(parent[row]) * volume + offset[row], static_cast<int32_t>(row));
}

__global__ void transpose_kernel(const int32_t* table, int64_t n_out, int32_t volume, int64_t n_in,
                                 int32_t* transposed) {
  const int64_t cell = global_index();
  if (cell >= n_out * volume || table[cell] < 0 || table[cell] >= n_in) return;
  atomicMax(transposed + static_cast<int64_t>(table[cell]) * volume + cell % volume,
            static_cast<int32_t>(cell / volume));
}

}  // namespace

void submanifold_table(const Gpu& gpu, const int32_t* coords, int64_t n, const int32_t* size, int32_t* table) {
  const int64_t volume = volume_of(size);
  const ScratchHash hash(gpu, n);
  offer_rows(gpu, coords, n, hash.view());
  fill_with_none(gpu, table, n * volume);
  const Edges edges{{size[0], size[1], size[2]}};
  launch(gpu, {{"voxels", n}, {"weights", volume}}, submanifold_kernel, blocks(n * (volume / 2 + 1), kThreads),
         kThreads, 0, coords, n, edges, hash.view(), table);
}

void window_table(const Gpu& gpu, const int32_t* coords, int64_t n, const int32_t* out_coords, int64_t n_out,
                  const pk_window& window, int32_t* table) {
  const int64_t volume = volume_of(window.size);
  const ScratchHash hash(gpu, n);
  offer_rows(gpu, coords, n, hash.view());
  launch(gpu, {{"voxels", n}, {"outputs", n_out}, {"weights", volume}}, window_kernel, blocks(n_out * volume, kThreads),
         kThreads, 0, out_coords, n_out, window, hash.view(), table);
}

void strided_table(const Gpu& gpu, const int32_t* parent, const uint8_t* offset, int64_t n, int64_t n_coarse,
                   int32_t volume, int32_t* table) {
  fill_with_none(gpu, table, n_coarse * volume);
  launch(gpu, {{"fine rows", n}, {"coarse rows", n_coarse}}, strided_kernel, blocks(n, kThreads), kThreads, 0, parent,
         offset, n, n_coarse, volume, table);
}

void transpose_table(const Gpu& gpu, const int32_t* table, int64_t n_out, int32_t volume, int64_t n_in,
                     int32_t* transposed) {
  fill_with_none(gpu, transposed, n_in * volume);
  launch(gpu, {{"output rows", n_out}, {"input rows", n_in}, {"weights", volume}}, transpose_kernel,
         blocks(n_out * volume, kThreads), kThreads, 0, table, n_out, volume, n_in, transposed);
}

}  // namespace pk::cuda
