/* From points to voxels. Conventions: perception_kernels/common.h.
 *
 * Rows of points start with x, y, z in metres as float32 and lie point_stride bytes apart (12 or more, any alignment).
 * A point that is NaN or infinite is PK_INVALID_ARGUMENT; on a GPU, where a call does not wait, see there. */
#ifndef PERCEPTION_KERNELS_VOXELS_H_
#define PERCEPTION_KERNELS_VOXELS_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* xyz / voxel size, rounded half to even in float32: coords [n, 3]. On a GPU a point that is not finite or too far
 * away gets the smallest int32 on each axis, which no voxel has. */
PK_API pk_status pk_quantize(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                             const float voxel_size_m[3], int32_t* coords);

/* Quantize one cloud, shift each axis to start at 0 where from_minimum is not 0, and keep distinct voxels as
 * pk_unique does. minimum [3] receives the smallest quantized x, y, z (0 for no points). */
PK_API pk_status pk_voxelize(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                             const float voxel_size_m[3], int32_t from_minimum, int32_t batch, int32_t* coords,
                             int32_t* first, int32_t* inverse, int32_t minimum[3], int64_t* count);

/* A box of equal cells, in host memory: round((high - low) / voxel size) cells along each axis, 1 to 65503. */
typedef struct pk_grid {
  float low_m[3];
  float high_m[3];
  float voxel_size_m[3];
} pk_grid;

/* The cell floor((xyz - low) / voxel size), in float32, of each point: cells [n, 3]. A point outside the grid gets -1
 * on every axis, or where clamp is not 0 the nearest cell on each axis. On a GPU a point that is not finite counts as
 * outside. */
PK_API pk_status pk_grid_cells(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                               const pk_grid* grid, int32_t clamp, int32_t* cells);

/* Hard voxelisation: the cells of pk_grid_cells that hold points, in order of first occurrence, each with its first
 * max_points points. Rows of points hold `channels` float32. Dropped are points outside the grid, points of a voxel
 * beyond max_points, and every point of the voxels that occur first after max_voxels others did; points of a kept voxel
 * still count then. Outputs hold up to min(n, max_voxels) rows; *count says how many are used. voxels
 * [rows, max_points, channels], 0 after a voxel's last point, may be null; means [rows, channels] of the points kept
 * may be null; coords [rows, 4]; counts [rows], the points kept. */
PK_API pk_status pk_voxelize_hard(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                                  int32_t channels, const pk_grid* grid, int32_t max_points, int64_t max_voxels,
                                  int32_t batch, float* voxels, float* means, int32_t* coords, int32_t* counts,
                                  int64_t* count);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_VOXELS_H_ */
