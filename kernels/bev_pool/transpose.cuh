// Matrices turned around, through tiles of shared memory, so that reads and writes are both whole lines.
#pragma once

#include "common/cuda.cuh"

namespace pk::cuda {

constexpr int kTileSide = 32;
constexpr int kTileWarps = 8;  // a block is kTileSide x kTileWarps threads

inline int64_t tiles_along(int64_t size) { return (size + kTileSide - 1) / kTileSide; }

template <typename Stored>
__global__ void transpose_tiles(const Stored* from, int64_t rows, int64_t columns, int64_t row_tiles,
                                int64_t column_tiles, Stored* to) {
  __shared__ Stored tile[kTileSide][kTileSide + 1];
  const int64_t matrix = blockIdx.x / (row_tiles * column_tiles);
  const int64_t first_row = blockIdx.x / column_tiles % row_tiles * kTileSide;
  const int64_t first_column = blockIdx.x % column_tiles * kTileSide;
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = static_cast<int>(threadIdx.y); i < kTileSide; i += kTileWarps)
    if (first_row + i < rows && first_column + lane < columns)
      tile[i][lane] = from[(matrix * rows + first_row + i) * columns + first_column + lane];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.y); i < kTileSide; i += kTileWarps)
    if (first_column + i < columns && first_row + lane < rows)
      to[(matrix * columns + first_column + i) * rows + first_row + lane] = tile[lane][i];
}

// to [matrices, columns, rows] = from [matrices, rows, columns].
template <typename Stored>
void transpose(const Gpu& gpu, const Stored* from, int64_t matrices, int64_t rows, int64_t columns, Stored* to) {
  const int64_t row_tiles = tiles_along(rows);
  const int64_t column_tiles = tiles_along(columns);
  launch(gpu, {{"matrices", matrices}, {"rows", rows}, {"columns", columns}}, transpose_tiles<Stored>,
         blocks(matrices * row_tiles * column_tiles, 1), dim3(kTileSide, kTileWarps), 0, from, rows, columns, row_tiles,
         column_tiles, to);
}

}  // namespace pk::cuda
