// Products of SAEs that skip the features that do not fire. Active features are three arrays: row r has entries
// `pointer[r] .. pointer[r + 1]`, each a feature (ascending) and its value.
//
// Loops are written so that compilers turn them into vector code, and compiled for several processors. Every number is computed
// by one thread in one order, so bits do not depend on the number of threads.
#include "call.h"
#include "dot.h"
#include "product.h"
#include "processors.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace patchbay {
namespace {

using at::Tensor;

/// Columns that are summed at a time: the sums stay in registers.
constexpr int64_t kColumns = 128;

FOR_EACH_PROCESSOR int64_t countActive(const float* pre, const float* bias, const float* gate, int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < size; i++) count += pre[i] + bias[i] <= gate[i] ? 0 : 1;
  return count;
}

void listActive(const float* pre, const float* bias, const float* gate, int64_t size, int32_t* feature, float* value) {
  for (int64_t i = 0; i < size; i++) {
    const float x = pre[i] + bias[i];
    if (x <= gate[i]) continue;
    *feature++ = static_cast<int32_t>(i);
    *value++ = x;
  }
}

/// encodeActive(x, W_enc, b_enc, gate): features whose pre-activation is above the gate. What is not a number counts as active,
/// so that it shows.
napi_value encodeActive(Call& call) {
  const Tensor pre = product(call.tensor(0), call.tensor(1)).contiguous();
  const int64_t rows = pre.size(0);
  const int64_t features = pre.size(1);
  const auto* x = pre.data_ptr<float>();
  const auto* bias = call.tensor(2).data_ptr<float>();
  const auto* gate = call.tensor(3).data_ptr<float>();
  const Tensor pointer = at::zeros({rows + 1}, at::kInt);
  auto* ends = pointer.data_ptr<int32_t>();
  at::parallel_for(0, rows, 1, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++)
      ends[r + 1] = static_cast<int32_t>(countActive(x + r * features, bias, gate, features));
  });
  for (int64_t r = 0; r < rows; r++) ends[r + 1] += ends[r];
  const Tensor feature = at::empty({ends[rows]}, at::kInt);
  const Tensor value = at::empty({ends[rows]}, at::kFloat);
  auto* indices = feature.data_ptr<int32_t>();
  auto* values = value.data_ptr<float>();
  at::parallel_for(0, rows, 1, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++)
      listActive(x + r * features, bias, gate, features, indices + ends[r], values + ends[r]);
  });
  return call.giveAll({pointer, feature, value});
}

/// Adds `value * row` of every entry, for `width` columns.
FOR_EACH_PROCESSOR void addRows(const float* decoder, int64_t stride, const int32_t* feature, const float* value,
                                int64_t entries, int64_t width, float* out) {
  float sums[kColumns] = {};
  if (width == kColumns) {
    for (int64_t e = 0; e < entries; e++) {
      const float* row = decoder + feature[e] * stride;
      const float weight = value[e];
      for (int64_t c = 0; c < kColumns; c++) sums[c] += weight * row[c];
    }
  } else {
    for (int64_t e = 0; e < entries; e++) {
      const float* row = decoder + feature[e] * stride;
      const float weight = value[e];
      for (int64_t c = 0; c < width; c++) sums[c] += weight * row[c];
    }
  }
  std::copy(sums, sums + width, out);
}

/// decodeActive(pointer, feature, value, W_dec): the sum of each row's decoder rows times their values, [R, D].
napi_value decodeActive(Call& call) {
  const auto* ends = call.tensor(0).data_ptr<int32_t>();
  const auto* feature = call.tensor(1).data_ptr<int32_t>();
  const auto* value = call.tensor(2).data_ptr<float>();
  const Tensor decoder = call.tensor(3).contiguous();
  const auto* weights = decoder.data_ptr<float>();
  const int64_t rows = call.tensor(0).size(0) - 1;
  const int64_t width = decoder.size(1);
  const Tensor out = at::empty({rows, width}, at::kFloat);
  auto* sums = out.data_ptr<float>();
  at::parallel_for(0, rows, 1, [&](int64_t from, int64_t to) {
    // A stripe of the decoder serves all rows of the thread while it is in the cache.
    for (int64_t c = 0; c < width; c += kColumns)
      for (int64_t r = from; r < to; r++)
        addRows(weights + c, width, feature + ends[r], value + ends[r], ends[r + 1] - ends[r],
                std::min(kColumns, width - c), sums + r * width + c);
  });
  return call.give(out);
}

/// decoderDots(pointer, feature, W_dec, g): the dot product of each entry's decoder row with its row of g, [entries].
napi_value decoderDots(Call& call) {
  const auto* ends = call.tensor(0).data_ptr<int32_t>();
  const auto* feature = call.tensor(1).data_ptr<int32_t>();
  const Tensor decoder = call.tensor(2).contiguous();
  const Tensor gradient = call.tensor(3).contiguous();
  const auto* weights = decoder.data_ptr<float>();
  const auto* g = gradient.data_ptr<float>();
  const int64_t rows = call.tensor(0).size(0) - 1;
  const int64_t width = decoder.size(1);
  const Tensor out = at::empty({call.tensor(1).size(0)}, at::kFloat);
  auto* dots = out.data_ptr<float>();
  at::parallel_for(0, rows, 1, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++)
      for (int64_t e = ends[r]; e < ends[r + 1]; e++) dots[e] = dot(weights + feature[e] * width, g + r * width, width);
  });
  return call.give(out);
}

const Entry kEntries[] = {
    {"encodeActive", encodeActive},
    {"decodeActive", decodeActive},
    {"decoderDots", decoderDots},
};

}  // namespace

void defineSparse(napi_env env, napi_value exports) { define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry)); }

}  // namespace patchbay
