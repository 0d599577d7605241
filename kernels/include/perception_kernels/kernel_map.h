/* Which input row each weight of each output row multiplies. Conventions: perception_kernels/common.h.
 *
 * Sizes, strides and paddings are given per axis: x, y, z. Weight order of every table but that of pk_strided_table: x
 * fastest, k = kx + size_x * (ky + size_y * kz).
 */
#ifndef PERCEPTION_KERNELS_KERNEL_MAP_H_
#define PERCEPTION_KERNELS_KERNEL_MAP_H_

#include "perception_kernels/coordinates.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an output voxel reads: input = output * stride - padding + k on each axis, with k in 0..size - 1.
 * size 1..7, stride 1..64, padding 0..64. The submanifold table is the window of stride 1 and padding size / 2. */
typedef struct pk_window {
  int32_t size[3];
  int32_t stride[3];
  int32_t padding[3];
} pk_window;

/* Neighbours in a box of odd sizes (1, 3, 5, 7) around each voxel: table [n, size_x * size_y * size_z]. A voxel that
 * occurs twice or lies out of range is an error on the CPU; on a GPU any one of its rows is used, or it has no
 * neighbours. */
PK_API pk_status pk_submanifold_table(const pk_execution* where, const int32_t* coords, int64_t n,
                                      const int32_t kernel_size[3], int32_t* table);

/* Every voxel whose window holds an input, in order of first occurrence: by the input's row, then by the weight that
 * it meets there. bounds: the lowest x, y, z and the highest x, y, z that outputs may have, others are left out; null
 * for none. out_coords [capacity, 4]; *count says how many rows are used, more than `capacity` are an error. */
PK_API pk_status pk_window_outputs(const pk_execution* where, const int32_t* coords, int64_t n, const pk_window* window,
                                   const int32_t bounds[6], int32_t* out_coords, int64_t capacity, int64_t* count);

/* The inputs in the window of each output: table [n_out, size_x * size_y * size_z]. A voxel out of
 * range, or an input that occurs twice, is an error on the CPU; on a GPU it is absent, or its first row is used. */
PK_API pk_status pk_window_table(const pk_execution* where, const int32_t* coords, int64_t n, const int32_t* out_coords,
                                 int64_t n_out, const pk_window* window, int32_t* table);

/* Children of each coarse voxel, where size and stride are equal: table [n_coarse, kernel_volume], z fastest, from the
 * outputs of pk_downsample; kernel_volume 1..256 is the product of the strides. Rows with parent -1 are left out. Two
 * rows with the same parent and offset are an error on the CPU; on a GPU the last one counts. */
PK_API pk_status pk_strided_table(const pk_execution* where, const int32_t* parent, const uint8_t* offset, int64_t n,
                                  int64_t n_coarse, int32_t kernel_volume, int32_t* table);

/* Turn a table around: transposed [n_in, kernel_volume], the output row that each input row feeds, or -1. An input
 * row that one weight uses twice is an error on the CPU; on a GPU the last output row counts. */
PK_API pk_status pk_transpose_table(const pk_execution* where, const int32_t* table, int64_t n_out,
                                    int32_t kernel_volume, int64_t n_in, int32_t* transposed);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_KERNEL_MAP_H_ */
