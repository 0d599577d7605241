#include "kernel_map/cuda.hpp"
#include "kernel_map/window.hpp"
#include "unique/number_voxels.cuh"

namespace pk::cuda {
namespace {

struct Bounds {
  bool used;
  int32_t of[6];
};

// The candidates of a numbering: for each input, the outputs that read it, by ascending weight.
struct Output {
  const int32_t* coords;
  pk_window window;
  Bounds bounds;
  int32_t most[3];  // outputs that read one input along each axis

  __device__ Candidate operator()(int64_t candidate, int32_t* voxel) const {
    const int32_t volume = volume_of(most);
    const int32_t* c = coords + 4 * (candidate / volume);
    if (!in_range(c)) return Candidate::kInputOutOfRange;
    auto turn = static_cast<int32_t>(candidate % volume);
    voxel[0] = c[0];
    for (int axis = 0; axis < 3; turn /= most[axis], ++axis) {
      const int32_t input = c[axis + 1];
      const int32_t weight = first_weight(window, axis, input) + turn % most[axis] * window.stride[axis];
      if (weight >= window.size[axis]) return Candidate::kNone;
      voxel[axis + 1] = output_of(window, axis, input, weight);
    }
    if (bounds.used && !within(bounds.of, voxel)) return Candidate::kNone;
    return in_range(voxel) ? Candidate::kVoxel : Candidate::kOutputOutOfRange;
  }
};

}  // namespace

void window_outputs(const Gpu& gpu, const int32_t* coords, int64_t n, const pk_window& window, const int32_t* bounds,
                    int32_t* out_coords, int64_t capacity, int64_t* count) {
  Output output{coords, window, {bounds != nullptr, {}}, {}};
  for (int i = 0; i < 6 && bounds != nullptr; ++i) output.bounds.of[i] = bounds[i];
  for (int axis = 0; axis < 3; ++axis) output.most[axis] = most_outputs(window, axis);
  const int64_t candidates = n * volume_of(output.most);
  require_rows(candidates, "coords times the outputs that may read each");
  const Numbering found = number_voxels(gpu, output, candidates, {out_coords, nullptr, nullptr, capacity});
  if (found.first_bad_input != Numbering::kNo)
    throw_row_out_of_range(gpu, coords, found.first_bad_input / static_cast<unsigned>(volume_of(output.most)));
  require(found.first_bad_output == Numbering::kNo, kOutputOutOfRange);
  if (found.overflow != Numbering::kNo) throw_too_many_outputs(capacity);
  *count = found.count;
}

}  // namespace pk::cuda
