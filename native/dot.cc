#include "dot.h"
#include "processors.h"

namespace patchbay {

FOR_EACH_PROCESSOR float dot(const float* a, const float* b, int64_t size) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; lane++) lanes[lane] += a[i + lane] * b[i + lane];
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; i < size; i++) sum += a[i] * b[i];
  return sum;
}

}  // namespace patchbay
