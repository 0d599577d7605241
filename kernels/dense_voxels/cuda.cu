#include "common/grouping.cuh"
#include "dense_voxels/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

Sizes text_of(const DenseSizes& sizes) {
  return {
      {"batches", sizes.batches}, {"channels", sizes.channels}, {"points", sizes.n}, {"resolution", sizes.resolution}};
}

// Combine a value of each thread of the block, always in the same order; all threads get the result.
template <typename Value, typename Combine>
__device__ Value reduce_block(Value value, Value* shared, const Combine& combine) {
  const unsigned thread = threadIdx.x;
  shared[thread] = value;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) shared[thread] = combine(shared[thread], shared[thread + half]);
    __syncthreads();
  }
  const Value result = shared[0];
  __syncthreads();
  return result;
}

// One block for a cloud.
__global__ void fit_clouds(const float* points, DenseSizes sizes, bool normalize, float eps, float* coordinates) {
  __shared__ double sums[kThreads];
  __shared__ float norms[kThreads];
  const float* cloud = points + 3 * sizes.n * static_cast<int64_t>(blockIdx.x);
  float* result = coordinates + 3 * sizes.n * static_cast<int64_t>(blockIdx.x);
  Fit fit{};
  for (int axis = 0; axis < 3; ++axis) {
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < sizes.n; i += kThreads) sum += static_cast<double>(cloud[axis * sizes.n + i]);
    sum = reduce_block(sum, sums, [](double a, double b) { return a + b; });
    fit.mean[axis] = static_cast<float>(sum / static_cast<double>(sizes.n));
  }
  float largest = 0.0F;
  for (int64_t i = threadIdx.x; i < sizes.n; i += kThreads) {
    float square = 0.0F;
    for (int axis = 0; axis < 3; ++axis) {
      const float centred = cloud[axis * sizes.n + i] - fit.mean[axis];
      square += centred * centred;
    }
    largest = fmaxf(largest, sqrtf(square));
  }
  largest = reduce_block(largest, norms, [](float a, float b) { return fmaxf(a, b); });
  if (normalize) fit.extent = extent_of(largest, eps);
  for (int axis = 0; axis < 3; ++axis)
    for (int64_t i = threadIdx.x; i < sizes.n; i += kThreads)
      result[axis * sizes.n + i] = fit.coordinate(cloud[axis * sizes.n + i] - fit.mean[axis], sizes.resolution);
}

// The cell of each point among those of all batches, -1 outside.
__global__ void find_cells(const float* coordinates, DenseSizes sizes, int32_t* cells) {
  const int64_t i = global_index();
  if (i >= sizes.batches * sizes.n) return;
  const int64_t batch = i / sizes.n;
  const GridPoint point = grid_point(coordinates, sizes, batch, i % sizes.n);
  const int64_t first = batch * sizes.cells();
  cells[i] =
      in_grid(point, sizes.resolution) ? static_cast<int32_t>(first + nearest_cell(point, sizes.resolution)) : -1;
}

__global__ void find_corners(const float* coordinates, DenseSizes sizes, int32_t* cells, float* weights) {
  const int64_t i = global_index();
  if (i >= sizes.batches * sizes.n) return;
  const int64_t batch = i / sizes.n;
  const GridPoint point = grid_point(coordinates, sizes, batch, i % sizes.n);
  const bool inside = in_grid(point, sizes.resolution);
  int32_t around[kGridCorners] = {};
  float shares[kGridCorners] = {};
  if (inside) surround(point, sizes.resolution, around, shares);
  for (int corner = 0; corner < kGridCorners; ++corner) {
    cells[kGridCorners * i + corner] = inside ? static_cast<int32_t>(batch * sizes.cells() + around[corner]) : -1;
    weights[kGridCorners * i + corner] = shares[corner];
  }
}

// What an element of [batches, channels, width] belongs to.
struct Element {
  int64_t row;  // batch and channel
  int64_t batch;
  int64_t at;
};

__device__ Element element_of(int64_t i, int64_t width, const DenseSizes& sizes) {
  const int64_t row = i / width;
  return {row, row / sizes.channels, i % width};
}

__global__ void average(const float* features, GroupsView groups, DenseSizes sizes, float* voxels, int32_t* counts) {
  const int64_t i = global_index();
  if (i >= sizes.batches * sizes.channels * sizes.cells()) return;
  const Element element = element_of(i, sizes.cells(), sizes);
  const int64_t cell = element.batch * sizes.cells() + element.at;
  const int32_t begin = groups.begins[cell];
  const int32_t end = groups.begins[cell + 1];
  const float* row = features + (element.row - element.batch) * sizes.n;  // members count points of all batches
  float sum = 0.0F;
  for (int32_t m = begin; m < end; ++m) sum += row[groups.members[m]];
  voxels[i] = end > begin ? sum / static_cast<float>(end - begin) : 0.0F;
  if (element.row == element.batch * sizes.channels) counts[cell] = end - begin;
}

__global__ void spread(const float* voxels_gradient, const float* coordinates, const int32_t* counts, DenseSizes sizes,
                       float* features_gradient) {
  const int64_t i = global_index();
  if (i >= sizes.batches * sizes.channels * sizes.n) return;
  const Element element = element_of(i, sizes.n, sizes);
  const GridPoint point = grid_point(coordinates, sizes, element.batch, element.at);
  float gradient = 0.0F;
  if (in_grid(point, sizes.resolution)) {
    const int32_t cell = nearest_cell(point, sizes.resolution);
    const int32_t count = counts[element.batch * sizes.cells() + cell];
    gradient = voxels_gradient[element.row * sizes.cells() + cell] / static_cast<float>(max(count, 1));
  }
  features_gradient[i] = gradient;
}

__global__ void interpolate(const float* voxels, const float* coordinates, DenseSizes sizes, float* features) {
  const int64_t i = global_index();
  if (i >= sizes.batches * sizes.channels * sizes.n) return;
  const Element element = element_of(i, sizes.n, sizes);
  const GridPoint point = grid_point(coordinates, sizes, element.batch, element.at);
  float sum = 0.0F;
  if (in_grid(point, sizes.resolution)) {
    int32_t cells[kGridCorners];
    float weights[kGridCorners];
    surround(point, sizes.resolution, cells, weights);
    const float* volume = voxels + element.row * sizes.cells();
    for (int corner = 0; corner < kGridCorners; ++corner) sum += weights[corner] * volume[cells[corner]];
  }
  features[i] = sum;
}

// Members are corners of points of all batches: 8 to a point.
__global__ void gather_gradient(const float* features_gradient, const float* weights, GroupsView groups,
                                DenseSizes sizes, float* voxels_gradient) {
  const int64_t i = global_index();
  if (i >= sizes.batches * sizes.channels * sizes.cells()) return;
  const Element element = element_of(i, sizes.cells(), sizes);
  const int64_t cell = element.batch * sizes.cells() + element.at;
  const float* row = features_gradient + (element.row - element.batch) * sizes.n;
  float sum = 0.0F;
  for (int32_t m = groups.begins[cell]; m < groups.begins[cell + 1]; ++m)
    sum += weights[groups.members[m]] * row[groups.members[m] / kGridCorners];
  voxels_gradient[i] = sum;
}

}  // namespace

void dense_coordinates(const Gpu& gpu, const float* points, const DenseSizes& sizes, bool normalize, float eps,
                       float* coordinates) {
  if (sizes.n == 0) return;
  launch(gpu, text_of(sizes), fit_clouds, blocks(sizes.batches, 1), kThreads, 0, points, sizes, normalize, eps,
         coordinates);
}

void dense_voxelize(const Gpu& gpu, const float* features, const float* coordinates, const DenseSizes& sizes,
                    float* voxels, int32_t* counts) {
  const int64_t points = sizes.batches * sizes.n;
  const Scratch<int32_t> cells(gpu, points);
  launch(gpu, text_of(sizes), find_cells, blocks(points, kThreads), kThreads, 0, coordinates, sizes, cells.data());
  const Groups groups(gpu, cells.data(), points, sizes.batches * sizes.cells());
  launch(gpu, text_of(sizes), average, blocks(sizes.batches * sizes.channels * sizes.cells(), kThreads), kThreads, 0,
         features, groups.view(), sizes, voxels, counts);
}

void dense_voxelize_gradient(const Gpu& gpu, const float* voxels_gradient, const float* coordinates,
                             const int32_t* counts, const DenseSizes& sizes, float* features_gradient) {
  launch(gpu, text_of(sizes), spread, blocks(sizes.batches * sizes.channels * sizes.n, kThreads), kThreads, 0,
         voxels_gradient, coordinates, counts, sizes, features_gradient);
}

void dense_devoxelize(const Gpu& gpu, const float* voxels, const float* coordinates, const DenseSizes& sizes,
                      float* features) {
  launch(gpu, text_of(sizes), interpolate, blocks(sizes.batches * sizes.channels * sizes.n, kThreads), kThreads, 0,
         voxels, coordinates, sizes, features);
}

void dense_devoxelize_gradient(const Gpu& gpu, const float* features_gradient, const float* coordinates,
                               const DenseSizes& sizes, float* voxels_gradient) {
  const int64_t points = sizes.batches * sizes.n;
  const Scratch<int32_t> cells(gpu, kGridCorners * points);
  const Scratch<float> weights(gpu, kGridCorners * points);
  launch(gpu, text_of(sizes), find_corners, blocks(points, kThreads), kThreads, 0, coordinates, sizes, cells.data(),
         weights.data());
  const Groups groups(gpu, cells.data(), kGridCorners * points, sizes.batches * sizes.cells());
  launch(gpu, text_of(sizes), gather_gradient, blocks(sizes.batches * sizes.channels * sizes.cells(), kThreads),
         kThreads, 0, features_gradient, weights.data(), groups.view(), sizes, voxels_gradient);
}

}  // namespace pk::cuda
