#include "common/cuda.cuh"
#include "voxelize/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int32_t kNoVoxel = INT32_MIN;

__global__ void quantize_points(Points points, VoxelSize size, int32_t* coords) {
  const int64_t row = global_index();
  if (row >= points.count) return;
  int32_t voxel[3];
  const bool good = quantize_point(points, row, size, voxel);
  for (int axis = 0; axis < 3; ++axis) coords[3 * row + axis] = good ? voxel[axis] : kNoVoxel;
}

__global__ void find_cells(Points points, Grid grid, bool clamp, int32_t* cells) {
  const int64_t row = global_index();
  if (row >= points.count) return;
  const Xyz xyz = xyz_of(points, row);
  int32_t cell[3];
  bool inside = is_finite(xyz);
  if (clamp)
    nearest_cell_of(xyz, grid, cell);
  else
    inside &= cell_of(xyz, grid, cell);
  for (int axis = 0; axis < 3; ++axis) cells[3 * row + axis] = inside ? cell[axis] : -1;
}

}  // namespace

void quantize(const Gpu& gpu, const Points& points, const VoxelSize& size, int32_t* coords) {
  launch(gpu, {{"points", points.count}}, quantize_points, blocks(points.count, kThreads), kThreads, 0, points, size,
         coords);
}

void grid_cells(const Gpu& gpu, const Points& points, const Grid& grid, bool clamp, int32_t* cells) {
  launch(gpu, {{"points", points.count}}, find_cells, blocks(points.count, kThreads), kThreads, 0, points, grid, clamp,
         cells);
}

int64_t voxelize(const Gpu&, const Points&, const VoxelSize&, bool, int32_t, int32_t*, int32_t*, int32_t*, int32_t*) {
  throw Failure(PK_UNSUPPORTED, "this operation has no CUDA kernel yet");
}

int64_t voxelize_hard(const Gpu&, const Points&, const HardLimits&, const Grid&, const HardVoxels&) {
  throw Failure(PK_UNSUPPORTED, "this operation has no CUDA kernel yet");
}

}  // namespace pk::cuda
