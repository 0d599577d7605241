/* Points as pillars, the cells of a bird's-eye view. Conventions: perception_kernels/common.h.
 *
 * Here coords are int32 [n, 3] = batch, y, x: a cell of a map. */
#ifndef PERCEPTION_KERNELS_PILLARS_H_
#define PERCEPTION_KERNELS_PILLARS_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The cells that points fall into: x = floor((point_x - minimum_m[0]) / size_m[0]) in float32, y likewise. height,
 * width and n_batches are at least 1, and n_batches * height * width is at most 2^28. */
typedef struct pk_pillar_grid {
  float minimum_m[3];
  float size_m[3]; /* of a cell; its z size tells where the centre of a pillar lies */
  int32_t height;  /* cells along y */
  int32_t width;   /* cells along x */
  /* 0: points outside the grid, z included (one cell high), belong to no pillar. 1: they belong to the nearest cell. */
  int32_t clamp;
  /* 1: leave out the first occupied pillar of every batch element, in order of (y, x), with all its points.
   * FlatFormer's published weights were trained so. */
  int32_t drop_first;
} pk_pillar_grid;

/* Which points lie in which pillar. points float32 [n, channels] with xyz first, in metres; batch int32 [n] in
 * 0..n_batches - 1, or null (all 0). A point with NaN or infinity in xyz, or another batch, belongs to no pillar.
 *
 * coords [n, 3]: the pillars in order of (batch, y, x). order [n]: the points by pillar, in ascending order within
 * each. begins [n + 1]: pillar p has the points order[begins[p]] to order[begins[p + 1] - 1]. pillar [n]: that of point
 * order[i]. In host memory: counts int64 [n_batches], pillars of each batch element; kept, points that belong to one.
 * Only as many rows as there are pillars and such points are written. */
PK_API pk_status pk_pillars(const pk_execution* where, const float* points, int64_t n, int32_t channels,
                            const int32_t* batch, int32_t n_batches, const pk_pillar_grid* grid, int32_t* coords,
                            int32_t* order, int32_t* begins, int32_t* pillar, int64_t* counts, int64_t* kept);

/* features [n_kept, channels + 6], rows in the order of `order`: the point's channels, its xyz less the mean xyz of its
 * pillar, its xyz less the centre of its pillar. n: rows of points; n_kept: rows of order and pillar. */
PK_API pk_status pk_pillar_features(const pk_execution* where, const float* points, int64_t n, int32_t channels,
                                    const pk_pillar_grid* grid, const int32_t* coords, const int32_t* order,
                                    const int32_t* begins, int64_t n_pillars, int64_t n_kept, float* features);

typedef enum pk_reduction { PK_MAX = 0, PK_MEAN = 1 } pk_reduction;

/* output [n_segments, channels]: the largest or mean value of rows begins[s] to begins[s + 1] - 1 of features
 * [n, channels], both stored as dtype; 0 for a segment without rows. NaN comes through. */
PK_API pk_status pk_segment_reduce(const pk_execution* where, const void* features, int64_t n, int32_t channels,
                                   int32_t dtype, const int32_t* begins, int64_t n_segments, int32_t reduction,
                                   void* output);

typedef enum pk_map_layout { PK_CHANNELS_FIRST = 0, PK_CHANNELS_LAST = 1 } pk_map_layout;

/* map [n_batches, channels, height, width] or [n_batches, height, width, channels]: features [n, channels] at their
 * coords [n, 3], zero elsewhere; both are stored as dtype. A cell that occurs twice gets its last row. */
PK_API pk_status pk_pillars_to_map(const pk_execution* where, const void* features, const int32_t* coords, int64_t n,
                                   int32_t channels, int32_t dtype, int32_t n_batches, int32_t height, int32_t width,
                                   int32_t layout, void* map);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_PILLARS_H_ */
