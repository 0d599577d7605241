#include "common/grouping.cuh"
#include "common/rows.cuh"
#include "hash/table.hpp"
#include "unique/number_voxels.cuh"
#include "voxelize/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int32_t kNoVoxel = INT32_MIN;

// What a look at all points found, in the GPU's memory.
struct Survey {
  int32_t minimum[3] = {INT32_MAX, INT32_MAX, INT32_MAX};
  int32_t bad_row = INT32_MAX;  // the first
};

__global__ void quantize_points(Points points, VoxelSize size, int32_t* coords) {
  const int64_t row = global_index();
  if (row >= points.count) return;
  int32_t voxel[3];
  const bool good = quantize_point(points, row, size, voxel);
  for (int axis = 0; axis < 3; ++axis) coords[3 * row + axis] = good ? voxel[axis] : kNoVoxel;
}

// A block looks at its points first, so that few threads meet at the survey.
__global__ void survey_voxels(const int32_t* xyz, int64_t n, Survey* survey) {
  __shared__ int32_t minimum[3];
  if (threadIdx.x < 3) minimum[threadIdx.x] = INT32_MAX;
  __syncthreads();
  const int64_t row = global_index();
  const bool good = row < n && xyz[3 * row] != kNoVoxel;
  if (row < n && !good) atomicMin(&survey->bad_row, static_cast<int32_t>(row));
  for (int axis = 0; axis < 3 && good; ++axis) atomicMin(&minimum[axis], xyz[3 * row + axis]);
  __syncthreads();
  if (threadIdx.x < 3) atomicMin(&survey->minimum[threadIdx.x], minimum[threadIdx.x]);
}

__global__ void find_cells(Points points, Grid grid, bool clamp, int32_t* cells, int32_t* bad_row) {
  const int64_t row = global_index();
  if (row >= points.count) return;
  const Xyz xyz = xyz_of(points, row);
  int32_t cell[3];
  bool inside = is_finite(xyz);
  if (!inside && bad_row != nullptr) atomicMin(bad_row, static_cast<int32_t>(row));
  if (clamp)
    nearest_cell_of(xyz, grid, cell);
  else
    inside &= cell_of(xyz, grid, cell);
  for (int axis = 0; axis < 3; ++axis) cells[3 * row + axis] = inside ? cell[axis] : -1;
}

// Candidates of number_voxels: quantized points, shifted to start at the minimum.
struct QuantizedVoxel {
  const int32_t* xyz;
  const Survey* survey;
  bool from_minimum;
  int32_t batch;
  __device__ Candidate operator()(int64_t row, int32_t* voxel) const {
    if (xyz[3 * row] == kNoVoxel) return Candidate::kNone;
    voxel[0] = batch;
    for (int axis = 0; axis < 3; ++axis)
      voxel[axis + 1] = xyz[3 * row + axis] - (from_minimum ? survey->minimum[axis] : 0);
    return in_range(voxel) ? Candidate::kVoxel : Candidate::kInputOutOfRange;
  }
};

struct GridVoxel {
  const int32_t* cells;
  int32_t batch;
  __device__ Candidate operator()(int64_t row, int32_t* voxel) const {
    voxel[0] = batch;
    for (int axis = 0; axis < 3; ++axis) voxel[axis + 1] = cells[3 * row + axis];
    return voxel[1] < 0 ? Candidate::kNone : Candidate::kVoxel;
  }
};

// The first points of each voxel, in their order.
__global__ void collect(Points points, HardLimits limits, GroupsView groups, int64_t n_voxels, HardVoxels output) {
  const int64_t voxel = row_of_thread();
  if (voxel >= n_voxels) return;
  const int32_t* members = groups.members + groups.begins[voxel];
  const int32_t count = min(groups.begins[voxel + 1] - groups.begins[voxel], limits.max_points);
  if (threadIdx.x == 0) output.counts[voxel] = count;
  for (int64_t channel = threadIdx.x; channel < limits.channels; channel += blockDim.x) {
    float sum = 0.0F;
    for (int64_t slot = 0; slot < limits.max_points; ++slot) {
      const float value = slot < count ? value_of(points, members[slot], channel) : 0.0F;
      sum += value;
      if (output.voxels != nullptr)
        output.voxels[(voxel * limits.max_points + slot) * limits.channels + channel] = value;
      else if (slot >= count)
        break;
    }
    if (output.means != nullptr) output.means[voxel * limits.channels + channel] = sum / static_cast<float>(count);
  }
}

void throw_if_bad(const Gpu& gpu, const Points& points, int32_t bad_row) {
  if (bad_row == Survey().bad_row) return;
  Xyz xyz{};
  copy_to_host(gpu, xyz.value, points.data + bad_row * points.stride, sizeof(xyz.value));
  throw_bad_point(xyz, bad_row);
}

[[noreturn]] void throw_voxel_out_of_range(const Gpu& gpu, const int32_t* xyz, const int32_t* origin, int32_t batch,
                                           int64_t row) {
  int32_t at[3];
  copy_to_host(gpu, at, xyz + 3 * row, sizeof(at));
  const int32_t voxel[4] = {batch, at[0] - origin[0], at[1] - origin[1], at[2] - origin[2]};
  throw_out_of_range(voxel, row);
}

}  // namespace

void quantize(const Gpu& gpu, const Points& points, const VoxelSize& size, int32_t* coords) {
  launch(gpu, {{"points", points.count}}, quantize_points, blocks(points.count, kThreads), kThreads, 0, points, size,
         coords);
}

void grid_cells(const Gpu& gpu, const Points& points, const Grid& grid, bool clamp, int32_t* cells) {
  launch(gpu, {{"points", points.count}}, find_cells, blocks(points.count, kThreads), kThreads, 0, points, grid, clamp,
         cells, nullptr);
}

int64_t voxelize(const Gpu& gpu, const Points& points, const VoxelSize& size, bool from_minimum, int32_t batch,
                 int32_t* coords, int32_t* first, int32_t* inverse, int32_t minimum[3]) {
  for (int axis = 0; axis < 3; ++axis) minimum[axis] = 0;
  if (points.count == 0) return 0;
  const Scratch<int32_t> xyz(gpu, 3 * points.count);
  const Scratch<Survey> survey(gpu, 1);
  Survey found;
  copy_to_device(gpu, survey.data(), &found, sizeof(found));
  quantize(gpu, points, size, xyz.data());
  launch(gpu, {{"points", points.count}}, survey_voxels, blocks(points.count, kThreads), kThreads, 0, xyz.data(),
         points.count, survey.data());
  const QuantizedVoxel make{xyz.data(), survey.data(), from_minimum, batch};
  const Numbering voxels = number_voxels(gpu, make, points.count, {coords, first, inverse, points.count});
  copy_to_host(gpu, &found, survey.data(), sizeof(found));
  throw_if_bad(gpu, points, found.bad_row);
  const int32_t zero[3] = {0, 0, 0};
  if (voxels.first_bad_input != Numbering::kNo)
    throw_voxel_out_of_range(gpu, xyz.data(), from_minimum ? found.minimum : zero, batch, voxels.first_bad_input);
  for (int axis = 0; axis < 3; ++axis) minimum[axis] = found.minimum[axis];
  return voxels.count;
}

int64_t voxelize_hard(const Gpu& gpu, const Points& points, const HardLimits& limits, const Grid& grid,
                      const HardVoxels& output) {
  const int64_t n = points.count;
  if (n == 0) return 0;
  const Scratch<int32_t> cells(gpu, 3 * n), coords(gpu, 4 * n), voxel_of_point(gpu, n), bad_row(gpu, 1);
  int32_t bad = Survey().bad_row;
  copy_to_device(gpu, bad_row.data(), &bad, sizeof(bad));
  launch(gpu, {{"points", n}}, find_cells, blocks(n, kThreads), kThreads, 0, points, grid, false, cells.data(),
         bad_row.data());
  const GridVoxel make{cells.data(), limits.batch};
  const Numbering found = number_voxels(gpu, make, n, {coords.data(), nullptr, voxel_of_point.data(), n});
  copy_to_host(gpu, &bad, bad_row.data(), sizeof(bad));
  throw_if_bad(gpu, points, bad);
  const int64_t kept = found.count < limits.max_voxels ? found.count : limits.max_voxels;
  const Groups groups(gpu, voxel_of_point.data(), n, kept);  // the points of all other voxels are left out
  copy_on_device(gpu, output.coords, coords.data(), 4 * kept * static_cast<int64_t>(sizeof(int32_t)));
  launch(gpu, {{"points", n}, {"voxels", kept}, {"channels", limits.channels}}, collect,
         row_grid(kept, limits.channels), row_block(limits.channels), 0, points, limits, groups.view(), kept, output);
  return kept;
}

}  // namespace pk::cuda
