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
#include <cstring>
#include <mutex>
#include <vector>

namespace patchbay {
namespace {

using at::Tensor;

/// Columns that are summed at a time: the sums and gradients of a thread's rows stay in its cache.
constexpr int64_t kColumns = 512;

/// Flags that are looked at together.
constexpr int64_t kWord = sizeof(uint64_t);

/// 1 for each feature whose pre-activation is above its gate. What is not a number counts as active, so that it shows.
FOR_EACH_PROCESSOR void flagActive(const float* pre, const float* bias, const float* gate, int64_t size, uint8_t* flags) {
  for (int64_t i = 0; i < size; i++) flags[i] = pre[i] + bias[i] <= gate[i] ? 0 : 1;
}

/// Active features of consecutive rows.
struct ActiveRows {
  int64_t from;
  std::vector<int32_t> counts;
  std::vector<int32_t> feature;
  std::vector<float> value;
};

/// Few features fire, so eight flags are passed over at a time.
ActiveRows listRows(const float* pre, const float* bias, const float* gate, int64_t from, int64_t to, int64_t features) {
  ActiveRows listed{from, {}, {}, {}};
  std::vector<uint8_t> flags((features + kWord - 1) / kWord * kWord);
  for (int64_t r = from; r < to; r++) {
    const float* row = pre + r * features;
    flagActive(row, bias, gate, features, flags.data());
    const size_t before = listed.feature.size();
    for (int64_t first = 0; first < features; first += kWord) {
      uint64_t word;
      std::memcpy(&word, &flags[first], kWord);
      for (; word != 0; word &= word - 1) {
        const int64_t i = first + __builtin_ctzll(word) / 8;
        listed.feature.push_back(static_cast<int32_t>(i));
        listed.value.push_back(row[i] + bias[i]);
      }
    }
    listed.counts.push_back(static_cast<int32_t>(listed.feature.size() - before));
  }
  return listed;
}

/// What changes from each row of `before` to that of `after`, features that fire in neither left out. Rows of equal inputs change in
/// nothing, though their pre-activations may differ in the last bit, as rows of one product do.
ActiveRows listChanges(const float* before, const float* after, const float* bias, const float* gate, const float* inputBefore,
                       const float* inputAfter, int64_t width, int64_t from, int64_t to, int64_t features) {
  ActiveRows listed{from, {}, {}, {}};
  const int64_t padded = (features + kWord - 1) / kWord * kWord;
  std::vector<uint8_t> flagsBefore(padded), flagsAfter(padded);
  for (int64_t r = from; r < to; r++) {
    const size_t startOfRow = listed.feature.size();
    if (std::memcmp(inputBefore + r * width, inputAfter + r * width, width * sizeof(float)) != 0) {
      const float* rowBefore = before + r * features;
      const float* rowAfter = after + r * features;
      flagActive(rowBefore, bias, gate, features, flagsBefore.data());
      flagActive(rowAfter, bias, gate, features, flagsAfter.data());
      for (int64_t first = 0; first < features; first += kWord) {
        uint64_t firesBefore, firesAfter;
        std::memcpy(&firesBefore, &flagsBefore[first], kWord);
        std::memcpy(&firesAfter, &flagsAfter[first], kWord);
        for (uint64_t word = firesBefore | firesAfter; word != 0; word &= word - 1) {
          const int64_t i = first + __builtin_ctzll(word) / 8;
          const float change =
              (flagsAfter[i] ? rowAfter[i] + bias[i] : 0.0f) - (flagsBefore[i] ? rowBefore[i] + bias[i] : 0.0f);
          if (change == 0) continue;
          listed.feature.push_back(static_cast<int32_t>(i));
          listed.value.push_back(change);
        }
      }
    }
    listed.counts.push_back(static_cast<int32_t>(listed.feature.size() - startOfRow));
  }
  return listed;
}

/// Lists of all rows as pointer, feature and value; `list` makes those of a range of rows, on any thread.
template <typename List>
napi_value giveLists(Call& call, int64_t rows, const List& list) {
  std::vector<ActiveRows> parts;
  std::mutex adding;
  at::parallel_for(0, rows, 1, [&](int64_t from, int64_t to) {
    ActiveRows part = list(from, to);
    const std::lock_guard<std::mutex> lock(adding);
    parts.push_back(std::move(part));
  });
  std::sort(parts.begin(), parts.end(), [](const ActiveRows& a, const ActiveRows& b) { return a.from < b.from; });
  int64_t total = 0;
  for (const ActiveRows& part : parts) total += static_cast<int64_t>(part.feature.size());
  const Tensor pointer = at::zeros({rows + 1}, at::kInt);
  const Tensor feature = at::empty({total}, at::kInt);
  const Tensor value = at::empty({total}, at::kFloat);
  auto* ends = pointer.data_ptr<int32_t>();
  int64_t row = 0;
  for (const ActiveRows& part : parts) {
    std::copy(part.feature.begin(), part.feature.end(), feature.data_ptr<int32_t>() + ends[row]);
    std::copy(part.value.begin(), part.value.end(), value.data_ptr<float>() + ends[row]);
    for (const int32_t count : part.counts) {
      ends[row + 1] = ends[row] + count;
      row++;
    }
  }
  return call.giveAll({pointer, feature, value});
}

void expectForEach(const Tensor& pre, const Tensor& bias, const Tensor& gate) {
  expect(pre.dim() == 2 && bias.numel() == pre.size(1) && gate.numel() == pre.size(1), "a bias and a gate for each feature");
}

/// encodeActive(x, W_enc, b_enc, gate): features whose pre-activation is above the gate.
napi_value encodeActive(Call& call) {
  const Tensor pre = product(call.tensor(0), call.tensor(1)).contiguous();
  expectForEach(pre, call.tensor(2), call.tensor(3));
  const auto* x = pre.data_ptr<float>();
  const auto* bias = call.tensor(2).data_ptr<float>();
  const auto* gate = call.tensor(3).data_ptr<float>();
  return giveLists(call, pre.size(0), [&](int64_t from, int64_t to) {
    return listRows(x, bias, gate, from, to, pre.size(1));
  });
}

/// encodeChanges(x, y, W_enc, b_enc, gate): what changes from x to y, row by row. One product for both.
napi_value encodeChanges(Call& call) {
  const Tensor x = call.tensor(0).contiguous();
  const Tensor y = call.tensor(1).contiguous();
  expect(x.dim() == 2 && x.sizes() == y.sizes(), "two runs of equally many rows");
  const Tensor pre = product(at::cat({x, y}), call.tensor(2)).contiguous();
  expectForEach(pre, call.tensor(3), call.tensor(4));
  const int64_t features = pre.size(1);
  const auto* before = pre.data_ptr<float>();
  const auto* after = before + x.size(0) * features;
  const auto* bias = call.tensor(3).data_ptr<float>();
  const auto* gate = call.tensor(4).data_ptr<float>();
  return giveLists(call, x.size(0), [&](int64_t from, int64_t to) {
    return listChanges(before, after, bias, gate, x.data_ptr<float>(), y.data_ptr<float>(), x.size(1), from, to, features);
  });
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

/// @throws where a list is not one of features of a decoder: an address would be computed from it.
void checkLists(const Tensor& pointer, const Tensor& feature, const Tensor& value, int64_t features) {
  const auto* ends = pointer.data_ptr<int32_t>();
  const auto* of = feature.data_ptr<int32_t>();
  const int64_t count = feature.numel();
  expect(pointer.numel() > 0 && ends[0] == 0 && ends[pointer.numel() - 1] == count && value.numel() == count &&
             std::is_sorted(ends, ends + pointer.numel()),
         "as many features and values as the rows' entries");
  expect(std::all_of(of, of + count, [&](int32_t one) { return one >= 0 && one < features; }), "features of the decoder");
}

/// The sum of each row's decoder rows times their values, [R, D]; with a gradient [R, D], each entry's dot product too.
Tensor addDecoderRows(Call& call, const Tensor* gradient, Tensor* dots) {
  const auto* ends = call.tensor(0).data_ptr<int32_t>();
  const auto* feature = call.tensor(1).data_ptr<int32_t>();
  const auto* value = call.tensor(2).data_ptr<float>();
  const Tensor decoder = call.tensor(3).contiguous();
  const auto* weights = decoder.data_ptr<float>();
  const int64_t rows = call.tensor(0).numel() - 1;
  const int64_t features = decoder.size(0);
  const int64_t width = decoder.size(1);
  checkLists(call.tensor(0), call.tensor(1), call.tensor(2), features);
  expect(gradient == nullptr || gradient->sizes() == at::IntArrayRef({rows, width}), "a gradient for each row");
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
    {"encodeChanges", encodeChanges},
    {"decodeActive", decodeActive},
    {"scoreActive", scoreActive},
};

}  // namespace

void defineSparse(napi_env env, napi_value exports) { define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry)); }

}  // namespace patchbay
