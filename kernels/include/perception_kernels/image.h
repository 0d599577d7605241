/* From a camera's image, as ROS carries it, to a network's input. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_IMAGE_H_
#define PERCEPTION_KERNELS_IMAGE_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Encodings of sensor_msgs/Image, by the names of sensor_msgs/image_encodings.hpp. Colours:
 * - yuv422 is U Y V Y, yuv422_yuy2 is Y U Y V; width is even. BT.601 in the range 16..235, in integers as OpenCV's
 *   COLOR_YUV2RGB_UYVY: with y = 1.164 max(Y - 16, 0), R = y + 1.596 (V - 128), G = y - 0.391 (U - 128) -
 *   0.813 (V - 128), B = y + 2.018 (U - 128), each rounded and clamped to 0..255.
 * - bayer_*8 name the colours of the first two rows. Bilinear: a missing colour is the rounded mean of its 2 or 4
 *   nearest pixels. The pixels beyond the border mirror those inside; everywhere else this equals OpenCV.
 * - mono8 is the same value in all three colours. Alpha is ignored. */
typedef enum pk_image_encoding {
  PK_RGB8 = 0,
  PK_BGR8 = 1,
  PK_RGBA8 = 2,
  PK_BGRA8 = 3,
  PK_MONO8 = 4,
  PK_YUV422 = 5,
  PK_YUV422_YUY2 = 6,
  PK_BAYER_RGGB8 = 7,
  PK_BAYER_BGGR8 = 8,
  PK_BAYER_GBRG8 = 9,
  PK_BAYER_GRBG8 = 10
} pk_image_encoding;

/* Along one axis, output i is the sum over k < taps of weights[i, k] times source begins[i] + k. Weights have 22 bits
 * after the binary point; the sum is rounded and clamped to 0..255. begins[i] + taps stays within the source. Arrays
 * lie where the call runs. */
typedef struct pk_resize_axis {
  const int32_t* begins;  /* [size] */
  const int32_t* weights; /* [size, taps] */
  int32_t size;
  int32_t taps;
} pk_resize_axis;

/* One image: decoded, resized (columns first, then rows, rounded to 8 bits after each, as Pillow does), and scaled:
 * output = value * scale + offset for each output channel. */
typedef struct pk_image_call {
  const uint8_t* image; /* height rows, step bytes apart */
  int64_t step;
  int32_t height;
  int32_t width;
  int32_t encoding;
  int32_t first_row; /* source rows first_row to first_row + row_count - 1 hold all that rows.begins names */
  int32_t row_count;
  pk_resize_axis columns;
  pk_resize_axis rows;
  float scale[3]; /* by output channel */
  float offset[3];
  int32_t bgr;           /* output channels are B, G, R where not 0, else R, G, B */
  int32_t channels_last; /* output [rows.size, columns.size, 3] where not 0, else [3, rows.size, columns.size] */
  int32_t dtype;         /* of the output, a pk_dtype */
  void* output;
} pk_image_call;

/* Extra memory: 4 bytes for each of row_count * columns.size pixels. */
PK_API pk_status pk_image_resize(const pk_execution* where, const pk_image_call* call);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_IMAGE_H_ */
