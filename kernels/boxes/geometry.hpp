// How much two rotated rectangles share: for one pair (float, CPU and CUDA) or for a vector of pairs.
//
// The second rectangle is turned into the axes of the first, which covers |x| <= a, |y| <= b. Green's theorem for what
// lies inside both: the area is minus the integral of y dx along the second's boundary, with x and y clamped to the
// first. Each edge gives the integral of a clamped straight line in closed form. There is no list of corners to keep in
// order, so rectangles that touch, coincide or have no area are nothing special, and there are no branches.
//
// Functions have internal linkage, because simd.cpp is compiled once for each instruction set.
#pragma once

#if defined(__CUDACC__)
#define PK_GEOMETRY static __host__ __device__ __forceinline__
#else
#define PK_GEOMETRY static inline
#endif

namespace pk::boxes {

// A box seen from above; T is float or a vector of floats.
template <typename T>
struct Footprint {
  T x, y, half_length, half_width, cosine, sine;
};

// From where to where it reaches, in z.
template <typename T>
struct Extent {
  T low, high;
};

template <typename T>
PK_GEOMETRY T smaller(T a, T b) {
  return a < b ? a : b;
}

template <typename T>
PK_GEOMETRY T larger(T a, T b) {
  return a > b ? a : b;
}

template <typename T>
PK_GEOMETRY T clamped(T value, T limit) {
  return smaller(larger(value, -limit), limit);
}

// Lengths below this are none: their reciprocal would not be finite.
constexpr float kNoLength = 1e-18F;

// 0.5 / x, and 0 where that is no length.
template <typename T>
PK_GEOMETRY T half_over(T x) {
  return larger(x, -x) > kNoLength ? 0.5F / x : T{};
}

// The mean of a number that goes evenly from `from` to `to` and is clamped to +-limit on its way.
template <typename T>
PK_GEOMETRY T mean_of_clamped(T from, T to, T limit) {
  const T low = smaller(from, to);
  const T high = larger(from, to);
  const T clamped_low = clamped(low, limit);
  const T clamped_high = clamped(high, limit);
  const T span = high - low;
  const T below = smaller(larger(-limit - low, T{}), span);
  const T above = smaller(larger(high - limit, T{}), span);
  const T within = (clamped_high - clamped_low) * (0.5F * (clamped_high + clamped_low));
  return span > 0.0F ? (within + limit * (above - below)) / span : clamped_low;
}

// The integral of clamped y dx along an edge from (x, y) by (dx, dy); per_dx is 1 / dx.
template <typename T>
PK_GEOMETRY T edge_integral(T x, T y, T dx, T dy, T per_dx, T half_length, T half_width) {
  const T from = clamped(x, half_length);
  const T to = clamped(x + dx, half_length);
  const T y_from = y + (from - x) * per_dx * dy;
  const T y_to = y + (to - x) * per_dx * dy;
  return (to - from) * mean_of_clamped(y_from, y_to, half_width);
}

template <typename T>
PK_GEOMETRY T shared_area(const Footprint<T>& first, const Footprint<T>& second) {
  const T dx = second.x - first.x;
  const T dy = second.y - first.y;
  const T x = first.cosine * dx + first.sine * dy;
  const T y = first.cosine * dy - first.sine * dx;
  const T cosine = first.cosine * second.cosine + first.sine * second.sine;
  const T sine = first.cosine * second.sine - first.sine * second.cosine;
  // From the centre to the middle of the front, and of the left side.
  const T front_x = cosine * second.half_length;
  const T front_y = sine * second.half_length;
  const T left_x = -sine * second.half_width;
  const T left_y = cosine * second.half_width;
  const T per_front = half_over(front_x);
  const T per_left = half_over(left_x);
  const T a = first.half_length;
  const T b = first.half_width;
  // Counter-clockwise from the front left corner: rear left, rear right, front right.
  return -edge_integral(x + front_x + left_x, y + front_y + left_y, -2.0F * front_x, -2.0F * front_y, -per_front, a,
                        b) -
         edge_integral(x - front_x + left_x, y - front_y + left_y, -2.0F * left_x, -2.0F * left_y, -per_left, a, b) -
         edge_integral(x - front_x - left_x, y - front_y - left_y, 2.0F * front_x, 2.0F * front_y, per_front, a, b) -
         edge_integral(x + front_x - left_x, y + front_y - left_y, 2.0F * left_x, 2.0F * left_y, per_left, a, b);
}

// A share below this may be rounding alone.
constexpr float kLeastShare = 1e-6F;

// Intersection over union in 0..1; 0 where the union is empty or something is not a number.
template <typename T>
PK_GEOMETRY T share(T common, T first, T second) {
  const T ratio = common / (first + second - common);
  return ratio > kLeastShare ? smaller(ratio, T{} + 1.0F) : T{};
}

template <typename T>
PK_GEOMETRY T area(const Footprint<T>& box) {
  return 4.0F * box.half_length * box.half_width;
}

template <typename T>
PK_GEOMETRY T iou_bev(const Footprint<T>& first, const Footprint<T>& second) {
  return share(shared_area(first, second), area(first), area(second));
}

template <typename T>
PK_GEOMETRY T iou_3d(const Footprint<T>& first, const Extent<T>& z, const Footprint<T>& second,
                     const Extent<T>& other) {
  const T gap = smaller(z.high, other.high) - larger(z.low, other.low);
  return share(shared_area(first, second) * larger(gap, T{}), area(first) * (z.high - z.low),
               area(second) * (other.high - other.low));
}

}  // namespace pk::boxes
