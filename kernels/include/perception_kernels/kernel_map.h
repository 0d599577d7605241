/* Which input row each weight of each output row multiplies. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_KERNEL_MAP_H_
#define PERCEPTION_KERNELS_KERNEL_MAP_H_

#include "perception_kernels/coordinates.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Neighbours in a cube of odd size (1, 3, 5, 7), x fastest: table [n, kernel_size^3]. hash: built from coords. */
PK_API pk_status pk_submanifold_table(const pk_execution* where, const int32_t* coords, int64_t n, const pk_hash* hash,
                                      int32_t kernel_size, int32_t* table);

/* Children of each coarse voxel, size 2 and stride 2: table [n_coarse, 8], from the outputs of pk_downsample. Rows with
 * parent -1 are left out. */
PK_API pk_status pk_strided_table(const pk_execution* where, const int32_t* parent, const uint8_t* offset, int64_t n,
                                  int64_t n_coarse, int32_t* table);

/* Turn a table around: transposed [n_in, kernel_volume], the output row that each input row feeds, or -1. An input
 * row that one weight uses twice is an error. */
PK_API pk_status pk_transpose_table(const pk_execution* where, const int32_t* table, int64_t n_out,
                                    int32_t kernel_volume, int64_t n_in, int32_t* transposed);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_KERNEL_MAP_H_ */
