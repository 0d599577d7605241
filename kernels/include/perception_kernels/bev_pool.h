/* From camera images and LiDAR points to a bird's-eye-view map. Conventions: perception_kernels/common.h.
 *
 * A frustum point is one depth of one pixel of one camera's feature map. Points are numbered as the depth probabilities
 * lie: [cameras, depths, pixels], where the cameras of all samples follow each other and pixels are rows times columns.
 * A map is [planes, channels, plane_cells]: one plane for each sample and height, cells row-major over x, y.
 * pk_bev_cells and pk_bev_order run once per calibration, the rest every frame.
 */
#ifndef PERCEPTION_KERNELS_BEV_POOL_H_
#define PERCEPTION_KERNELS_BEV_POOL_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The cells of one sample along x, y, z. */
typedef struct pk_bev_grid {
  float lower_m[3];
  float cell_size_m[3];
  int32_t shape[3];
} pk_bev_grid;

/* cells [n] = the cell of each point, -1 outside: ((sample * nz + z) * nx + x) * ny + y. points float32 [n, 3] in
 * metres, in the grid's frame; n is a multiple of samples, whose points follow each other. As BEVFusion does it,
 * (point - lower) / size truncates towards zero: cell 0 also takes points up to one cell outside. */
PK_API pk_status pk_bev_cells(const pk_execution* where, const float* points, int64_t n, int32_t samples,
                              const pk_bev_grid* grid, int32_t* cells);

/* Sort points by cell: those of cell c are order[begins[c]] to order[begins[c + 1] - 1], ascending. begins
 * [n_cells + 1], order [n]; entries from begins[n_cells] on are -1. */
PK_API pk_status pk_bev_order(const pk_execution* where, const int32_t* cells, int64_t n, int64_t n_cells,
                              int32_t* begins, int32_t* order);

/* map = sum of the features [n, channels] of each cell's points, 0 where there are none. dtype: of features and map. */
PK_API pk_status pk_bev_pool(const pk_execution* where, const void* features, int64_t n, int32_t channels,
                             int32_t dtype, const int32_t* order, const int32_t* begins, int32_t planes,
                             int64_t plane_cells, void* map);

/* features_gradient [n, channels] of pk_bev_pool, from map_gradient and the cells of the points; float32. */
PK_API pk_status pk_bev_pool_gradient(const pk_execution* where, const float* map_gradient, const int32_t* cells,
                                      int64_t n, int32_t channels, int32_t planes, int64_t plane_cells,
                                      float* features_gradient);

/* Sizes of pooling fused with the product of depth and context. depth [cameras, depths, pixels]; context [cameras,
 * channels, pixels], or [cameras, pixels, channels] where channels_last is not 0. dtype: of depth, context and map. */
typedef struct pk_lift {
  int32_t cameras;
  int32_t depths;
  int32_t pixels;
  int32_t channels;
  int32_t channels_last;
  int32_t dtype;
  int32_t planes;
  int64_t plane_cells;
} pk_lift;

/* map = sum of depth times the pixel's context over each cell's points. The product is never stored. Extra memory: the
 * context once more where it is not channels-last float32. order, begins: of all cameras * depths * pixels points. */
PK_API pk_status pk_lift_pool(const pk_execution* where, const pk_lift* sizes, const void* depth, const void* context,
                              const int32_t* order, const int32_t* begins, void* map);

/* depth_gradient and context_gradient of pk_lift_pool, laid out as depth and context; float32. Extra memory: the map
 * and the context once more. */
PK_API pk_status pk_lift_pool_gradient(const pk_execution* where, const pk_lift* sizes, const float* depth,
                                       const float* context, const float* map_gradient, const int32_t* cells,
                                       float* depth_gradient, float* context_gradient);

/* Depth images of a cloud: depth [cameras, height, width] in metres, 0 where no point falls. points float32
 * [n, columns], x, y, z first; image_from_lidar float32 [cameras, 4, 4] projects them, augmentation [cameras, 4, 4]
 * (null: none) then moves the pixels as the image was resized and cropped. Pixel = (v, u) truncated; where points
 * share one the last wins. Depths are clamped to 1e-5..1e5 m, as in BEVFusion. */
PK_API pk_status pk_depth_images(const pk_execution* where, const float* points, int64_t n, int32_t columns,
                                 const float* image_from_lidar, const float* augmentation, int32_t cameras,
                                 int32_t height, int32_t width, float* depth);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_BEV_POOL_H_ */
