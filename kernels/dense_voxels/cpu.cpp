#include "dense_voxels/cpu.hpp"

#include <algorithm>
#include <vector>

#include "common/call.hpp"

namespace pk::cpu {
namespace {

constexpr int64_t kBlock = 256;  // points whose corners fit the first-level cache
constexpr int64_t kFewChannels = 8;

Fit fit_cloud(const float* points, const DenseSizes& sizes, bool normalize, float eps) {
  Fit fit{};
  for (int axis = 0; axis < 3; ++axis) {
    double sum = 0.0;
    for (int64_t i = 0; i < sizes.n; ++i) sum += static_cast<double>(points[axis * sizes.n + i]);
    fit.mean[axis] = static_cast<float>(sum / static_cast<double>(std::max<int64_t>(sizes.n, 1)));
  }
  if (!normalize) return fit;
  float largest = 0.0F;
  for (int64_t i = 0; i < sizes.n; ++i) {
    float square = 0.0F;
    for (int axis = 0; axis < 3; ++axis) {
      const float centred = points[axis * sizes.n + i] - fit.mean[axis];
      square += centred * centred;
    }
    largest = std::max(largest, std::sqrt(square));
  }
  fit.extent = extent_of(largest, eps);
  return fit;
}

void require_inside(const float* coordinates, const DenseSizes& sizes) {
  const auto last = static_cast<float>(sizes.resolution - 1);
  bool inside = true;
  for (int64_t i = 0; i < 3 * sizes.batches * sizes.n; ++i) inside &= coordinates[i] >= 0.0F && coordinates[i] <= last;
  require(inside, "a coordinate lies outside 0..resolution - 1");
}

std::vector<int32_t> nearest_cells(const float* coordinates, const DenseSizes& sizes, int threads) {
  require_inside(coordinates, sizes);
  std::vector<int32_t> cells(static_cast<size_t>(sizes.batches * sizes.n));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < sizes.batches * sizes.n; ++i)
    cells[static_cast<size_t>(i)] =
        nearest_cell(grid_point(coordinates, sizes, i / sizes.n, i % sizes.n), sizes.resolution);
  return cells;
}

void count_points(const std::vector<int32_t>& cells, const DenseSizes& sizes, int32_t* counts) {
  std::fill_n(counts, sizes.batches * sizes.cells(), 0);
  for (int64_t batch = 0; batch < sizes.batches; ++batch)
    for (int64_t i = 0; i < sizes.n; ++i)
      ++counts[batch * sizes.cells() + cells[static_cast<size_t>(batch * sizes.n + i)]];
}

struct Corners {
  int32_t cells[kBlock][kGridCorners];
  float weights[kBlock][kGridCorners];
};

// Call body(corners, batch, channel, first point, points) for every block of points and every channel. All calls for
// one batch and channel come from one thread, the blocks in order.
template <typename Body>
void for_blocks(const float* coordinates, const DenseSizes& sizes, int threads, const Body& body) {
  const int64_t parts = (sizes.channels + kFewChannels - 1) / kFewChannels;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t part = 0; part < sizes.batches * parts; ++part) {
    const int64_t batch = part / parts;
    const int64_t first_channel = part % parts * kFewChannels;
    const int64_t last_channel = std::min(first_channel + kFewChannels, sizes.channels);
    Corners corners;
    for (int64_t begin = 0; begin < sizes.n; begin += kBlock) {
      const int64_t count = std::min(kBlock, sizes.n - begin);
      for (int64_t i = 0; i < count; ++i)
        surround(grid_point(coordinates, sizes, batch, begin + i), sizes.resolution, corners.cells[i],
                 corners.weights[i]);
      for (int64_t channel = first_channel; channel < last_channel; ++channel)
        body(corners, batch * sizes.channels + channel, begin, count);
    }
  }
}

}  // namespace

void dense_coordinates(const float* points, const DenseSizes& sizes, bool normalize, float eps, float* coordinates,
                       int threads) {
  bool finite = true;
  for (int64_t i = 0; i < 3 * sizes.batches * sizes.n; ++i) finite &= std::isfinite(points[i]);
  require(finite, "a point is NaN or infinite; remove such points first");
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t batch = 0; batch < sizes.batches; ++batch) {
    const float* cloud = points + 3 * batch * sizes.n;
    const Fit fit = fit_cloud(cloud, sizes, normalize, eps);
    for (int64_t i = 0; i < 3 * sizes.n; ++i)
      coordinates[3 * batch * sizes.n + i] = fit.coordinate(cloud[i] - fit.mean[i / sizes.n], sizes.resolution);
  }
}

void dense_voxelize(const float* features, const float* coordinates, const DenseSizes& sizes, float* voxels,
                    int32_t* counts, int threads) {
  const std::vector<int32_t> cells = nearest_cells(coordinates, sizes, threads);
  count_points(cells, sizes, counts);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t row = 0; row < sizes.batches * sizes.channels; ++row) {
    const int64_t batch = row / sizes.channels;
    const int32_t* cell = cells.data() + batch * sizes.n;
    const int32_t* count = counts + batch * sizes.cells();
    float* volume = voxels + row * sizes.cells();
    std::fill_n(volume, sizes.cells(), 0.0F);
    for (int64_t i = 0; i < sizes.n; ++i) volume[cell[i]] += features[row * sizes.n + i];
    for (int64_t v = 0; v < sizes.cells(); ++v) volume[v] /= static_cast<float>(std::max(count[v], 1));
  }
}

void dense_voxelize_gradient(const float* voxels_gradient, const float* coordinates, const int32_t* counts,
                             const DenseSizes& sizes, float* features_gradient, int threads) {
  const std::vector<int32_t> cells = nearest_cells(coordinates, sizes, threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t row = 0; row < sizes.batches * sizes.channels; ++row) {
    const int64_t batch = row / sizes.channels;
    const int32_t* cell = cells.data() + batch * sizes.n;
    const int32_t* count = counts + batch * sizes.cells();
    const float* volume = voxels_gradient + row * sizes.cells();
    for (int64_t i = 0; i < sizes.n; ++i)
      features_gradient[row * sizes.n + i] = volume[cell[i]] / static_cast<float>(std::max(count[cell[i]], 1));
  }
}

void dense_devoxelize(const float* voxels, const float* coordinates, const DenseSizes& sizes, float* features,
                      int threads) {
  require_inside(coordinates, sizes);
  for_blocks(coordinates, sizes, threads, [&](const Corners& corners, int64_t row, int64_t begin, int64_t count) {
    const float* volume = voxels + row * sizes.cells();
    for (int64_t i = 0; i < count; ++i) {
      float sum = 0.0F;
      for (int corner = 0; corner < kGridCorners; ++corner)
        sum += corners.weights[i][corner] * volume[corners.cells[i][corner]];
      features[row * sizes.n + begin + i] = sum;
    }
  });
}

void dense_devoxelize_gradient(const float* features_gradient, const float* coordinates, const DenseSizes& sizes,
                               float* voxels_gradient, int threads) {
  require_inside(coordinates, sizes);
  std::fill_n(voxels_gradient, sizes.batches * sizes.channels * sizes.cells(), 0.0F);
  for_blocks(coordinates, sizes, threads, [&](const Corners& corners, int64_t row, int64_t begin, int64_t count) {
    float* volume = voxels_gradient + row * sizes.cells();
    for (int64_t i = 0; i < count; ++i) {
      const float gradient = features_gradient[row * sizes.n + begin + i];
      for (int corner = 0; corner < kGridCorners; ++corner)
        volume[corners.cells[i][corner]] += corners.weights[i][corner] * gradient;
    }
  });
}

}  // namespace pk::cpu
