#include "call.h"

#include <new>

namespace patchbay {
namespace {

/// Live tensors by handle. Never destroyed: at exit libtorch's own statics may go first.
struct Table {
  std::vector<at::Tensor> tensors;
  std::vector<int32_t> unused;
};

Table& table() {
  static Table* const one = new Table();
  return *one;
}

void check(napi_status status, const char* what) { expect(status == napi_ok, what); }

void raise(napi_env env, const Fault& fault) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, fault.code, fault.message.c_str());
}

/// libtorch reports a failed allocation as an ordinary error; only its words tell.
bool saysOutOfMemory(const std::string& message) {
  for (const char* words : {"can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED"})
    if (message.find(words) != std::string::npos) return true;
  return false;
}

std::string firstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

napi_value invoke(napi_env env, napi_callback_info info) {
  try {
    Call call(env, info);
    return reinterpret_cast<Kernel>(call.data())(call);
  } catch (...) {
    raise(env, currentFault());
  }
  return nullptr;
}

}  // namespace

Fault currentFault() {
  try {
    throw;
  } catch (const c10::Error& error) {
    const std::string message = firstLine(error.what_without_backtrace());
    return {saysOutOfMemory(message) ? "out_of_memory" : "application", message};
  } catch (const std::bad_alloc&) {
    return {"out_of_memory", "out of memory"};
  } catch (const std::exception& error) {
    return {"application", firstLine(error.what())};
  } catch (...) {
    return {"application", "unknown"};
  }
}

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  check(napi_get_cb_info(env, info, &count_, arguments_, nullptr, &data_), "a call");
  expect(count_ <= kMostArguments, "at most 16 arguments");
}

int64_t Call::integer(size_t index) const {
  int64_t value = 0;
  check(napi_get_value_int64(env_, arguments_[index], &value), "an integer");
  return value;
}

double Call::number(size_t index) const {
  double value = 0;
  check(napi_get_value_double(env_, arguments_[index], &value), "a number");
  return value;
}

bool Call::truth(size_t index) const {
  bool value = false;
  check(napi_get_value_bool(env_, arguments_[index], &value), "a boolean");
  return value;
}

std::string Call::text(size_t index) const {
  size_t length = 0;
  check(napi_get_value_string_utf8(env_, arguments_[index], nullptr, 0, &length), "a string");
  std::string value(length, '\0');
  check(napi_get_value_string_utf8(env_, arguments_[index], &value[0], length + 1, &length), "a string");
  return value;
}

namespace {

const at::Tensor& tensorOf(int64_t handle) {
  Table& all = table();
  if (handle < 0 || handle >= static_cast<int64_t>(all.tensors.size()) || !all.tensors[handle].defined())
    throw std::invalid_argument("no tensor has the handle " + std::to_string(handle));
  return all.tensors[handle];
}

}  // namespace

const at::Tensor& Call::tensor(size_t index) const { return tensorOf(integer(index)); }

std::vector<int64_t> Call::integersFrom(size_t first) const {
  std::vector<int64_t> values;
  values.reserve(count_ > first ? count_ - first : 0);
  for (size_t i = first; i < count_; i++) values.push_back(integer(i));
  return values;
}

Call::Bytes Call::bytes(size_t index) const {
  napi_typedarray_type type;
  size_t length = 0;
  void* start = nullptr;
  check(napi_get_typedarray_info(env_, arguments_[index], &type, &length, &start, nullptr, nullptr), "a typed array");
  const size_t width = type == napi_float32_array || type == napi_int32_array ? 4 : 1;
  return {start, length * width};
}

std::vector<at::Tensor> Call::tensors(size_t index) const {
  const Bytes handles = bytes(index);
  const auto* first = static_cast<const int32_t*>(handles.start);
  std::vector<at::Tensor> found;
  for (size_t i = 0; i < handles.length / sizeof(int32_t); i++) found.push_back(tensorOf(first[i]));
  return found;
}

napi_value giveHandle(napi_env env, at::Tensor tensor) {
  Table& all = table();
  int32_t handle = 0;
  if (all.unused.empty()) {
    handle = static_cast<int32_t>(all.tensors.size());
    all.tensors.push_back(std::move(tensor));
  } else {
    handle = all.unused.back();
    all.unused.pop_back();
    all.tensors[handle] = std::move(tensor);
  }
  napi_value value = nullptr;
  check(napi_create_int32(env, handle, &value), "room for a number");
  return value;
}

napi_value Call::give(at::Tensor tensor) const { return giveHandle(env_, std::move(tensor)); }

napi_value Call::giveAll(const std::vector<at::Tensor>& tensors) const {
  napi_value handles = nullptr;
  check(napi_create_array_with_length(env_, tensors.size(), &handles), "room for an array");
  for (size_t i = 0; i < tensors.size(); i++)
    check(napi_set_element(env_, handles, static_cast<uint32_t>(i), give(tensors[i])), "room for a number");
  return handles;
}

napi_value Call::giveNumber(double number) const {
  napi_value value = nullptr;
  check(napi_create_double(env_, number, &value), "room for a number");
  return value;
}

napi_value Call::giveText(const std::string& text) const {
  napi_value value = nullptr;
  check(napi_create_string_utf8(env_, text.c_str(), text.size(), &value), "room for a string");
  return value;
}

void dropHandle(int64_t handle) {
  tensorOf(handle);
  Table& all = table();
  all.tensors[handle].reset();
  all.unused.push_back(static_cast<int32_t>(handle));
}

size_t liveHandles() { return table().tensors.size() - table().unused.size(); }

void define(napi_env env, napi_value exports, const Entry* entries, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value function = nullptr;
    void* kernel = reinterpret_cast<void*>(entries[i].kernel);
    if (napi_create_function(env, entries[i].name, NAPI_AUTO_LENGTH, invoke, kernel, &function) == napi_ok)
      napi_set_named_property(env, exports, entries[i].name, function);
  }
}

}  // namespace patchbay
