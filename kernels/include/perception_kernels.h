/* Sparse 3D perception on raw memory: the whole public interface of libperception_kernels, one header a family. */
#ifndef PERCEPTION_KERNELS_H_
#define PERCEPTION_KERNELS_H_

#include "perception_kernels/attention.h"
#include "perception_kernels/bev_pool.h"
#include "perception_kernels/boxes.h"
#include "perception_kernels/common.h"
#include "perception_kernels/coordinates.h"
#include "perception_kernels/dense_voxels.h"
#include "perception_kernels/feed_forward.h"
#include "perception_kernels/image.h"
#include "perception_kernels/kernel_map.h"
#include "perception_kernels/pillars.h"
#include "perception_kernels/points.h"
#include "perception_kernels/prepared_convolution.h"
#include "perception_kernels/rows.h"
#include "perception_kernels/sequence.h"
#include "perception_kernels/sparse_conv.h"
#include "perception_kernels/voxels.h"
#include "perception_kernels/window.h"

#endif /* PERCEPTION_KERNELS_H_ */
