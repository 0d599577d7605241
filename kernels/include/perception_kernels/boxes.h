/* Boxes of objects: heat-map peaks, decoding, rotated IoU, suppression. Conventions: perception_kernels/common.h.
 *
 * boxes: float32 [n, columns], columns >= 7: x, y, z of the geometric centre, length (along x at yaw 0), width, height,
 * all in metres, and yaw in radians, counter-clockwise seen from above; any finite angle. Further columns are not read.
 * A negative size counts as 0. A box that is not finite, or whose area is 0, overlaps nothing, not even itself.
 *
 * Temporary memory: IoU 36 bytes a box; suppression 100 bytes a box, on a GPU also candidates^2 / 8 bytes (128 MiB at
 * most); peaks on the CPU 16 bytes for each that is wanted and thread, on a GPU 12 bytes a cell; the others none. */
#ifndef PERCEPTION_KERNELS_BOXES_H_
#define PERCEPTION_KERNELS_BOXES_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What two boxes share: area seen from above, or volume. */
typedef enum pk_overlap { PK_OVERLAP_BEV = 0, PK_OVERLAP_3D = 1 } pk_overlap;

/* iou [n_first, n_second]: intersection over union of every pair, in 0..1, exact to 1e-6 (and 0 below that, so that
 * boxes apart from each other have none at all). `overlap` is a pk_overlap. */
PK_API pk_status pk_box_iou(const pk_execution* where, const float* first, int64_t n_first, const float* second,
                            int64_t n_second, int32_t columns, int32_t overlap, float* iou);

/* iou [n]: of each box of `first` with the box of `second` in the same row. */
PK_API pk_status pk_box_iou_aligned(const pk_execution* where, const float* first, const float* second, int64_t n,
                                    int32_t columns, int32_t overlap, float* iou);

/* How the boxes of one class suppress each other; an array of these lies in host memory. */
typedef struct pk_class_suppression {
  float limit;        /* rotated: largest IoU with a better box; circle: a better centre is farther away, in metres */
  float score_above;  /* boxes that do not score more than this are left out */
  int32_t candidates; /* how many of the best take part */
  int32_t kept;       /* how many may be kept */
} pk_class_suppression;

/* Greedy suppression, from the best score down, equal scores by row: a box goes if its BEV IoU with a kept box of its
 * class exceeds the limit. labels [n] name the class of each box, 0..n_classes - 1; null: all are of class 0. kept [n]
 * gets the rows of the kept boxes, class by class and by falling score within; *count (host memory) says how many. A
 * score that is NaN leaves its box out. On a GPU at most 32768 candidates, the sum over the classes, are supported;
 * more than n count as n. */
PK_API pk_status pk_rotated_nms(const pk_execution* where, const float* boxes, int64_t n, int32_t columns,
                                const float* scores, const int32_t* labels, const pk_class_suppression* classes,
                                int32_t n_classes, int32_t* kept, int64_t* count);

/* The same with the distance of centres seen from above: a box goes if a kept one lies within the limit (included).
 * CenterPoint and TransFusion compare the squared distance with their min_radius: the limit is its square root. */
PK_API pk_status pk_circle_nms(const pk_execution* where, const float* boxes, int64_t n, int32_t columns,
                               const float* scores, const int32_t* labels, const pk_class_suppression* classes,
                               int32_t n_classes, int32_t* kept, int64_t* count);

/* A heat map per class, and what makes a cell of it a peak. */
typedef struct pk_heatmap {
  const void* values;     /* [batches, classes, height, width] */
  const void* quality;    /* [batches, height, width] or null: weighs the score (a predicted IoU) */
  const uint8_t* windows; /* [classes], host memory: 1 (every cell is a peak) or 3 (peaks equal their 3 x 3 maximum) */
  int32_t dtype;          /* pk_dtype of values and quality */
  int32_t batches, classes, height, width;
  int32_t sigmoid;       /* 1: values are logits, 0: they are scores already */
  int32_t quality_power; /* score = sigmoid(value) * clamp(quality, 0, 1) ^ quality_power, 1..8 */
  int32_t inner_only;    /* 1: the outermost ring holds no peaks of windows of 3, as in the official TransFusion head */
} pk_heatmap;

/* The `count` best peaks of each batch element, best first, equal ones by class, then cell: scores, labels (classes)
 * and cells (y * width + x), each [batches, count]. Without a quality they are ranked by their values, so rounding of
 * the sigmoid makes no ties. Where there are fewer, cells that are no peaks follow with score 0, by class and cell; NaN
 * and minus infinity are never peaks. `count` is at most classes * height * width, and that less than 2^31. */
PK_API pk_status pk_heatmap_peaks(const pk_execution* where, const pk_heatmap* heatmap, int32_t count, float* scores,
                                  int32_t* labels, int32_t* cells);

/* The regression maps of a detection head, each [batches, channels, cells], and how they code a box. */
typedef struct pk_box_maps {
  const void* center;   /* 2 channels: x, y in cells */
  const void* height;   /* 1 channel: z in metres */
  const void* size;     /* 3 channels: natural logarithms of metres */
  const void* rotation; /* 2 channels: sine, cosine */
  const void* velocity; /* 2 channels in m/s, or null */
  int64_t cells;
  int32_t batches;
  int32_t dtype;        /* pk_dtype of all maps */
  int32_t grid_width;   /* 0: center is absolute; else cell (index % grid_width, index / grid_width) is added to it */
  int32_t width_first;  /* 0: sizes are length, width, height; 1: width, length, height */
  float cell_size_m[2]; /* x = cell_size_m[0] * column + origin_m[0], y likewise */
  float origin_m[2];
  float raise_by_heights; /* z of the centre = height map + this many heights of the box */
  float yaw_sign;         /* yaw = yaw_sign * atan2(sine, cosine) + yaw_offset_rad, wrapped to -pi..pi */
  float yaw_offset_rad;
} pk_box_maps;

/* Boxes of given cells: boxes [batches, count, 9] with vx, vy (m/s; NaN without a velocity map) behind the 7 columns.
 * indices [batches, count] name the cells; null: all in order, count = cells. Where range_m (host memory, float32 [6]:
 * smallest x, y, z, largest x, y, z) is given, kept_scores [batches, count] are `scores` with 0 where a centre lies
 * outside it; scores and kept_scores are null where range_m is. */
PK_API pk_status pk_decode_boxes(const pk_execution* where, const pk_box_maps* maps, const int32_t* indices,
                                 int32_t count, const float* range_m, const float* scores, float* boxes,
                                 float* kept_scores);

/* scores [batches, queries] = sigmoid(logits [batches, classes, queries] of each query's label) times its peak's score:
 * TransFusion's. labels and peak_scores are [batches, queries]; `dtype` is the pk_dtype of the logits. */
PK_API pk_status pk_query_scores(const pk_execution* where, const void* logits, int32_t dtype, int32_t batches,
                                 int32_t classes, int32_t queries, const int32_t* labels, const float* peak_scores,
                                 float* scores);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_BOXES_H_ */
