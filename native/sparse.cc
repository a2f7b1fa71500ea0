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
#include <vector>

namespace patchbay {
namespace {

using at::Tensor;

/// Columns that are summed at a time: the sums and gradients of a thread's rows stay in its cache.
constexpr int64_t kColumns = 512;

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

/// Entries of some rows in the order of their features, so that each decoder row comes from memory once for all of them.
struct ByFeature {
  std::vector<int32_t> start;
  std::vector<int32_t> entry;
  std::vector<int32_t> row;
};

ByFeature byFeature(const int32_t* ends, const int32_t* feature, int64_t from, int64_t to, int64_t features) {
  ByFeature sorted;
  sorted.start.assign(features + 1, 0);
  for (int32_t e = ends[from]; e < ends[to]; e++) sorted.start[feature[e] + 1]++;
  for (int64_t f = 0; f < features; f++) sorted.start[f + 1] += sorted.start[f];
  std::vector<int32_t> next(sorted.start.begin(), sorted.start.end() - 1);
  sorted.entry.resize(ends[to] - ends[from]);
  sorted.row.resize(ends[to] - ends[from]);
  for (int64_t r = from; r < to; r++)
    for (int32_t e = ends[r]; e < ends[r + 1]; e++) {
      const int32_t place = next[feature[e]]++;
      sorted.entry[place] = e;
      sorted.row[place] = static_cast<int32_t>(r);
    }
  return sorted;
}

/// One decoder row and the rows in which its feature is listed, `width` columns: adds its multiples to `sums`, and its dot products with
/// `gradient`, unless that is null, to `dots`.
FOR_EACH_PROCESSOR void addFeature(const float* __restrict decoder, int64_t width, const int32_t* entry, const int32_t* row,
                                   int64_t count, const float* value, const float* gradient, int64_t stride, float* sums,
                                   float* dots) {
  for (int64_t k = 0; k < count; k++) {
    const float weight = value[entry[k]];
    float* __restrict sum = sums + row[k] * stride;
    if (gradient == nullptr) {
      for (int64_t c = 0; c < width; c++) sum[c] += weight * decoder[c];
      continue;
    }
    const float* __restrict g = gradient + row[k] * stride;
    float lanes[2 * kLanes] = {};
    int64_t c = 0;
    for (; c + 2 * kLanes <= width; c += 2 * kLanes)
      for (int64_t lane = 0; lane < 2 * kLanes; lane++) {
        sum[c + lane] += weight * decoder[c + lane];
        lanes[lane] += g[c + lane] * decoder[c + lane];
      }
    float total = 0;
    for (const float lane : lanes) total += lane;
    for (; c < width; c++) {
      sum[c] += weight * decoder[c];
      total += g[c] * decoder[c];
    }
    dots[entry[k]] += total;
  }
}

/// The sum of each row's decoder rows times their values, [R, D]; with a gradient [R, D], each entry's dot product too.
Tensor addDecoderRows(Call& call, const Tensor* gradient, Tensor* dots) {
  const auto* ends = call.tensor(0).data_ptr<int32_t>();
  const auto* feature = call.tensor(1).data_ptr<int32_t>();
  const auto* value = call.tensor(2).data_ptr<float>();
  const Tensor decoder = call.tensor(3).contiguous();
  const auto* weights = decoder.data_ptr<float>();
  const int64_t rows = call.tensor(0).size(0) - 1;
  const int64_t features = decoder.size(0);
  const int64_t width = decoder.size(1);
  const Tensor out = at::zeros({rows, width}, at::kFloat);
  auto* sums = out.data_ptr<float>();
  const auto* g = gradient == nullptr ? nullptr : gradient->data_ptr<float>();
  auto* products = dots == nullptr ? nullptr : dots->data_ptr<float>();
  at::parallel_for(0, rows, 1, [&](int64_t from, int64_t to) {
    const ByFeature sorted = byFeature(ends, feature, from, to, features);
    for (int64_t c = 0; c < width; c += kColumns) {
      const int64_t columns = std::min(kColumns, width - c);
      for (int64_t f = 0; f < features; f++) {
        const int32_t first = sorted.start[f];
        const int32_t count = sorted.start[f + 1] - first;
        if (count == 0) continue;
        if (f + 1 < features)
          for (int64_t i = 0; i < columns; i += kLanes) __builtin_prefetch(weights + (f + 1) * width + c + i);
        addFeature(weights + f * width + c, columns, &sorted.entry[first], &sorted.row[first], count, value,
                   g == nullptr ? nullptr : g + c, width, sums + c, products);
      }
    }
  });
  return out;
}

/// decodeActive(pointer, feature, value, W_dec): the sum of each row's decoder rows times their values, [R, D].
napi_value decodeActive(Call& call) { return call.give(addDecoderRows(call, nullptr, nullptr)); }

/// scoreActive(pointer, feature, value, W_dec, g): that sum, and the dot product of each entry's decoder row with its row of g, [entries].
napi_value scoreActive(Call& call) {
  const Tensor gradient = call.tensor(4).contiguous();
  Tensor dots = at::zeros({call.tensor(1).size(0)}, at::kFloat);
  const Tensor sum = addDecoderRows(call, &gradient, &dots);
  return call.giveAll({sum, dots});
}

const Entry kEntries[] = {
    {"encodeActive", encodeActive},
    {"decodeActive", decodeActive},
    {"scoreActive", scoreActive},
};

}  // namespace

void defineSparse(napi_env env, napi_value exports) { define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry)); }

}  // namespace patchbay
