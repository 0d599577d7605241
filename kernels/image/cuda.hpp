// Resizing images on a GPU; arguments are checked by the entry point.
#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

void image_resize(const Gpu& gpu, const pk_image_call& call);

}  // namespace pk::cuda
