// Gather, multiply, scatter: the input rows of a weight's pairs are copied beside each other, multiplied as one matrix,
// and the products are added to their output rows. Few large products keep a GPU busier than many small ones, so that
// weights with about as many pairs share one (weight_groups.hpp).
//
// Everything happens in rounds, of as many pairs as fit the buffers. Within a round each block adds up the products of
// its own output rows, one weight after the other, so that the result is the same on every run.
#include <algorithm>
#include <vector>

#include "sparse_conv/dataflows.hpp"
#include "sparse_conv/dispatch.cuh"
#include "sparse_conv/finish.cuh"
#include "sparse_conv/product.cuh"
#include "sparse_conv/weight_groups.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kBufferBytes = 64 << 20;  // of gathered rows and products together

// Pairs of one weight that have a place in this round.
struct Part {
  int weight;
  int32_t begin, count;  // of the list of pairs
  int32_t slot;          // of its first row in the buffers
};

struct Round {
  static constexpr int kParts = 32;
  Part parts[kParts];
};

// --- kernels ---

// A thread copies 16 bytes; rows of `gathered` are padded with zeros.
template <typename Stored>
__global__ void gather(Round round, Matrix<Stored> features, const int32_t* inputs, Stored* gathered,
                       int64_t gathered_columns) {
  constexpr int kFew = 16 / static_cast<int>(sizeof(Stored));
  const Part part = round.parts[blockIdx.y];
  const int64_t pair = global_index() / (gathered_columns / kFew);
  const int64_t column = global_index() % (gathered_columns / kFew) * kFew;
  if (pair >= part.count) return;
  const int32_t row = inputs[part.begin + pair];
  const bool exists = row >= 0 && row < features.rows;
  Stored* to = gathered + (part.slot + pair) * gathered_columns + column;
  if (exists && features.aligned) {
    store_vector(to, load_vector<uint4>(features.data + row * features.columns + column));
    return;
  }
  for (int i = 0; i < kFew; ++i)
    to[i] = exists && column + i < features.columns ? features.data[row * features.columns + column + i] : Stored{};
}

// One part's steps through the input channels.
template <typename Arithmetic>
struct PartSteps {
  using At = int;
  using Chunk = typename Arithmetic::Chunk;

  const Matrix<typename Arithmetic::Element>& gathered;
  const Matrix<typename Arithmetic::Element>& weight;
  int64_t first_slot;
  int row_count;
  int64_t first_depth;  // of the weight
  int c_in;
  int64_t first_column;

  __device__ At first_step() const { return 0; }
  __device__ At next(At at) const { return at + Arithmetic::kDepth; }
  __device__ bool ended(At at) const { return at >= c_in; }
  __device__ int rows(At) const { return row_count; }
  template <typename Product>
  __device__ void after(At, Product&) const {}

  __device__ Chunk left(At at, int row, int column) const {
    return row < row_count ? load_chunk<Arithmetic>(gathered, first_slot + row, at + column) : Chunk{};
  }
  __device__ Chunk right(At at, int row, int column) const {
    return at + row < c_in ? load_chunk<Arithmetic>(weight, first_depth + at + row, first_column + column) : Chunk{};
  }
};

// products[slot] = gathered[slot] @ weight, for a group of parts.
template <typename Arithmetic, typename Tile>
__global__ void __launch_bounds__(Tile::kThreads)
    multiply_parts(Round round, int first_part, Matrix<typename Arithmetic::Element> gathered,
                   Matrix<typename Arithmetic::Element> weight, int c_in, Finish<float> products, int tiles_beside) {
  PK_DYNAMIC_SHARED(unsigned char, shared);
  const Part part = round.parts[first_part + static_cast<int>(blockIdx.y)];
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) / tiles_beside * Tile::kRows;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) % tiles_beside * Tile::kColumns;
  if (first_row >= part.count) return;  // as one block
  const auto rows = static_cast<int>(min(static_cast<int64_t>(Tile::kRows), part.count - first_row));
  PartSteps<Arithmetic> steps{gathered, weight,      part.slot + first_row, rows, int64_t{part.weight} * c_in,
                              c_in,     first_column};
  Product<Arithmetic, Tile> product(shared);
  product.run(steps);
  product.each([&](int row, int column, const float* sums) {
    if (row < rows)
      products.template write<Arithmetic::kWidth>(part.slot + first_row + row, first_column + column, sums);
  });
}

// A block adds the products of one tile of output rows, part by part.
__global__ void __launch_bounds__(kThreads)
    scatter(Round round, int parts, Pairs pairs, int64_t n_out, const float* products, int64_t columns, float* sums) {
  const auto lane = static_cast<int>(threadIdx.x) % kWarp;
  const auto warp = static_cast<int>(threadIdx.x) / kWarp;
  for (int i = 0; i < parts; ++i) {
    const Part part = round.parts[i];
    const Pairs::Range range = pairs.range(part.weight, blockIdx.x);
    const int begin = max(range.begin, part.begin);
    const int end = min(range.begin + range.count, part.begin + part.count);
    for (int pair = begin + warp; pair < end; pair += kThreads / kWarp) {
      const int32_t row = pairs.outputs[pair];
      if (row < 0 || row >= n_out) continue;
      const float* from = products + (int64_t{part.slot} + pair - part.begin) * columns;
      for (int64_t column = lane; column < columns; column += kWarp) sums[row * columns + column] += from[column];
    }
    __syncthreads();  // the next weight may add to the same rows
  }
}

template <typename Stored>
__global__ void finish_rows(const float* sums, int64_t n_out, Finish<Stored> finish) {
  constexpr int kFew = 4;
  const int64_t beside = (finish.columns + kFew - 1) / kFew;
  const int64_t row = global_index() / beside;
  const int64_t column = global_index() % beside * kFew;
  if (row >= n_out) return;
  float few[kFew];
  for (int i = 0; i < kFew; ++i) few[i] = column + i < finish.columns ? sums[row * finish.columns + column + i] : 0.0F;
  finish.template write<kFew>(row, column, few);
}

// --- host ---

template <typename Arithmetic, typename Tile>
class GatherScatter {
  using Stored = typename Arithmetic::Element;

 public:
  GatherScatter(const Gpu& gpu, const pk_convolution& layer, const Pairs& pairs)
      : gpu_(gpu),
        layer_(layer),
        pairs_(pairs),
        sizes_{{"output rows", layer.n_out},
               {"pairs", pairs.total},
               {"weights", layer.kernel_volume},
               {"channels in", layer.c_in},
               {"channels out", layer.c_out}},
        columns_((layer.c_in + kFew - 1) / kFew * kFew),
        slots_(std::min(pairs.total, std::max<int64_t>(kBufferBytes / bytes_of_pair(), 1))),
        gathered_(gpu, slots_ * columns_),
        products_(gpu, slots_ * layer.c_out),
        sums_(gpu, layer.n_out * layer.c_out) {
    fill_bytes(gpu, sums_.data(), 0, layer.n_out * layer.c_out * static_cast<int64_t>(sizeof(float)));
  }

  void run(const std::vector<std::vector<int>>& groups) {
    std::vector<int64_t> begins(1, 0);
    for (int k = 0; k < layer_.kernel_volume; ++k) begins.push_back(begins.back() + pairs_.counts[k]);
    for (size_t group = 0; group < groups.size(); ++group)
      for (const int weight : groups[group]) {
        const auto k = static_cast<size_t>(weight);
        for (int64_t at = begins[k]; at < begins[k + 1];) at += add(group, weight, at, begins[k + 1] - at);
      }
    compute();
    const Finish<Stored> finish = finish_of<Stored>(layer_);
    const int64_t few = layer_.n_out * ((layer_.c_out + 3) / 4);
    launch(gpu_, sizes_, finish_rows<Stored>, blocks(few, kThreads), kThreads, 0, sums_.data(), layer_.n_out, finish);
  }

 private:
  static constexpr int kFew = 16 / static_cast<int>(sizeof(Stored));

  int64_t bytes_of_pair() const {
    return columns_ * static_cast<int64_t>(sizeof(Stored)) + layer_.c_out * static_cast<int64_t>(sizeof(float));
  }

  // Give the first of `count` pairs a place; returns how many got one.
  int64_t add(size_t group, int weight, int64_t begin, int64_t count) {
    if (parts_ == Round::kParts || used_ == slots_) compute();
    const int64_t fits = std::min(count, slots_ - used_);
    round_.parts[parts_] = {weight, static_cast<int32_t>(begin), static_cast<int32_t>(fits),
                            static_cast<int32_t>(used_)};
    groups_[parts_++] = group;
    used_ += fits;
    return fits;
  }

  int32_t largest(int from, int to) const {
    int32_t count = 0;
    for (int i = from; i < to; ++i) count = std::max(count, round_.parts[i].count);
    return count;
  }

  void compute() {
    if (parts_ == 0) return;
    const Matrix<Stored> features = matrix_of<Stored>(layer_.features, layer_.n_in, layer_.c_in);
    const int64_t chunks = int64_t{largest(0, parts_)} * (columns_ / kFew);
    launch(gpu_, sizes_, gather<Stored>, dim3(blocks(chunks, kThreads), static_cast<unsigned>(parts_)), kThreads, 0,
           round_, features, pairs_.inputs, gathered_.data(), columns_);
    for (int from = 0; from < parts_;) {
      int to = from + 1;
      while (to < parts_ && groups_[to] == groups_[from]) ++to;
      multiply(from, to);
      from = to;
    }
    launch(gpu_, sizes_, scatter, blocks(pairs_.tiles, 1), kThreads, 0, round_, parts_, pairs_, layer_.n_out,
           products_.data(), layer_.c_out, sums_.data());
    parts_ = 0;
    used_ = 0;
  }

  void multiply(int from, int to) {
    const auto beside = static_cast<int>(blocks(layer_.c_out, Tile::kColumns));
    const int64_t tiles = int64_t{blocks(largest(from, to), Tile::kRows)} * beside;
    const Matrix<Stored> gathered{gathered_.data(), slots_, columns_, true};
    const int64_t depth = int64_t{layer_.kernel_volume} * layer_.c_in;
    const Finish<float> products{nullptr, {}, products_.data(), layer_.c_out, false, layer_.c_out % 4 == 0};
    launch(gpu_, sizes_, multiply_parts<Arithmetic, Tile>, dim3(blocks(tiles, 1), static_cast<unsigned>(to - from)),
           Tile::kThreads, Product<Arithmetic, Tile>::kSharedBytes, round_, from, gathered,
           matrix_of<Stored>(layer_.weight, depth, layer_.c_out), layer_.c_in, products, beside);
  }

  const Gpu& gpu_;
  const pk_convolution& layer_;
  const Pairs& pairs_;
  Sizes sizes_;
  int64_t columns_;  // of the gathered rows
  int64_t slots_;
  Scratch<Stored> gathered_;
  Scratch<float> products_, sums_;
  Round round_ = {};
  size_t groups_[Round::kParts] = {};
  int parts_ = 0;
  int64_t used_ = 0;  // slots
};

}  // namespace

void gather_scatter(const Gpu& gpu, const pk_convolution& layer, const Pairs& pairs, const Choice& choice,
                    float epsilon, int64_t threshold) {
  const auto groups = group_weights({pairs.counts, pairs.counts + layer.kernel_volume}, epsilon, threshold);
  with_arithmetic(choice, [&](auto arithmetic) {
    with_tile(choice,
              [&](auto tile) { GatherScatter<decltype(arithmetic), decltype(tile)>(gpu, layer, pairs).run(groups); });
  });
}

}  // namespace pk::cuda
