/* Voxels as keys: hash, distinct voxels, coarser levels. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_COORDINATES_H_
#define PERCEPTION_KERNELS_COORDINATES_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows by voxel. The caller owns both arrays, each of `capacity` elements (see pk_hash_capacity). */
typedef struct pk_hash {
  uint64_t* keys;
  int32_t* values;
  int64_t capacity;
} pk_hash;

/* Slots that a hash of n rows needs: a power of two; 0 where n is negative or too large. */
PK_API int64_t pk_hash_capacity(int64_t n);

/* Fill a hash with the rows of coords. A voxel that occurs twice is an error. Waits for the stream of a GPU. */
PK_API pk_status pk_hash_build(const pk_execution* where, const int32_t* coords, int64_t n, const pk_hash* hash);

/* rows[i] = the row whose voxel equals wanted[i], or -1. On a GPU, a wanted voxel out of range is not found; on the CPU
 * it is an error. */
PK_API pk_status pk_hash_query(const pk_execution* where, const pk_hash* hash, const int32_t* wanted, int64_t n,
                               int32_t* rows);

/* Distinct voxels in order of first occurrence. Outputs hold up to n rows; *count says how many are used.
 * unique_coords [n, 4], first [n] (first row of each voxel), inverse [n] (voxel of each row). */
PK_API pk_status pk_unique(const pk_execution* where, const int32_t* coords, int64_t n, int32_t* unique_coords,
                           int32_t* first, int32_t* inverse, int64_t* count);

/* How many rows lie in each voxel: counts [n_voxels] from inverse [n], as pk_unique and pk_voxelize give it; rows of -1
 * lie in none. */
PK_API pk_status pk_voxel_counts(const pk_execution* where, const int32_t* inverse, int64_t n, int64_t n_voxels,
                                 int32_t* counts);

/* Every distinct floor(xyz / stride), in order of first occurrence. stride: x, y, z, at least 1, their product at most
 * 256. coarse_coords [n, 4], parent [n] (coarse row of each row), offset [n] (where in its parent a voxel lies:
 * (dx * stride_y + dy) * stride_z + dz). */
PK_API pk_status pk_downsample(const pk_execution* where, const int32_t* coords, int64_t n, const int32_t stride[3],
                               int32_t* coarse_coords, int32_t* parent, uint8_t* offset, int64_t* count);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_COORDINATES_H_ */
