/* Small dense voxel grids around whole clouds, as PVConv uses them. Conventions: perception_kernels/common.h.
 *
 * points and coordinates are float32 [batches, 3, n], features [batches, channels, n], voxels
 * [batches, channels, r, r, r] with r the resolution and z fastest. coordinates count cells and lie in 0..r - 1: on the
 * CPU anything else is PK_INVALID_ARGUMENT, on a GPU such a point counts as absent. */
#ifndef PERCEPTION_KERNELS_DENSE_VOXELS_H_
#define PERCEPTION_KERNELS_DENSE_VOXELS_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fit each cloud into its grid. From the points their mean is subtracted; where normalize is not 0 they are divided by
 * twice the largest norm plus eps and 0.5 is added, else 1 is added and the sum halved. The result is multiplied by r
 * and clamped to 0..r - 1. A cloud without extent goes to the middle. */
PK_API pk_status pk_dense_coordinates(const pk_execution* where, const float* points, int64_t batches, int64_t n,
                                      int32_t resolution, int32_t normalize, float eps, float* coordinates);

/* Means of the features of each cell's points, 0 where there is none; the cell is the coordinates rounded half to even.
 * counts [batches, r, r, r]: the points in each cell. */
PK_API pk_status pk_dense_voxelize(const pk_execution* where, const float* features, const float* coordinates,
                                   int64_t batches, int32_t channels, int64_t n, int32_t resolution, float* voxels,
                                   int32_t* counts);

/* features_gradient of pk_dense_voxelize, from voxels_gradient and counts. */
PK_API pk_status pk_dense_voxelize_gradient(const pk_execution* where, const float* voxels_gradient,
                                            const float* coordinates, const int32_t* counts, int64_t batches,
                                            int32_t channels, int64_t n, int32_t resolution, float* features_gradient);

/* Trilinear interpolation of the voxels at the coordinates: features. */
PK_API pk_status pk_dense_devoxelize(const pk_execution* where, const float* voxels, const float* coordinates,
                                     int64_t batches, int32_t channels, int64_t n, int32_t resolution, float* features);

/* voxels_gradient of pk_dense_devoxelize, from features_gradient. */
PK_API pk_status pk_dense_devoxelize_gradient(const pk_execution* where, const float* features_gradient,
                                              const float* coordinates, int64_t batches, int32_t channels, int64_t n,
                                              int32_t resolution, float* voxels_gradient);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_DENSE_VOXELS_H_ */
