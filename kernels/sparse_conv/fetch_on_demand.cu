// Fetch on demand: a block owns a tile of the output and multiplies, weight by weight, only the input rows that are
// there. They are fetched straight into shared memory; their sums are added to the tile's, which lie there as well.
#include "sparse_conv/dataflows.hpp"
#include "sparse_conv/dispatch.cuh"
#include "sparse_conv/finish.cuh"
#include "sparse_conv/product.cuh"

namespace pk::cuda {
namespace {

template <typename Stored>
struct FetchOnDemand {
  Pairs pairs;
  Matrix<Stored> features;
  Matrix<Stored> weight;  // [volume * c_in, c_out]
  Finish<Stored> finish;
  int64_t volume;
  int64_t n_out;
};

template <typename Arithmetic, typename Tile>
struct Memory {
  static constexpr int kGroup = 64;                   // weights
  static constexpr int kStride = Tile::kColumns + 8;  // of sums
  static constexpr int kProduct = Product<Arithmetic, Tile>::kSharedBytes;
  static constexpr int kBytes = kProduct + 4 * Tile::kRows * kStride + kGroup * static_cast<int>(sizeof(Pairs::Range));

  float* sums;
  Pairs::Range* ranges;

  __device__ explicit Memory(unsigned char* shared)
      : sums(reinterpret_cast<float*>(shared + kProduct)),
        ranges(reinterpret_cast<Pairs::Range*>(sums + Tile::kRows * kStride)) {}
};

// The steps through the pairs of up to 64 weights of a tile.
template <typename Arithmetic, typename Tile>
struct WeightGroup {
  struct At {
    int k;      // within the group
    int depth;  // input channel
  };
  using Chunk = typename Arithmetic::Chunk;

  const FetchOnDemand<typename Arithmetic::Element>& call;
  const Memory<Arithmetic, Tile>& memory;
  int first;  // weight
  int count;
  int c_in;
  int64_t first_row;
  int64_t first_column;

  __device__ At first_from(int k) const {
    while (k < count && memory.ranges[k].count == 0) ++k;
    return {k, 0};
  }
  __device__ At first_step() const { return first_from(0); }
  __device__ At next(At at) const {
    if (!is_last(at)) return {at.k, at.depth + Arithmetic::kDepth};
    return first_from(at.k + 1);
  }
  __device__ bool ended(At at) const { return at.k >= count; }
  __device__ int rows(At at) const { return memory.ranges[at.k].count; }

  __device__ Chunk left(At at, int row, int column) const {
    if (row >= rows(at)) return Chunk{};
    return load_chunk<Arithmetic>(call.features, call.pairs.inputs[memory.ranges[at.k].begin + row], at.depth + column);
  }

  __device__ Chunk right(At at, int row, int column) const {
    if (at.depth + row >= c_in) return Chunk{};
    const int64_t from = int64_t{first + at.k} * c_in + at.depth + row;
    return load_chunk<Arithmetic>(call.weight, from, first_column + column);
  }

  // After the last channel of a weight: each of its pairs has another output row, so that no two threads meet.
  __device__ void after(At at, Product<Arithmetic, Tile>& product) const {
    if (!is_last(at)) return;
    const Pairs::Range range = memory.ranges[at.k];
    product.each([&](int row, int column, const float* values) {
      if (row >= range.count) return;
      const int64_t output = call.pairs.outputs[range.begin + row] - first_row;
      if (output < 0 || output >= Tile::kRows) return;
      float* sums = memory.sums + output * Memory<Arithmetic, Tile>::kStride + column;
      for (int i = 0; i < Arithmetic::kWidth; ++i) sums[i] += values[i];
    });
    product.clear();
  }

 private:
  __device__ bool is_last(At at) const { return at.depth + Arithmetic::kDepth >= c_in; }
};

template <typename Arithmetic, typename Tile>
__global__ void __launch_bounds__(Tile::kThreads)
    fetch_on_demand(FetchOnDemand<typename Arithmetic::Element> call, int tiles_beside) {
  static_assert(Tile::kRows == PK_PAIR_TILE, "a block takes one tile of pairs");
  using Shared = Memory<Arithmetic, Tile>;
  static_assert(Shared::kBytes <= 48 * 1024, "no GPU has less");
  PK_DYNAMIC_SHARED(unsigned char, shared);
  const Shared memory(shared);
  Product<Arithmetic, Tile> product(shared);
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t tile = static_cast<int64_t>(blockIdx.x) / tiles_beside;
  const int64_t first_row = tile * Tile::kRows;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) % tiles_beside * Tile::kColumns;
  for (int i = thread; i < Tile::kRows * Shared::kStride; i += Tile::kThreads) memory.sums[i] = 0.0F;

  for (int64_t first = 0; first < call.volume; first += Shared::kGroup) {
    const auto count = static_cast<int>(min(static_cast<int64_t>(Shared::kGroup), call.volume - first));
    for (int k = thread; k < count; k += Tile::kThreads) memory.ranges[k] = call.pairs.range(first + k, tile);
    __syncthreads();
    WeightGroup<Arithmetic, Tile> group{
        call, memory, static_cast<int>(first), count, static_cast<int>(call.features.columns), first_row, first_column};
    product.run(group);
    __syncthreads();  // where the group had no step
  }
  constexpr int kFew = 4;
  for (int i = thread; i < Tile::kRows * Tile::kColumns / kFew; i += Tile::kThreads) {
    const int row = i / (Tile::kColumns / kFew);
    const int column = i % (Tile::kColumns / kFew) * kFew;
    if (first_row + row >= call.n_out) continue;
    call.finish.template write<kFew>(first_row + row, first_column + column,
                                     memory.sums + row * Shared::kStride + column);
  }
}

template <typename Body>
void with_narrow_tile(const Choice& choice, const Body& body) {
  if (choice.tile_columns == 32) return body(Tile<64, 32>{});
  body(Tile<64, 64>{});
}

}  // namespace

void fetch_on_demand(const Gpu& gpu, const pk_convolution& layer, const Pairs& pairs, const Choice& choice) {
  const Sizes sizes = {{"output rows", layer.n_out},
                       {"pairs", pairs.total},
                       {"weights", layer.kernel_volume},
                       {"channels in", layer.c_in},
                       {"channels out", layer.c_out}};
  with_arithmetic(choice, [&](auto arithmetic) {
    with_narrow_tile(choice, [&](auto tile) {
      using Arithmetic = decltype(arithmetic);
      using Block = decltype(tile);
      using Stored = typename Arithmetic::Element;
      const FetchOnDemand<Stored> call = {
          pairs,
          matrix_of<Stored>(layer.features, layer.n_in, layer.c_in),
          matrix_of<Stored>(layer.weight, int64_t{layer.kernel_volume} * layer.c_in, layer.c_out),
          finish_of<Stored>(layer),
          layer.kernel_volume,
          layer.n_out};
      const int beside = static_cast<int>(blocks(layer.c_out, Block::kColumns));
      launch(gpu, sizes, fetch_on_demand<Arithmetic, Block>, blocks(pairs.tiles * beside, 1), Block::kThreads,
             Memory<Arithmetic, Block>::kBytes, call, beside);
    });
  });
}

}  // namespace pk::cuda
