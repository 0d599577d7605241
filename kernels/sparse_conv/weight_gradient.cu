// The gradient of the weights: for each weight features^T x gradient over its pairs. A block owns a tile of one
// weight's matrix and a range of output rows; it queues the pairs that it finds there and multiplies them a step at a
// time. The ranges are added up in order, so that the result is the same on every run.
#include <algorithm>

#include "sparse_conv/cuda.hpp"
#include "sparse_conv/dispatch.cuh"
#include "sparse_conv/product.cuh"

namespace pk::cuda {
namespace {

using Block = Tile<64, 64>;
constexpr int64_t kSmallestRange = 1024;  // rows
constexpr int64_t kBlocksWanted = 2048;
constexpr int64_t kLargestSums = 64 << 20;  // bytes, of all ranges

template <typename Stored>
struct Gradient {
  Matrix<Stored> features;
  Matrix<Stored> output_gradient;
  const int32_t* table;
  int64_t volume;
  int64_t rows_a_range;
  float* sums;  // [range][volume][c_in][c_out]
};

// Pairs that were found and not yet multiplied.
struct Queue {
  static constexpr int kCapacity = Block::kThreads + 2 * kDepthWords;
  int32_t* inputs;
  int32_t* outputs;
  int* warp_counts;
  int size;

  __device__ explicit Queue(unsigned char* shared)
      : inputs(reinterpret_cast<int32_t*>(shared)),
        outputs(inputs + kCapacity),
        warp_counts(outputs + kCapacity),
        size(0) {}
  static constexpr int kBytes = 4 * (2 * kCapacity + Block::kThreads / kWarp);

  // A pair of each thread, in the order of the threads; input -1 for none.
  __device__ void push(int32_t input, int32_t output) {
    const auto thread = static_cast<int>(threadIdx.x);
    const unsigned found = __ballot_sync(kAllLanes, input >= 0 ? 1 : 0);
    if (thread % kWarp == 0) warp_counts[thread / kWarp] = __popc(found);
    __syncthreads();
    int at = size + __popc(found & ((1U << (thread % kWarp)) - 1U));
    for (int warp = 0; warp < Block::kThreads / kWarp; ++warp) {
      if (warp < thread / kWarp) at += warp_counts[warp];
      size += warp_counts[warp];
    }
    if (input >= 0) {
      inputs[at] = input;
      outputs[at] = output;
    }
    __syncthreads();
  }

  // Leave out the first `count`, of which less than a step follow.
  __device__ void drop(int count) {
    const auto thread = static_cast<int>(threadIdx.x);
    const bool moves = thread < size - count;
    const int32_t input = moves ? inputs[count + thread] : 0;
    const int32_t output = moves ? outputs[count + thread] : 0;
    __syncthreads();
    if (moves) {
      inputs[thread] = input;
      outputs[thread] = output;
    }
    size -= count;
    __syncthreads();
  }
};

// Multiply the pairs from `begin` on, one step of depth; zeros past the last.
template <typename Arithmetic, typename Call>
__device__ void multiply_pairs(const Call& call, const Queue& queue, int begin, int64_t first_row, int64_t first_column,
                               Product<Arithmetic, Block>& product) {
  using Chunk = typename Arithmetic::Chunk;
  constexpr int kPairs = Arithmetic::kDepth / 2;  // of rows of depth
  const auto thread = static_cast<int>(threadIdx.x);
  const auto chunk = [&](const auto& matrix, const int32_t* rows, int depth, int64_t column) {
    return begin + depth < queue.size ? load_chunk<Arithmetic>(matrix, rows[begin + depth], column) : Chunk{};
  };
  const int depth = 2 * (thread % kPairs);
  const int row = thread / kPairs * Arithmetic::kChunk;
  const Chunk top = chunk(call.features, queue.inputs, depth, first_row + row);
  const Chunk bottom = chunk(call.features, queue.inputs, depth + 1, first_row + row);
  const int64_t column = first_column + product.column();
  const Chunk right_top = chunk(call.output_gradient, queue.outputs, product.depth(), column);
  const Chunk right_bottom = chunk(call.output_gradient, queue.outputs, product.depth() + 1, column);
  auto* left = product.left(0) + row * kLeftStride;
  Arithmetic::store_transposed(left + depth * kDepthWords / Arithmetic::kDepth, top, bottom);
  product.store_right(0, right_top, right_bottom);
  __syncthreads();
  product.multiply(0, Block::kRows);
  __syncthreads();
}

template <typename Arithmetic>
__global__ void __launch_bounds__(Block::kThreads)
    weight_gradient_ranges(Gradient<typename Arithmetic::Element> call, int tiles_beside) {
  using Tiled = Product<Arithmetic, Block>;
  PK_DYNAMIC_SHARED(unsigned char, shared);
  Tiled product(shared);
  Queue queue(shared + Tiled::kSharedBytes);
  const int64_t weight = blockIdx.y;
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) / tiles_beside * Block::kRows;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) % tiles_beside * Block::kColumns;
  const int64_t begin = static_cast<int64_t>(blockIdx.z) * call.rows_a_range;
  const int64_t end = min(begin + call.rows_a_range, call.output_gradient.rows);
  for (int64_t base = begin; base < end; base += Block::kThreads) {
    const int64_t row = base + static_cast<int64_t>(threadIdx.x);
    const int32_t input = row < end ? call.table[row * call.volume + weight] : -1;
    queue.push(input < call.features.rows ? input : -1, static_cast<int32_t>(row));
    int done = 0;
    for (; done + Arithmetic::kDepth <= queue.size; done += Arithmetic::kDepth)
      multiply_pairs<Arithmetic>(call, queue, done, first_row, first_column, product);
    queue.drop(done);
  }
  if (queue.size > 0) multiply_pairs<Arithmetic>(call, queue, 0, first_row, first_column, product);

  const int64_t c_in = call.features.columns;
  const int64_t c_out = call.output_gradient.columns;
  float* sums = call.sums + (blockIdx.z * call.volume + weight) * c_in * c_out;
  product.each([&](int row, int column, const float* values) {
    for (int i = 0; i < Arithmetic::kWidth; ++i)
      if (first_row + row < c_in && first_column + column + i < c_out)
        sums[(first_row + row) * c_out + first_column + column + i] = values[i];
  });
}

__global__ void add_ranges(const float* sums, int64_t ranges, int64_t n, float* result) {
  const int64_t i = global_index();
  if (i >= n) return;
  float sum = 0.0F;
  for (int64_t range = 0; range < ranges; ++range) sum += sums[range * n + i];
  result[i] = sum;
}

// How many ranges the rows are cut into: enough blocks to fill a GPU, in bounded memory.
int64_t count_ranges(const pk_convolution_gradient& gradient, int64_t tiles, int64_t elements) {
  const int64_t useful = (gradient.n_out + kSmallestRange - 1) / kSmallestRange;
  const int64_t wanted = (kBlocksWanted + tiles - 1) / tiles;
  const int64_t affordable = kLargestSums / static_cast<int64_t>(sizeof(float)) / elements;
  return std::max<int64_t>(std::min({useful, wanted, affordable, int64_t{65535}}), 1);
}

}  // namespace

void weight_gradient(const Gpu& gpu, const pk_convolution_gradient& gradient, const int32_t* table) {
  const Sizes sizes = {{"output rows", gradient.n_out},
                       {"weights", gradient.kernel_volume},
                       {"channels in", gradient.c_in},
                       {"channels out", gradient.c_out}};
  const int64_t elements = int64_t{gradient.kernel_volume} * gradient.c_in * gradient.c_out;
  const auto beside = static_cast<int>(blocks(gradient.c_out, Block::kColumns));
  const int64_t tiles = int64_t{blocks(gradient.c_in, Block::kRows)} * beside;
  const int64_t ranges = count_ranges(gradient, tiles * gradient.kernel_volume, elements);
  const Scratch<float> scratch(gpu, ranges > 1 ? ranges * elements : 0);
  float* sums = ranges > 1 ? scratch.data() : gradient.weight_gradient;
  const Choice choice = {gradient.dtype, gradient.dtype == PK_FLOAT16 && has_tensor_cores(gpu), 64, 64};
  with_arithmetic(choice, [&](auto arithmetic) {
    using Arithmetic = decltype(arithmetic);
    using Stored = typename Arithmetic::Element;
    const Gradient<Stored> call = {matrix_of<Stored>(gradient.features, gradient.n_in, gradient.c_in),
                                   matrix_of<Stored>(gradient.output_gradient, gradient.n_out, gradient.c_out),
                                   table,
                                   gradient.kernel_volume,
                                   (gradient.n_out + ranges - 1) / ranges,
                                   sums};
    const dim3 grid(blocks(tiles, 1), static_cast<unsigned>(gradient.kernel_volume), static_cast<unsigned>(ranges));
    launch(gpu, sizes, weight_gradient_ranges<Arithmetic>, grid, Block::kThreads,
           Product<Arithmetic, Block>::kSharedBytes + Queue::kBytes, call, beside);
  });
  if (ranges > 1)
    launch(gpu, sizes, add_ranges, blocks(elements, 256), 256, 0, sums, ranges, elements, gradient.weight_gradient);
}

}  // namespace pk::cuda
