#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

// Waits for the stream, to report voxels that are out of range or occur twice.
void hash_build(const Gpu& gpu, const int32_t* coords, int64_t n, const pk_hash& hash);
void hash_query(const Gpu& gpu, const pk_hash& hash, const int32_t* wanted, int64_t n, int32_t* rows);

}  // namespace pk::cuda
