#pragma once

#include "kernel_map/sorted_voxels.hpp"
#include "kernel_map/window.hpp"

namespace pk {

// Write the distinct voxels whose window holds an input; returns their number.
int64_t window_outputs(const int32_t* coords, int64_t n, const pk_window& window, const int32_t* bounds,
                       int32_t* out_coords, int64_t capacity);

// Fill the table of the inputs in the window of each output.
void fill_window(const SortedVoxels& inputs, const SortedVoxels& outputs, const int32_t* out_coords,
                 const pk_window& window, int32_t* table, int threads);

}  // namespace pk
