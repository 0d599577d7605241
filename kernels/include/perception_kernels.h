/* Sparse 3D operations on raw memory: the whole public interface of libperception_kernels.
 *
 * Conventions
 * - Every function returns a pk_status; after anything but PK_OK, pk_last_error() tells the calling thread why, and
 *   the outputs are undefined. Nothing throws or aborts across this interface, and there is no mutable global state.
 * - Arrays are dense, row-major and owned by the caller; outputs never overlap inputs. Sizes are rows, channels or
 *   elements. Pointers may be null only where that is said, or where their size is 0.
 * - coords: int32 [n, 4] = batch, x, y, z, in voxels of their own level. batch lies in 0..4095 and x, y, z in
 *   -65504..65503; anything else is PK_OUT_OF_RANGE, never a wrap.
 * - table: int32 [n_out, kernel_volume]: the input row that weight k of an output row multiplies, -1 for none.
 *   Weight order as in the published checkpoints of torchsparse: size 3 has x fastest, size 2 has z fastest.
 * - weight: float32 [kernel_volume, c_in, c_out].
 * - Results do not depend on the number of threads.
 */
#ifndef PERCEPTION_KERNELS_H_
#define PERCEPTION_KERNELS_H_

#include <stdint.h>

#if defined(_WIN32)
#define PK_API __declspec(dllexport)
#else
#define PK_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a function is added, removed or changes its meaning. */
#define PK_INTERFACE_VERSION 1

typedef enum pk_status {
  PK_OK = 0,
  PK_INVALID_ARGUMENT = 1,
  PK_OUT_OF_RANGE = 2,
  PK_NO_MEMORY = 3,
  PK_UNSUPPORTED = 4,
  PK_INTERNAL = 5
} pk_status;

#define PK_DEVICE_CPU (-1)

/* Where a call runs. Null means the CPU with one thread. */
typedef struct pk_execution {
  int32_t device;  /* PK_DEVICE_CPU, or the index of a GPU */
  int32_t threads; /* CPU threads, at least 1 */
  void* stream;    /* a CUDA stream; ignored on the CPU */
} pk_execution;

/* Rows by voxel. The caller owns both arrays, each of `capacity` elements (see pk_hash_capacity). */
typedef struct pk_hash {
  uint64_t* keys;
  int32_t* values;
  int64_t capacity;
} pk_hash;

/* What is wrong with the last call of this thread that failed; valid until its next failing call. */
PK_API const char* pk_last_error(void);

PK_API int32_t pk_interface_version(void);

/* The instruction set chosen on this machine: "avx512", "avx2", "neon" or "baseline". The environment variable
 * PERCEPTION_KERNELS_INSTRUCTION_SET, read once, names a narrower one. */
PK_API const char* pk_instruction_set(void);

/* --- hash ------------------------------------------------------------------------------------------------------- */

/* Slots that a hash of n rows needs: a power of two; 0 where n is negative or too large. */
PK_API int64_t pk_hash_capacity(int64_t n);

/* Fill a hash with the rows of coords. A voxel that occurs twice is an error. */
PK_API pk_status pk_hash_build(const pk_execution* where, const int32_t* coords, int64_t n, const pk_hash* hash);

/* rows[i] = the row whose voxel equals wanted[i], or -1. */
PK_API pk_status pk_hash_query(const pk_execution* where, const pk_hash* hash, const int32_t* wanted, int64_t n,
                               int32_t* rows);

/* --- unique ----------------------------------------------------------------------------------------------------- */

/* Distinct voxels in order of first occurrence. Outputs hold up to n rows; *count says how many are used.
 * unique_coords [n, 4], first [n] (first row of each voxel), inverse [n] (voxel of each row). */
PK_API pk_status pk_unique(const pk_execution* where, const int32_t* coords, int64_t n, int32_t* unique_coords,
                           int32_t* first, int32_t* inverse, int64_t* count);

/* Every distinct floor(xyz / 2), in order of first occurrence. coarse_coords [n, 4], parent [n] (coarse row of each
 * row), offset [n] (4 dx + 2 dy + dz within the parent, d in {0, 1}). */
PK_API pk_status pk_downsample(const pk_execution* where, const int32_t* coords, int64_t n, int32_t* coarse_coords,
                               int32_t* parent, uint8_t* offset, int64_t* count);

/* --- voxelize --------------------------------------------------------------------------------------------------- */

/* xyz / voxel size, rounded half to even in float32: coords [n, 3]. Rows of points start with x, y, z as float32 and
 * lie point_stride bytes apart (any alignment). NaN or infinity is PK_INVALID_ARGUMENT. */
PK_API pk_status pk_quantize(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                             const float voxel_size_m[3], int32_t* coords);

/* Quantize one cloud, shift each axis to start at 0 where from_minimum is not 0, and keep distinct voxels as
 * pk_unique does. minimum [3] receives the smallest quantized x, y, z (0 for no points). */
PK_API pk_status pk_voxelize(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                             const float voxel_size_m[3], int32_t from_minimum, int32_t batch, int32_t* coords,
                             int32_t* first, int32_t* inverse, int32_t minimum[3], int64_t* count);

/* --- kernel map ------------------------------------------------------------------------------------------------- */

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

/* --- sparse convolution ----------------------------------------------------------------------------------------- */

/* One layer. features [n_in, c_in], weight [kernel_volume, c_in, c_out], output [n_out, c_out]; bias [c_out] and
 * residual [n_out, c_out] may be null. output = relu(sum_k features[input(k)] @ weight[k] + bias + residual), where
 * relu applies if `relu` is not 0. With transpose_weight not 0, weight is [kernel_volume, c_out, c_in] and its
 * transpose is used (gradients of data). */
typedef struct pk_convolution {
  const float* features;
  const float* weight;
  const float* bias;
  const float* residual;
  float* output;
  int64_t n_in;
  int64_t n_out;
  int32_t kernel_volume;
  int32_t c_in;
  int32_t c_out;
  int32_t relu;
  int32_t transpose_weight;
} pk_convolution;

/* Inputs by a table [n_out, kernel_volume]. Extra memory: the weights once more, and under 1 MiB a thread. */
PK_API pk_status pk_sparse_convolution(const pk_execution* where, const pk_convolution* layer, const int32_t* table);

/* Each output row has one input, parent[i], and one weight, offset[i]: the transposed convolution of size 2, stride 2.
 * parent -1 leaves bias and residual. */
PK_API pk_status pk_inverse_convolution(const pk_execution* where, const pk_convolution* layer, const int32_t* parent,
                                        const uint8_t* offset);

/* weight_gradient [kernel_volume, c_in, c_out]: sum over o of features[table[o, k]]^T output_gradient[o]. */
PK_API pk_status pk_weight_gradient(const pk_execution* where, const float* features, int64_t n_in, int32_t c_in,
                                    const float* output_gradient, int64_t n_out, int32_t c_out, const int32_t* table,
                                    int32_t kernel_volume, float* weight_gradient);

/* --- devoxelize ------------------------------------------------------------------------------------------------- */

/* The 8 voxels around each point and their trilinear weights. points float32 [n, 4] = batch, then xyz in voxels of
 * stride 1; hash: of the voxels at `stride`, in units of that stride. indices [n, 8] (-1 where absent; x slowest, z
 * fastest); weights [n, 8]: absent corners 0, the others divided by their sum + 1e-8. */
PK_API pk_status pk_trilinear_table(const pk_execution* where, const float* points, int64_t n, int32_t stride,
                                    const pk_hash* hash, int32_t* indices, float* weights);

/* output [n, channels] = sum over the 8 corners of weight times features [n_voxels, channels]. */
PK_API pk_status pk_devoxelize(const pk_execution* where, const float* features, int64_t n_voxels, int32_t channels,
                               const int32_t* indices, const float* weights, int64_t n, float* output);

/* features_gradient [n_voxels, channels] of pk_devoxelize, from output_gradient [n, channels]. */
PK_API pk_status pk_devoxelize_gradient(const pk_execution* where, const float* output_gradient, int64_t n,
                                        int32_t channels, const int32_t* indices, const float* weights,
                                        int64_t n_voxels, float* features_gradient);

/* --- scatter ---------------------------------------------------------------------------------------------------- */

/* means [n_voxels, channels] of the features [n, channels] of each voxel's points; index -1 is left out; a voxel
 * without points is 0. counts [n_voxels] may be null. */
PK_API pk_status pk_scatter_mean(const pk_execution* where, const float* features, int64_t n, int32_t channels,
                                 const int32_t* index, int64_t n_voxels, float* means, int32_t* counts);

/* features_gradient [n, channels] of pk_scatter_mean, from means_gradient [n_voxels, channels] and counts. */
PK_API pk_status pk_scatter_mean_gradient(const pk_execution* where, const float* means_gradient, int64_t n_voxels,
                                          int32_t channels, const int32_t* index, const int32_t* counts, int64_t n,
                                          float* features_gradient);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_H_ */
