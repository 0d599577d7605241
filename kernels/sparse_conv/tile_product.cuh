// The tile of a matrix product that one block computes, sum += left x right, out of shared memory: with plain
// multiplications or on tensor cores, always with float32 sums.
//
// A step multiplies 64 bytes of depth: left [rows, depth] row by row, right [depth, columns]. Shared memory is
// addressed in words of 4 bytes, a float or two halves that follow each other along the depth.
#pragma once

#include "sparse_conv/matrix_chunks.cuh"

namespace pk::cuda {

// Each thread has 32 sums in a tile of 64 rows, 64 in one of 128.
template <int kRows_, int kColumns_>
struct Tile {
  static constexpr int kRows = kRows_;
  static constexpr int kColumns = kColumns_;
  static constexpr int kThreads = 2 * kColumns;
  static constexpr int kSums = kRows * kColumns / kThreads;
};

constexpr int kDepthWords = 16;
constexpr int kLeftStride = kDepthWords + 4;  // words; rows that a warp reads together lie in different banks
constexpr int kRightPad = 8;

// Tensor cores: a warp has kSums rows and 32 columns.
struct TensorCores : HalfChunks {
  static constexpr int kDepth = 2 * kDepthWords;
  static constexpr int kWidth = 2;  // columns of a thread that follow each other
  using Word = uint32_t;

  // Two rows of depth become one row of words.
  static __device__ void store_right(Word* at, int /*stride*/, const Chunk& top, const Chunk& bottom) {
    store_vector(at,
                 make_uint4(low(top.x, bottom.x), high(top.x, bottom.x), low(top.y, bottom.y), high(top.y, bottom.y)));
    store_vector(at + 4,
                 make_uint4(low(top.z, bottom.z), high(top.z, bottom.z), low(top.w, bottom.w), high(top.w, bottom.w)));
  }
  static constexpr int kRightWords = 1;  // rows of words that two rows of depth take

  // Chunks of two rows of depth as columns of a left side.
  static __device__ void store_transposed(Word* at, const Chunk& top, const Chunk& bottom) {
    const uint32_t words[8] = {low(top.x, bottom.x),  high(top.x, bottom.x), low(top.y, bottom.y),
                               high(top.y, bottom.y), low(top.z, bottom.z),  high(top.z, bottom.z),
                               low(top.w, bottom.w),  high(top.w, bottom.w)};
#pragma unroll
    for (int i = 0; i < 8; ++i) at[i * kLeftStride] = words[i];
  }

  template <typename Tile>
  static __device__ void multiply(const Word* left, const Word* right, int rows, float* sums) {
    constexpr int kStride = Tile::kColumns + kRightPad;
    const Place place = place_of<Tile>();
    if (place.row >= rows) return;  // as one warp
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t b[4][2];
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i)
          b[n][i] = right[(8 * half + 4 * i + place.pair) * kStride + place.column + 8 * n + place.group];
#pragma unroll
      for (int m = 0; m < Tile::kSums / 16; ++m) {
        const Word* from = left + (place.row + 16 * m + place.group) * kLeftStride + 8 * half + place.pair;
        const uint32_t a[4] = {from[0], from[8 * kLeftStride], from[4], from[8 * kLeftStride + 4]};
#pragma unroll
        for (int n = 0; n < 4; ++n) mma_16x8x16(sums + 16 * m + 4 * n, a, b[n]);
      }
    }
  }

  // visit(row, column, sums of kWidth columns)
  template <typename Tile, typename Visit>
  static __device__ void each(const float* sums, Visit visit) {
    const Place place = place_of<Tile>();
#pragma unroll
    for (int m = 0; m < Tile::kSums / 16; ++m)
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int i = 0; i < 2; ++i)
          visit(place.row + 16 * m + 8 * i + place.group, place.column + 8 * n + 2 * place.pair,
                sums + 16 * m + 4 * n + 2 * i);
  }

 private:
  struct Place {
    int row, column;  // where the warp's part begins
    int group, pair;  // of the lane, see tensor_core.cuh
  };

  template <typename Tile>
  static __device__ Place place_of() {
    constexpr int kWarpsBeside = Tile::kColumns / 32;
    const auto thread = static_cast<int>(threadIdx.x);
    const int warp = thread / kWarp;
    const int lane = thread % kWarp;
    return {warp / kWarpsBeside * Tile::kSums, warp % kWarpsBeside * 32, lane / 4, lane % 4};
  }

  static __device__ uint32_t low(uint32_t top, uint32_t bottom) { return (top & 0xFFFFU) | bottom << 16; }
  static __device__ uint32_t high(uint32_t top, uint32_t bottom) { return top >> 16 | (bottom & 0xFFFF0000U); }
};

// Plain multiplications: a thread has 8 rows and 4 columns, twice that in a tile of 128 rows.
template <typename Stored>
struct Multiplications : FloatChunks<Stored> {
  using Chunk = float4;
  static constexpr int kDepth = kDepthWords;
  static constexpr int kWidth = 4;
  using Word = float;

  static __device__ void store_right(Word* at, int stride, const Chunk& top, const Chunk& bottom) {
    store_vector(at, top);
    store_vector(at + stride, bottom);
  }
  static constexpr int kRightWords = 2;

  static __device__ void store_transposed(Word* at, const Chunk& top, const Chunk& bottom) {
    const float tops[4] = {top.x, top.y, top.z, top.w};
    const float bottoms[4] = {bottom.x, bottom.y, bottom.z, bottom.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) store_vector(at + i * kLeftStride, make_float2(tops[i], bottoms[i]));
  }

  template <typename Tile>
  static __device__ void multiply(const Word* left, const Word* right, int rows, float* sums) {
    constexpr int kStride = Tile::kColumns + kRightPad;
    constexpr int kParts = Tile::kSums / 32;
    const Place place = place_of<Tile>();
#pragma unroll
    for (int depth = 0; depth < kDepthWords; depth += 4) {
      float b[4][4 * kParts];
#pragma unroll
      for (int d = 0; d < 4; ++d)
#pragma unroll
        for (int part = 0; part < kParts; ++part)
          spread(load_vector<float4>(right + (depth + d) * kStride + part * Tile::kColumns / kParts + place.column),
                 b[d] + 4 * part);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int row = place.row + i * Tile::kRows / 8;
        if (row >= rows) break;
        float a[4];
        spread(load_vector<float4>(left + row * kLeftStride + depth), a);
#pragma unroll
        for (int d = 0; d < 4; ++d)
#pragma unroll
          for (int c = 0; c < 4 * kParts; ++c) sums[4 * kParts * i + c] = fmaf(a[d], b[d][c], sums[4 * kParts * i + c]);
      }
    }
  }

  template <typename Tile, typename Visit>
  static __device__ void each(const float* sums, Visit visit) {
    constexpr int kParts = Tile::kSums / 32;
    const Place place = place_of<Tile>();
#pragma unroll
    for (int i = 0; i < 8; ++i)
#pragma unroll
      for (int part = 0; part < kParts; ++part)
        visit(place.row + i * Tile::kRows / 8, part * Tile::kColumns / kParts + place.column,
              sums + 4 * (kParts * i + part));
  }

 private:
  struct Place {
    int row, column;
  };

  template <typename Tile>
  static __device__ Place place_of() {
    constexpr int kThreadsBeside = Tile::kColumns / 4 / (Tile::kSums / 32);
    const auto thread = static_cast<int>(threadIdx.x);
    return {thread / kThreadsBeside, thread % kThreadsBeside * 4};
  }

  static __device__ void spread(const float4& from, float* to) {
    to[0] = from.x, to[1] = from.y, to[2] = from.z, to[3] = from.w;
  }
};

}  // namespace pk::cuda
