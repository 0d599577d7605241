/* Sparse convolution with what can be prepared once a table, and with a choice of how to compute it.
 * Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_PREPARED_CONVOLUTION_H_
#define PERCEPTION_KERNELS_PREPARED_CONVOLUTION_H_

#include "perception_kernels/sparse_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pairs of input and output rows are listed weight by weight, and for each weight in tiles of as many output rows. */
#define PK_PAIR_TILE 64

/* Count the pairs of a table [n_out, kernel_volume] of inputs below n_in: begins [kernel_volume * tiles + 1] with
 * tiles = ceil(n_out / PK_PAIR_TILE), where the pairs of weight k and tile t begin at [k * tiles + t]; counts
 * [kernel_volume] in host memory. n_out * kernel_volume must be less than 2^31. */
PK_API pk_status pk_count_pairs(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                                int64_t n_in, int32_t* begins, int64_t* counts);

/* List them, with the begins of pk_count_pairs and the sum of its counts: inputs [pairs] and outputs [pairs], in the
 * order of the output rows within a weight. */
PK_API pk_status pk_list_pairs(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                               int64_t n_in, const int32_t* begins, int64_t pairs, int32_t* inputs, int32_t* outputs);

/* Order the rows of a table by the set of weights that they use: order [n_out], a permutation. Implicit GEMM leaves out
 * what no row of a tile uses, and rows beside each other then use much the same. */
PK_API pk_status pk_order_rows(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                               int64_t n_in, int32_t* order);

/* A table and what was prepared from it; all but the table may be null. */
typedef struct pk_prepared_table {
  const int32_t* table;
  const int32_t* order;       /* pk_order_rows */
  const int32_t* pair_begins; /* pk_count_pairs, pk_list_pairs */
  const int32_t* pair_inputs;
  const int32_t* pair_outputs;
  const int64_t* pair_counts; /* [kernel_volume], in host memory */
} pk_prepared_table;

/* How a GPU computes a layer. Results are the same up to the order of float32 sums, and the same on every run. */
typedef enum pk_dataflow {
  PK_DATAFLOW_BY_RULE = 0,
  /* Tiles of the output, weight by weight, skipping those that no row of a tile uses; best with `order`. */
  PK_IMPLICIT_GEMM = 1,
  /* Tiles of the output, each weight for its pairs only; needs pairs. */
  PK_FETCH_ON_DEMAND = 2,
  /* Rows are gathered, multiplied by few large matrix products, and scattered; needs pairs. Buffers of at most 64 MiB
   * and n_out * c_out floats. Weights with fewer than `threshold` pairs share a product as long as the smaller ones
   * waste at most the share `epsilon` of it (adaptive grouping of TorchSparse, MLSys 2022). */
  PK_GATHER_SCATTER = 3
} pk_dataflow;

typedef struct pk_convolution_tuning {
  int32_t dataflow;     /* pk_dataflow */
  int32_t tile_rows;    /* of the products: 64 x 32, 64 x 64, 64 x 96 or 128 x 128; fetch on demand has the first two */
  int32_t tile_columns; /* 0: by rule */
  int32_t tensor_cores; /* 0: plain multiplications also for float16; otherwise where the GPU has tensor cores */
  float epsilon;        /* 0..1 */
  int64_t threshold;    /* pairs */
} pk_convolution_tuning;

/* pk_sparse_convolution with a prepared table. tuning null: by rule. On the CPU only the table is used. */
PK_API pk_status pk_prepared_convolution(const pk_execution* where, const pk_convolution* layer,
                                         const pk_prepared_table* prepared, const pk_convolution_tuning* tuning);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_PREPARED_CONVOLUTION_H_ */
