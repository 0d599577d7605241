// Implicit GEMM: a block owns a tile of the output and multiplies the gathered rows of one weight after the other, as
// if weights and input channels were one long depth. Weights that no row of the tile uses are left out, so that it
// pays to order the rows by the weights that they use (pk_order_rows).
#include "sparse_conv/dataflows.hpp"
#include "sparse_conv/dispatch.cuh"
#include "sparse_conv/finish.cuh"
#include "sparse_conv/product.cuh"

namespace pk::cuda {
namespace {

template <typename Stored>
struct ImplicitGemm {
  InputRows inputs;
  Matrix<Stored> features;
  Matrix<Stored> weight;  // [volume * c_in, c_out]
  Finish<Stored> finish;
};

// The steps through up to 32 weights, whose input rows lie in shared memory.
template <typename Arithmetic>
struct WeightGroup {
  using At = int;  // depth within the group
  using Chunk = typename Arithmetic::Chunk;
  using Element = typename Arithmetic::Element;

  const ImplicitGemm<Element>& call;
  const int32_t* indices;
  int stride;         // of indices
  int64_t first_row;  // of the group in the weights
  int depth;
  int c_in;
  int tile_rows;
  int64_t first_column;
  unsigned used;  // a bit for each weight that a row of the tile uses

  __device__ At first_step() const { return next_used(0); }
  __device__ At next(At at) const { return next_used(at + Arithmetic::kDepth); }
  __device__ bool ended(At at) const { return at >= depth; }
  __device__ int rows(At) const { return tile_rows; }
  template <typename Product>
  __device__ void after(At, Product&) const {}

  __device__ Chunk left(At at, int row, int column) const {
    const int from = at + column;
    if (from >= depth) return Chunk{};
    const int32_t* cells = indices + row * stride;
    int k = from / c_in;
    int channel = from - k * c_in;
    if (call.features.aligned) return load_chunk<Arithmetic>(call.features, cells[k], channel);
    return Arithmetic::collect([&](int i) {
      Element element{};
      if (from + i < depth && cells[k] >= 0) element = call.features.data[cells[k] * call.features.columns + channel];
      if (++channel == c_in) channel = 0, ++k;
      return element;
    });
  }

  __device__ Chunk right(At at, int row, int column) const {
    if (at + row >= depth) return Chunk{};
    return load_chunk<Arithmetic>(call.weight, first_row + at + row, first_column + column);
  }

 private:
  // The first step from `at` on that meets a weight in use.
  __device__ At next_used(At at) const {
    if (at >= depth) return depth;
    const int k = at / c_in;
    const unsigned rest = used >> k;
    if (rest == 0) return depth;
    const int begin = (k + __ffs(static_cast<int>(rest)) - 1) * c_in;
    return max(at, begin / Arithmetic::kDepth * Arithmetic::kDepth);
  }
};

template <typename Arithmetic, typename Tile>
struct Memory {
  static constexpr int kGroup = 2048 / Tile::kRows;  // weights
  static constexpr int kStride = kGroup + 1;
  static constexpr int kProduct = Product<Arithmetic, Tile>::kSharedBytes;
  static constexpr int kBytes = kProduct + 4 * (Tile::kRows * (kStride + 1) + 4);

  int32_t* indices;
  int32_t* outputs;  // the tile's output rows, -1 past the last
  unsigned* used;

  __device__ explicit Memory(unsigned char* shared)
      : indices(reinterpret_cast<int32_t*>(shared + kProduct)),
        outputs(indices + Tile::kRows * kStride),
        used(reinterpret_cast<unsigned*>(outputs + Tile::kRows)) {}
};

// Bring the input rows of the weights first..first + count; the weights that are used become bits.
template <typename Arithmetic, typename Tile>
__device__ unsigned collect_inputs(const InputRows& inputs, int first, int count,
                                   const Memory<Arithmetic, Tile>& memory) {
  const auto thread = static_cast<int>(threadIdx.x);
  if (thread == 0) *memory.used = 0;
  __syncthreads();
  unsigned used = 0;
  for (int i = thread; i < Tile::kRows * count; i += Tile::kThreads) {
    const int row = i / count;
    const int k = i - row * count;
    const int32_t input = memory.outputs[row] < 0 ? -1 : inputs.of(memory.outputs[row], first + k);
    memory.indices[row * Memory<Arithmetic, Tile>::kStride + k] = input;
    if (input >= 0) used |= 1U << k;
  }
  if (used != 0) atomicOr(memory.used, used);
  __syncthreads();
  return *memory.used;
}

template <typename Arithmetic, typename Tile>
__global__ void __launch_bounds__(Tile::kThreads)
    implicit_gemm(ImplicitGemm<typename Arithmetic::Element> call, int tiles_beside) {
  using Shared = Memory<Arithmetic, Tile>;
  static_assert(Shared::kBytes <= 48 * 1024, "no GPU has less");
  PK_DYNAMIC_SHARED(unsigned char, shared);
  const Shared memory(shared);
  Product<Arithmetic, Tile> product(shared);
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) / tiles_beside * Tile::kRows;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) % tiles_beside * Tile::kColumns;
  for (int row = static_cast<int>(threadIdx.x); row < Tile::kRows; row += Tile::kThreads)
    memory.outputs[row] = call.inputs.output_row(first_row + row);

  const auto c_in = static_cast<int>(call.features.columns);
  for (int first = 0; first < call.inputs.volume; first += Shared::kGroup) {
    const int count = min(Shared::kGroup, call.inputs.volume - first);
    const unsigned used = collect_inputs<Arithmetic, Tile>(call.inputs, first, count, memory);
    WeightGroup<Arithmetic> group{call,         memory.indices, Shared::kStride, int64_t{first} * c_in,
                                  count * c_in, c_in,           Tile::kRows,     first_column,
                                  used};
    product.run(group);
    __syncthreads();  // where the group had no step
  }
  product.each([&](int row, int column, const float* sums) {
    if (memory.outputs[row] >= 0)
      call.finish.template write<Arithmetic::kWidth>(memory.outputs[row], first_column + column, sums);
  });
}

}  // namespace

void implicit_gemm(const Gpu& gpu, const pk_convolution& layer, const InputRows& inputs, const Choice& choice) {
  const Sizes sizes = {{"output rows", layer.n_out},
                       {"weights", layer.kernel_volume},
                       {"channels in", layer.c_in},
                       {"channels out", layer.c_out}};
  with_arithmetic(choice, [&](auto arithmetic) {
    with_tile(choice, [&](auto tile) {
      using Arithmetic = decltype(arithmetic);
      using Block = decltype(tile);
      using Stored = typename Arithmetic::Element;
      const ImplicitGemm<Stored> call = {
          inputs, matrix_of<Stored>(layer.features, layer.n_in, layer.c_in),
          matrix_of<Stored>(layer.weight, int64_t{layer.kernel_volume} * layer.c_in, layer.c_out),
          finish_of<Stored>(layer)};
      const int beside = static_cast<int>(blocks(layer.c_out, Block::kColumns));
      const int64_t tiles = int64_t{blocks(layer.n_out, Block::kRows)} * beside;
      launch(gpu, sizes, implicit_gemm<Arithmetic, Block>, blocks(tiles, 1), Block::kThreads,
             Memory<Arithmetic, Block>::kBytes, call, beside);
    });
  });
}

}  // namespace pk::cuda
