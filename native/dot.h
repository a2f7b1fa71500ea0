// The dot product that the kernels of our own share.
#pragma once

#include <cstdint>

namespace patchbay {

/// Independent partial sums of a dot product, which are added at its end.
constexpr int64_t kLanes = 16;

float dot(const float* a, const float* b, int64_t size);

}  // namespace patchbay
