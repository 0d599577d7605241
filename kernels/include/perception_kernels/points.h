/* Between points and voxels. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_POINTS_H_
#define PERCEPTION_KERNELS_POINTS_H_

#include "perception_kernels/coordinates.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The 8 voxels around each point and their trilinear weights. points float32 [n, 4] = batch, then xyz in voxels of
 * stride 1; hash: of the voxels at `stride`, in units of that stride. indices [n, 8] (-1 where absent; x slowest, z
 * fastest); weights [n, 8]: absent corners 0, the others divided by their sum + 1e-8. A point that is not finite or out
 * of range is PK_OUT_OF_RANGE; on a GPU all of its corners are absent instead. */
PK_API pk_status pk_trilinear_table(const pk_execution* where, const float* points, int64_t n, int32_t stride,
                                    const pk_hash* hash, int32_t* indices, float* weights);

/* output [n, channels] = sum over the 8 corners of weight times features [n_voxels, channels]. Both are stored as
 * `dtype`, a pk_dtype; weights are float32. */
PK_API pk_status pk_devoxelize(const pk_execution* where, const void* features, int32_t dtype, int64_t n_voxels,
                               int32_t channels, const int32_t* indices, const float* weights, int64_t n, void* output);

/* features_gradient [n_voxels, channels] of pk_devoxelize, from output_gradient [n, channels]. */
PK_API pk_status pk_devoxelize_gradient(const pk_execution* where, const float* output_gradient, int64_t n,
                                        int32_t channels, const int32_t* indices, const float* weights,
                                        int64_t n_voxels, float* features_gradient);

/* means [n_voxels, channels] of the features [n, channels] of each voxel's points, both stored as `dtype`, a pk_dtype;
 * index -1 is left out; a voxel without points is 0. counts [n_voxels] may be null. */
PK_API pk_status pk_scatter_mean(const pk_execution* where, const void* features, int32_t dtype, int64_t n,
                                 int32_t channels, const int32_t* index, int64_t n_voxels, void* means,
                                 int32_t* counts);

/* features_gradient [n, channels] of pk_scatter_mean, from means_gradient [n_voxels, channels] and counts. */
PK_API pk_status pk_scatter_mean_gradient(const pk_execution* where, const float* means_gradient, int64_t n_voxels,
                                          int32_t channels, const int32_t* index, const int32_t* counts, int64_t n,
                                          float* features_gradient);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_POINTS_H_ */
