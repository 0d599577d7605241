/* Tokens in the cells of a bird's-eye view: their order along windows, groups of equal size, and where they are.
 * Conventions: perception_kernels/common.h. Here coords are int32 [n, 3] = batch, y, x, cells of a map. */
#ifndef PERCEPTION_KERNELS_WINDOW_H_
#define PERCEPTION_KERNELS_WINDOW_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How FlatFormer walks through the windows of a map (Liu et al. 2023, section 3.1). Along x: rows of windows by y, each
 * row to and fro like a snake, and within a window column by column, also to and fro; in odd rows of windows the walk
 * within a window is reversed. Along y: the same with x and y swapped. n_batches * height * width is at most 2^40, and
 * a window has at most 2^16 cells. */
typedef struct pk_window_walk {
  int32_t n_batches;
  int32_t height;
  int32_t width;
  int32_t window_height;
  int32_t window_width;
  int32_t along_y; /* 0: along x */
  int32_t shifted; /* 1: all cells are moved by half a window, rounded down, before windows are cut */
} pk_window_walk;

/* keys uint64 [n]: batch elements by number, then cells in the order of the walk; equal cells have equal keys. A cell
 * outside the map is an error; on a GPU its key is the largest of all. */
PK_API pk_status pk_window_keys(const pk_execution* where, const int32_t* coords, int64_t n, const pk_window_walk* walk,
                                uint64_t* keys);

/* order int32 [n]: the rows of coords by key, equal keys in order of their rows. */
PK_API pk_status pk_window_order(const pk_execution* where, const int32_t* coords, int64_t n,
                                 const pk_window_walk* walk, int32_t* order);

/* Slots that pk_group_tokens fills: the sum of the counts, each rounded up to whole groups; -1 for bad arguments. */
PK_API int64_t pk_group_slots(const int64_t* counts, int64_t n_batches, int32_t group_size);

/* Cut a sequence of tokens into groups of equal size, each batch element by itself. counts [n_batches], in host memory:
 * tokens of each element, one after the other in the sequence. flat2win [slots]: the position in the sequence of each
 * slot's token; win2flat [tokens]: the slot of each position. A last group that is not full repeats tokens: those in
 * the same slots of the group before, or, where there is none, the element's own tokens from the first one on, over and
 * over. */
PK_API pk_status pk_group_tokens(const pk_execution* where, const int64_t* counts, int64_t n_batches,
                                 int32_t group_size, int32_t* flat2win, int32_t* win2flat);

/* output [n, 2 * half] = features + (table[x], table[y]) by the cell of each row; features [n, 2 * half] may be null
 * (0), and is stored as dtype like output; its rows lie step elements apart. table float32 [length, half]; a cell
 * outside it is an error, and adds nothing on a GPU. */
PK_API pk_status pk_add_position(const pk_execution* where, const void* features, int64_t step, const int32_t* coords,
                                 int64_t n, const float* table, int32_t length, int32_t half, int32_t dtype,
                                 void* output);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_WINDOW_H_ */
