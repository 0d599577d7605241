#pragma once

#include "kernel_map/sorted_voxels.hpp"

namespace pk {

// Fill the table of the neighbours in a box of odd sizes.
void fill_submanifold(const SortedVoxels& voxels, const int32_t* size, int32_t* table, int threads);

}  // namespace pk
