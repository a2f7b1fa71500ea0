// TensorFlow.js kernels as libtorch calls. Every tensor has the shape that TensorFlow.js knows it by; views share memory and
// nothing is written in place, so a view is as good as a copy.
#include "call.h"
#include "product.h"

namespace patchbay {
namespace {

using at::Tensor;

/// matMul(a, b, transposeA, transposeB): of matrices, or of stacks of them.
napi_value matMul(Call& call) {
  const Tensor& a = call.tensor(0);
  const Tensor& b = call.tensor(1);
  return call.give(product(call.truth(2) ? a.transpose(-1, -2) : a, call.truth(3) ? b.transpose(-1, -2) : b));
}

/// slice(x, ...begin, ...size)
napi_value slice(Call& call) {
  Tensor part = call.tensor(0);
  const int64_t rank = part.dim();
  const std::vector<int64_t> box = call.integersFrom(1);
  expect(static_cast<int64_t>(box.size()) == 2 * rank, "where each axis begins, and its size");
  for (int64_t axis = 0; axis < rank; axis++)
    if (box[rank + axis] != part.size(axis)) part = part.narrow(axis, box[axis], box[rank + axis]);
  return call.give(part.contiguous());
}

/// pad(x, value, before, after of each axis)
napi_value pad(Call& call) {
  const std::vector<int64_t> amounts = call.integersFrom(2);
  expect(static_cast<int64_t>(amounts.size()) == 2 * call.tensor(0).dim(), "two amounts for each axis");
  std::vector<int64_t> lastFirst;
  for (size_t i = amounts.size(); i > 0; i -= 2) {
    lastFirst.push_back(amounts[i - 2]);
    lastFirst.push_back(amounts[i - 1]);
  }
  return call.give(at::constant_pad_nd(call.tensor(0), lastFirst, call.number(1)));
}

/// gather(x, indices, axis): the indexes' shape takes the axis's place.
napi_value gather(Call& call) {
  const Tensor& x = call.tensor(0);
  const Tensor& indices = call.tensor(1);
  const int64_t axis = call.integer(2);
  expect(axis >= 0 && axis < x.dim(), "an axis of x");
  const Tensor taken = at::index_select(x, axis, indices.reshape({-1}));
  if (indices.dim() == 1) return call.give(taken);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, indices.sizes().begin(), indices.sizes().end());
  return call.give(taken.reshape(shape));
}

/// oneHot(indices, depth, on, off), float32
napi_value oneHot(Call& call) {
  const Tensor& indices = call.tensor(0);
  const Tensor hot = indices.unsqueeze(-1).eq(at::arange(call.integer(1), indices.options()));
  return call.give(hot.to(at::kFloat).mul_(call.number(2) - call.number(3)).add_(call.number(3)));
}

/// sum(x, keepAxes, ...axes), in x's dtype
napi_value sum(Call& call) {
  const Tensor x = wide(call.tensor(0));
  return call.give(at::sum(x, call.integersFrom(2), call.truth(1), x.scalar_type()));
}

Tensor step(const Tensor& x, double atMostZero) {
  const Tensor above = x.gt(0).to(at::kFloat);
  return atMostZero == 0 ? above : above.mul_(1 - atMostZero).add_(atMostZero);
}

#define UNARY(name, expression)                    \
  {                                                \
    name, [](Call& call) {                         \
      const Tensor x = wide(call.tensor(0));       \
      return call.give(expression);                \
    }                                              \
  }

/// Keeps the dtype: a bfloat16 weight stays one.
#define VIEW(name, expression)                     \
  {                                                \
    name, [](Call& call) {                         \
      const Tensor& x = call.tensor(0);            \
      return call.give(expression);                \
    }                                              \
  }

#define BINARY(name, expression)                   \
  {                                                \
    name, [](Call& call) {                         \
      const Tensor a = wide(call.tensor(0));       \
      const Tensor b = wide(call.tensor(1));       \
      return call.give(expression);                \
    }                                              \
  }

const Entry kEntries[] = {
    UNARY("neg", at::neg(x)),
    UNARY("abs", at::abs(x)),
    UNARY("exp", at::exp(x)),
    UNARY("log", at::log(x)),
    UNARY("sqrt", at::sqrt(x)),
    UNARY("rsqrt", at::rsqrt(x)),
    UNARY("square", at::mul(x, x)),
    UNARY("relu", at::relu(x)),
    UNARY("sigmoid", at::sigmoid(x)),
    UNARY("tanh", at::tanh(x)),
    UNARY("step", step(x, call.number(1))),
    UNARY("softmax", at::softmax(x, call.integer(1))),
    VIEW("reshape", x.reshape(call.integersFrom(1))),
    VIEW("transpose", x.permute(call.integersFrom(1))),
    VIEW("tile", x.repeat(call.integersFrom(1))),
    UNARY("max", at::amax(x, call.integersFrom(2), call.truth(1))),
    UNARY("mean", at::mean(x, call.integersFrom(2), call.truth(1))),
    BINARY("add", at::add(a, b)),
    BINARY("sub", at::sub(a, b)),
    BINARY("mul", at::mul(a, b)),
    BINARY("div", at::div(a, b)),
    BINARY("maximum", at::maximum(a, b)),
    BINARY("minimum", at::minimum(a, b)),
    BINARY("pow", at::pow(a, b)),
    BINARY("equal", at::eq(a, b)),
    BINARY("greater", at::gt(a, b)),
    BINARY("greaterEqual", at::ge(a, b)),
    BINARY("less", at::lt(a, b)),
    {"select", [](Call& call) { return call.give(at::where(call.tensor(0), call.tensor(1), call.tensor(2))); }},
    {"concat", [](Call& call) { return call.give(at::cat(call.tensors(0), call.integer(1))); }},
    {"matMul", matMul},
    {"slice", slice},
    {"pad", pad},
    {"gather", gather},
    {"oneHot", oneHot},
    {"sum", sum},
};

}  // namespace

void defineKernels(napi_env env, napi_value exports) {
  define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry));
}

}  // namespace patchbay
