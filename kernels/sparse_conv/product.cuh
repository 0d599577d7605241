// Multiplying step by step: while one step is multiplied out of shared memory, the next is on its way from global
// memory.
#pragma once

#include "sparse_conv/tile_product.cuh"

namespace pk::cuda {

// Steps tell what to multiply: first_step(), next(at), ended(at); left(at, row, depth) and right(at, depth, column)
// give a chunk each; rows(at) of the left side matter; after(at, product) may use the sums. All threads of the block
// agree.
template <typename Arithmetic, typename Tile>
class Product {
 public:
  using Chunk = typename Arithmetic::Chunk;
  using Word = typename Arithmetic::Word;
  static constexpr int kLeftWords = Tile::kRows * kLeftStride;
  static constexpr int kRightStride = Tile::kColumns + kRightPad;
  static constexpr int kBufferWords = kLeftWords + kDepthWords * kRightStride;
  static constexpr int kSharedBytes = 2 * kBufferWords * static_cast<int>(sizeof(Word));

  // kSharedBytes at a multiple of 16.
  __device__ explicit Product(unsigned char* shared)
      : words_(reinterpret_cast<Word*>(shared)), thread_(static_cast<int>(threadIdx.x)) {
    clear();
  }

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < Tile::kSums; ++i) sums_[i] = 0.0F;
  }

  template <typename Visit>
  __device__ void each(Visit visit) const {
    Arithmetic::template each<Tile>(sums_, visit);
  }

  // Ends with a barrier.
  template <typename Steps>
  __device__ void run(Steps& steps) {
    auto at = steps.first_step();
    if (steps.ended(at)) return;
    fetch(steps, at);
    store(0);
    __syncthreads();
    for (int buffer = 0;; buffer ^= 1) {
      const auto next = steps.next(at);
      const bool more = !steps.ended(next);
      if (more) fetch(steps, next);
      multiply(buffer, steps.rows(at));
      steps.after(at, *this);
      if (more) store(buffer ^ 1);
      __syncthreads();
      if (!more) return;
      at = next;
    }
  }

  // --- single steps, for kernels that bring their operands themselves ---

  __device__ void multiply(int buffer, int rows) {
    const Word* left = words_ + buffer * kBufferWords;
    Arithmetic::template multiply<Tile>(left, left + kLeftWords, rows, sums_);
  }

  __device__ Word* left(int buffer) const { return words_ + buffer * kBufferWords; }

  // The right side's two rows of depth and first column that this thread brings.
  __device__ int depth() const { return 2 * (thread_ / kChunksBeside); }
  __device__ int column() const { return thread_ % kChunksBeside * Arithmetic::kChunk; }

  __device__ void store_right(int buffer, const Chunk& top, const Chunk& bottom) const {
    Word* right = left(buffer) + kLeftWords;
    const int row = thread_ / kChunksBeside * Arithmetic::kRightWords;
    Arithmetic::store_right(right + row * kRightStride + column(), kRightStride, top, bottom);
  }

 private:
  static constexpr int kChunksBeside = Tile::kColumns / Arithmetic::kChunk;
  static constexpr int kLeftChunks = 4 * Tile::kRows;  // 4 in a row of 64 bytes
  static constexpr int kOwnChunks = (kLeftChunks + Tile::kThreads - 1) / Tile::kThreads;

  template <typename Steps, typename At>
  __device__ void fetch(const Steps& steps, const At& at) {
#pragma unroll
    for (int i = 0; i < kOwnChunks; ++i) {
      const int index = thread_ + i * Tile::kThreads;
      if (index < kLeftChunks) chunks_[i] = steps.left(at, index / 4, index % 4 * Arithmetic::kChunk);
    }
    top_ = steps.right(at, depth(), column());
    bottom_ = steps.right(at, depth() + 1, column());
  }

  __device__ void store(int buffer) const {
#pragma unroll
    for (int i = 0; i < kOwnChunks; ++i) {
      const int index = thread_ + i * Tile::kThreads;
      if (index < kLeftChunks) store_vector(left(buffer) + index / 4 * kLeftStride + index % 4 * 4, chunks_[i]);
    }
    store_right(buffer, top_, bottom_);
  }

  Word* words_;
  int thread_;
  float sums_[Tile::kSums];
  Chunk chunks_[kOwnChunks], top_, bottom_;
};

}  // namespace pk::cuda
