// Matrices read in chunks of 16 bytes of shared memory, with zeros where a matrix has nothing.
#pragma once

#include "common/tensor_core.cuh"
#include "common/vector_memory.cuh"

namespace pk::cuda {

// Row-major and dense. `aligned`: every row begins at a multiple of 16 bytes.
template <typename Stored>
struct Matrix {
  const Stored* data;
  int64_t rows;
  int64_t columns;
  bool aligned;
};

template <typename Stored>
Matrix<Stored> matrix_of(const void* data, int64_t rows, int64_t columns) {
  const bool aligned =
      reinterpret_cast<uintptr_t>(data) % 16 == 0 && columns * static_cast<int64_t>(sizeof(Stored)) % 16 == 0;
  return {static_cast<const Stored*>(data), rows, columns, aligned};
}

// How elements become a chunk, for each way of multiplying. `collect` asks for the elements in order.

struct HalfChunks {
  using Element = Half;
  using Chunk = uint4;
  static constexpr int kChunk = 8;  // elements

  static __device__ Chunk load(const Half* from) { return load_vector<uint4>(from); }

  template <typename Get>
  static __device__ Chunk collect(Get get) {
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t low = get(2 * i).bits;
      words[i] = low | static_cast<uint32_t>(get(2 * i + 1).bits) << 16;
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
  }
};

template <typename Stored>
struct FloatChunks {
  using Element = Stored;
  using Chunk = float4;
  static constexpr int kChunk = 4;

  static __device__ Chunk load(const Stored* from) {
    const auto few = load_vector<Few<Stored, 4>>(from);
    return make_float4(to_float(few.at[0]), to_float(few.at[1]), to_float(few.at[2]), to_float(few.at[3]));
  }

  template <typename Get>
  static __device__ Chunk collect(Get get) {
    float values[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = to_float(get(i));
    return make_float4(values[0], values[1], values[2], values[3]);
  }
};

// The chunk that begins at a column, a multiple of the chunk's size; zeros past the matrix and for a negative row.
template <typename Chunks>
__device__ inline typename Chunks::Chunk load_chunk(const Matrix<typename Chunks::Element>& matrix, int64_t row,
                                                    int64_t column) {
  if (row < 0 || row >= matrix.rows || column >= matrix.columns) return typename Chunks::Chunk{};
  const typename Chunks::Element* from = matrix.data + row * matrix.columns + column;
  if (matrix.aligned) return Chunks::load(from);
  const int64_t count = matrix.columns - column;
  return Chunks::collect([&](int i) { return i < count ? from[i] : typename Chunks::Element{}; });
}

}  // namespace pk::cuda
