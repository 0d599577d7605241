/* Attention within groups of tokens. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_ATTENTION_H_
#define PERCEPTION_KERNELS_ATTENTION_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax attention without a matrix of scores in memory. For every slot s of a group and every head,
 * result[s] = sum over the group's slots j of softmax_j(scale * q[s] . k[j]) v[j].
 *
 * Slots: [groups, group_size], any group size from 1 to 256. Slot s holds the token at position flat2win[s] of the
 * sequence (pk_group_tokens), whose row is order[position] (pk_window_order); a token may lie in several slots and
 * counts as a key in each. The result of position p is that of slot win2flat[p]. order null: position p is row p.
 * flat2win and win2flat null: slot s is position s.
 *
 * q, k, v: n_tokens rows that lie their stride apart (in elements), each heads * head_dim long, head h at
 * h * head_dim; head_dim 1 to 32. output [n_tokens, heads * head_dim], dense. All of them are of one dtype.
 * Every row of output is written if order is a permutation; on the CPU anything else is an error. */
typedef struct pk_attention {
  const void* q;
  const void* k;
  const void* v;
  void* output;
  const int32_t* order;    /* [n_tokens] or null */
  const int32_t* flat2win; /* [n_slots], or null where n_slots equals n_tokens */
  const int32_t* win2flat; /* [n_tokens], or null with flat2win */
  int64_t n_tokens;
  int64_t n_slots; /* a multiple of group_size */
  int64_t q_stride;
  int64_t k_stride;
  int64_t v_stride;
  int32_t heads;
  int32_t head_dim;
  int32_t group_size;
  int32_t dtype; /* pk_dtype */
  float scale;   /* finite; 1 / sqrt(head_dim) as a rule */
} pk_attention;

/* On a GPU a slot whose token does not exist is left out. */
PK_API pk_status pk_group_attention(const pk_execution* where, const pk_attention* call);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_ATTENTION_H_ */
