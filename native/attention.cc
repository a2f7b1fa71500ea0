// Soft-capped, masked attention of short prompts and its gradient, one kernel each:
// `softmax(cap tanh(q k^T scale / cap) + mask) v`. Rows are read and written where they lie in [batch x positions, heads x width].
//
// Each kv head of each prompt is computed by one thread in one order, so bits do not depend on the number of threads; and a query's
// do not depend on which other queries there are.
#include "call.h"
#include "lanes.h"
#include "processors.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

namespace patchbay {
namespace {

using at::Tensor;

/// Multiplications of a thread's share, at least.
constexpr int64_t kFewMultiplications = int64_t{1} << 16;

/// Dot products of `x` with each row.
FOR_EACH_PROCESSOR void dotRows(const float* x, const float* const* rows, int64_t count, int64_t width, float* dots) {
  for (int64_t r = 0; r < count; r++) {
    const float* row = rows[r];
    Lanes even = {};
    Lanes odd = {};
    int64_t i = 0;
    for (; i + 2 * kVector <= width; i += 2 * kVector) {
      even += load(x + i) * load(row + i);
      odd += load(x + i + kVector) * load(row + i + kVector);
    }
    float sum = sumOf(even + odd);
    for (; i < width; i++) sum += x[i] * row[i];
    dots[r] = sum;
  }
}

/// Sum of the rows, each times its weight; weights lie `step` apart.
FOR_EACH_PROCESSOR void sumRows(const float* weights, int64_t step, const float* const* rows, int64_t count,
                                int64_t width, float* sum) {
  int64_t i = 0;
  for (; i + 4 * kVector <= width; i += 4 * kVector) {
    Lanes sums[4] = {};
    for (int64_t r = 0; r < count; r++)
      for (int64_t part = 0; part < 4; part++) sums[part] += weights[r * step] * load(rows[r] + i + part * kVector);
    for (int64_t part = 0; part < 4; part++) store(sums[part], sum + i + part * kVector);
  }
  for (; i < width; i++) {
    float one = 0;
    for (int64_t r = 0; r < count; r++) one += weights[r * step] * rows[r][i];
    sum[i] = one;
  }
}

/// `cap tanh(x scale / cap)`, or `x scale` where cap is 0; size is a multiple of a vector.
FOR_EACH_PROCESSOR void capScores(float* x, float scale, float cap, int64_t size) {
  for (int64_t i = 0; i < size; i += kVector) {
    const Lanes scaled = load(x + i) * scale;
    store(cap == 0 ? scaled : cap * tangent(scaled / cap), x + i);
  }
}

FOR_EACH_PROCESSOR void exponentials(float* x, int64_t size) {
  for (int64_t i = 0; i < size; i += kVector) store(exponential(load(x + i)), x + i);
}

/// `dscore = pattern (dpattern - sum(pattern dpattern))`, through the cap's slope and the scale, in place of dpattern.
FOR_EACH_PROCESSOR void scoreGradient(float* gradient, const float* pattern, const float* capped, float scale,
                                      float cap, int64_t size) {
  for (int64_t i = 0; i < size; i += kVector) {
    const Lanes ratio = cap == 0 ? Lanes{} : load(capped + i) / cap;
    store(load(gradient + i) * load(pattern + i) * (1 - ratio * ratio) * scale, gradient + i);
  }
}

/// What a call computes. Queries of all heads that share a kv head stand in the mask's order: head after head.
struct Shape {
  int64_t batch, heads, kvHeads, width, queries, keys;
  float scale, cap;

  int64_t group() const { return heads / kvHeads; }
  int64_t rows() const { return group() * queries; }
  int64_t scores() const { return rows() * keys; }
  /// Space for the scores: whole vectors.
  int64_t space() const { return (scores() + kVector - 1) / kVector * kVector; }
  int64_t share() const { return std::max<int64_t>(1, kFewMultiplications / std::max<int64_t>(1, scores() * width)); }
};

Shape shapeOf(const Call& call, size_t first, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  Shape shape{};
  shape.batch = call.integer(first);
  shape.heads = call.integer(first + 1);
  shape.kvHeads = call.integer(first + 2);
  shape.scale = static_cast<float>(call.number(first + 3));
  shape.cap = static_cast<float>(call.number(first + 4));
  expect(shape.batch > 0 && shape.heads > 0 && shape.kvHeads > 0 && shape.heads % shape.kvHeads == 0,
         "a batch, and equally many query heads for each kv head");
  expect(q.dim() == 2 && q.size(0) % shape.batch == 0 && q.size(1) % shape.heads == 0, "query rows of whole heads");
  shape.width = q.size(1) / shape.heads;
  shape.queries = q.size(0) / shape.batch;
  shape.keys = k.size(0) / shape.batch;
  expect(k.dim() == 2 && k.size(0) == shape.keys * shape.batch && shape.keys > 0, "keys for each prompt");
  expect(k.size(1) == shape.kvHeads * shape.width && v.sizes() == k.sizes(), "keys and values as wide as their heads");
  expect(mask.numel() == shape.scores(), "a mask of each query and key");
  return shape;
}

/// Addresses of a head's query rows, by the order of the mask.
template <typename Number>
void placeQueries(const Shape& s, Number* from, int64_t prompt, int64_t kvHead, std::vector<Number*>& rows) {
  for (int64_t g = 0; g < s.group(); g++)
    for (int64_t t = 0; t < s.queries; t++)
      rows[g * s.queries + t] = from + ((prompt * s.queries + t) * s.heads + kvHead * s.group() + g) * s.width;
}

template <typename Number>
void placeKeys(const Shape& s, Number* from, int64_t prompt, int64_t kvHead, std::vector<Number*>& rows) {
  for (int64_t key = 0; key < s.keys; key++)
    rows[key] = from + ((prompt * s.keys + key) * s.kvHeads + kvHead) * s.width;
}

/// One thread's room for a kv head of a prompt.
struct Head {
  std::vector<const float*> queries, keys, values;
  /// Scores under the cap, before the mask; and the pattern.
  std::vector<float> capped, pattern;

  explicit Head(const Shape& s)
      : queries(s.rows()), keys(s.keys), values(s.keys), capped(s.space()), pattern(s.space()) {}

  void attend(const Shape& s, const float* mask) {
    for (int64_t r = 0; r < s.rows(); r++) dotRows(queries[r], keys.data(), s.keys, s.width, &capped[r * s.keys]);
    capScores(capped.data(), s.scale, s.cap, s.space());
    for (int64_t r = 0; r < s.rows(); r++) {
      float* scores = &pattern[r * s.keys];
      for (int64_t key = 0; key < s.keys; key++) scores[key] = capped[r * s.keys + key] + mask[r * s.keys + key];
      const float highest = *std::max_element(scores, scores + s.keys);
      for (int64_t key = 0; key < s.keys; key++) scores[key] -= highest;
    }
    exponentials(pattern.data(), s.space());
    for (int64_t r = 0; r < s.rows(); r++) {
      float* weights = &pattern[r * s.keys];
      float sum = 0;
      for (int64_t key = 0; key < s.keys; key++) sum += weights[key];
      for (int64_t key = 0; key < s.keys; key++) weights[key] /= sum;
    }
  }
};

Tensor floats(const Tensor& x) { return x.to(at::kFloat).contiguous(); }

/// attention(q, k, v, mask, batch, heads, kvHeads, scale, cap): what each query head reads, in q's layout.
napi_value attention(Call& call) {
  const Tensor q = floats(call.tensor(0));
  const Tensor k = floats(call.tensor(1));
  const Tensor v = floats(call.tensor(2));
  const Tensor mask = floats(call.tensor(3));
  const Shape s = shapeOf(call, 4, q, k, v, mask);
  const Tensor z = at::empty_like(q);
  const auto* qs = q.data_ptr<float>();
  const auto* ks = k.data_ptr<float>();
  const auto* vs = v.data_ptr<float>();
  const auto* masks = mask.data_ptr<float>();
  auto* zs = z.data_ptr<float>();
  at::parallel_for(0, s.batch * s.kvHeads, s.share(), [&](int64_t begin, int64_t end) {
    Head head(s);
    std::vector<float*> to(s.rows());
    for (int64_t task = begin; task < end; task++) {
      const int64_t prompt = task / s.kvHeads;
      const int64_t kvHead = task % s.kvHeads;
      placeQueries(s, qs, prompt, kvHead, head.queries);
      placeQueries(s, zs, prompt, kvHead, to);
      placeKeys(s, ks, prompt, kvHead, head.keys);
      placeKeys(s, vs, prompt, kvHead, head.values);
      head.attend(s, masks);
      for (int64_t r = 0; r < s.rows(); r++)
        sumRows(&head.pattern[r * s.keys], 1, head.values.data(), s.keys, s.width, to[r]);
    }
  });
  return call.give(z.to(call.tensor(0).scalar_type()));
}

/// Gradients of the scores, from those of what the heads read.
void scoreGradients(const Shape& s, const Head& head, const std::vector<const float*>& dys, std::vector<float>& out) {
  for (int64_t r = 0; r < s.rows(); r++) {
    float* of = &out[r * s.keys];
    const float* pattern = &head.pattern[r * s.keys];
    dotRows(dys[r], head.values.data(), s.keys, s.width, of);
    float mean = 0;
    for (int64_t key = 0; key < s.keys; key++) mean += pattern[key] * of[key];
    for (int64_t key = 0; key < s.keys; key++) of[key] -= mean;
  }
  scoreGradient(out.data(), head.pattern.data(), head.capped.data(), s.scale, s.cap, s.space());
}

/// attentionGradient(dy, q, k, v, mask, batch, heads, kvHeads, scale, cap): of q, k and v. The pattern is computed again.
napi_value attentionGradient(Call& call) {
  const Tensor dy = floats(call.tensor(0));
  const Tensor q = floats(call.tensor(1));
  const Tensor k = floats(call.tensor(2));
  const Tensor v = floats(call.tensor(3));
  const Tensor mask = floats(call.tensor(4));
  const Shape s = shapeOf(call, 5, q, k, v, mask);
  expect(dy.sizes() == q.sizes(), "a gradient of the queries' shape");
  const Tensor dq = at::empty_like(q);
  const Tensor dk = at::empty_like(k);
  const Tensor dv = at::empty_like(v);
  const float* from[] = {dy.data_ptr<float>(), q.data_ptr<float>(), k.data_ptr<float>(), v.data_ptr<float>()};
  float* to[] = {dq.data_ptr<float>(), dk.data_ptr<float>(), dv.data_ptr<float>()};
  const auto* masks = mask.data_ptr<float>();
  at::parallel_for(0, s.batch * s.kvHeads, s.share(), [&](int64_t begin, int64_t end) {
    Head head(s);
    std::vector<const float*> dys(s.rows());
    std::vector<float*> dqs(s.rows()), dks(s.keys), dvs(s.keys);
    std::vector<float> dscores(s.space());
    for (int64_t task = begin; task < end; task++) {
      const int64_t prompt = task / s.kvHeads;
      const int64_t kvHead = task % s.kvHeads;
      placeQueries(s, from[0], prompt, kvHead, dys);
      placeQueries(s, from[1], prompt, kvHead, head.queries);
      placeKeys(s, from[2], prompt, kvHead, head.keys);
      placeKeys(s, from[3], prompt, kvHead, head.values);
      placeQueries(s, to[0], prompt, kvHead, dqs);
      placeKeys(s, to[1], prompt, kvHead, dks);
      placeKeys(s, to[2], prompt, kvHead, dvs);
      head.attend(s, masks);
      scoreGradients(s, head, dys, dscores);
      for (int64_t r = 0; r < s.rows(); r++)
        sumRows(&dscores[r * s.keys], 1, head.keys.data(), s.keys, s.width, dqs[r]);
      for (int64_t key = 0; key < s.keys; key++) {
        sumRows(&dscores[key], s.keys, head.queries.data(), s.rows(), s.width, dks[key]);
        sumRows(&head.pattern[key], s.keys, dys.data(), s.rows(), s.width, dvs[key]);
      }
    }
  });
  const auto type = call.tensor(1).scalar_type();
  return call.giveAll({dq.to(type), dk.to(type), dv.to(type)});
}

const Entry kEntries[] = {
    {"attention", attention},
    {"attentionGradient", attentionGradient},
};

}  // namespace

void defineAttention(napi_env env, napi_value exports) {
  define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry));
}

}  // namespace patchbay
