// A call from JavaScript: reading arguments, giving results, and turning C++ exceptions into JavaScript errors.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <ATen/ATen.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace patchbay {

/// The arguments of one call. Tensors are passed as handles: small integers that index the table of live tensors.
class Call {
 public:
  static constexpr size_t kMostArguments = 16;

  Call(napi_env env, napi_callback_info info);

  /// The kernel behind the JavaScript function that was called.
  void* data() const { return data_; }
  size_t count() const { return count_; }
  napi_env env() const { return env_; }

  int64_t integer(size_t index) const;
  double number(size_t index) const;
  bool truth(size_t index) const;
  std::string text(size_t index) const;
  const at::Tensor& tensor(size_t index) const;
  /// Integers from argument `first` to the last: a shape, axes or paddings.
  std::vector<int64_t> integersFrom(size_t first) const;
  /// Tensors whose handles are in an Int32Array.
  std::vector<at::Tensor> tensors(size_t index) const;

  /// Memory of a typed array argument; valid until the call returns.
  struct Bytes {
    void* start;
    size_t length;
  };
  Bytes bytes(size_t index) const;

  /// Puts a tensor into the table. @returns its handle.
  napi_value give(at::Tensor tensor) const;
  /// Gives several tensors. @returns an array of their handles.
  napi_value giveAll(const std::vector<at::Tensor>& tensors) const;
  napi_value giveNumber(double value) const;
  napi_value giveText(const std::string& text) const;
  napi_value nothing() const { return nullptr; }

 private:
  napi_env env_;
  size_t count_ = kMostArguments;
  napi_value arguments_[kMostArguments];
  void* data_ = nullptr;
};

/// Loops of our own go as far as sizes say, so kernels ask whether these fit. @throws what JavaScript gets as an error.
inline void expect(bool fits, const char* what) {
  if (!fits) throw std::invalid_argument(std::string("expected ") + what);
}

/// An exception as JavaScript gets it: an error's code and message.
struct Fault {
  const char* code;
  std::string message;
};

/// What the exception that is being handled is; call in a catch block.
Fault currentFault();

using Kernel = napi_value (*)(Call&);

/// A kernel and the name that JavaScript calls it by.
struct Entry {
  const char* name;
  Kernel kernel;
};

/// Puts a tensor into the table. @returns its handle.
napi_value giveHandle(napi_env env, at::Tensor tensor);
/// Drops the tensor of a handle; its memory is freed with the last tensor that shares it.
void dropHandle(int64_t handle);
size_t liveHandles();

/// Adds functions to the module's exports.
void define(napi_env env, napi_value exports, const Entry* entries, size_t count);

void defineTensorFunctions(napi_env env, napi_value exports);
void defineKernels(napi_env env, napi_value exports);
void defineSparse(napi_env env, napi_value exports);
void defineDevice(napi_env env, napi_value exports);
void defineWeights(napi_env env, napi_value exports);
void defineFused(napi_env env, napi_value exports);
void defineAttention(napi_env env, napi_value exports);
void defineAdam(napi_env env, napi_value exports);

}  // namespace patchbay
