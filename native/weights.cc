// Weights are read on threads of their own, while JavaScript's goes on computing.
#include "call.h"
#include "device.h"
#include "read-weights.h"

#include <c10/core/InferenceMode.h>

#include <memory>

namespace patchbay {
namespace {

/// One array on its way.
struct Job {
  StoredArray array;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
  at::Tensor tensor;
  /// What went wrong; its code is null where nothing did.
  Fault fault{nullptr, ""};
};

/// On a thread of Node's pool.
void execute(napi_env, void* data) {
  Job& job = *static_cast<Job*>(data);
  const c10::InferenceMode guard(true); // Each thread has its own mode.
  try {
    job.tensor = readWeights(job.array);
  } catch (const NonFinite& error) {
    job.fault = {"non_finite", error.what()};
  } catch (const Damaged& error) {
    job.fault = {"bad_input", error.what()};
  } catch (...) {
    job.fault = currentFault();
  }
}

/// On JavaScript's thread again.
void complete(napi_env env, napi_status, void* data) {
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  napi_delete_async_work(env, job->work);
  napi_value value = nullptr;
  try {
    if (job->fault.code == nullptr) value = giveHandle(env, job->tensor.to(device()));
  } catch (...) {
    job->fault = currentFault();
  }
  if (job->fault.code == nullptr) {
    napi_resolve_deferred(env, job->deferred, value);
    return;
  }
  napi_value code = nullptr;
  napi_value message = nullptr;
  napi_create_string_utf8(env, job->fault.code, NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, job->fault.message.c_str(), job->fault.message.size(), &message);
  napi_create_error(env, code, message, &value);
  napi_reject_deferred(env, job->deferred, value);
}

/// load(path, start, stored dtype, wanted dtype, where a checksum begins or -1, CRC-32, ...shape): a promise of a tensor.
napi_value load(Call& call) {
  auto job = std::make_unique<Job>();
  job->array = {call.text(0),
                call.integer(1),
                call.integersFrom(6),
                typeOf(call.integer(2)),
                typeOf(call.integer(3)),
                call.integer(4),
                static_cast<uint32_t>(call.integer(5))};
  const StoredArray& array = job->array;
  const auto isRead = [](at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; };
  expect(isRead(array.stored) && isRead(array.wanted), "float32 or bfloat16");
  expect(array.start >= 0 && array.checked_from <= array.start, "an array within a file, and its checksum before it");
  napi_value promise = nullptr;
  napi_value name = nullptr;
  napi_create_promise(call.env(), &job->deferred, &promise);
  napi_create_string_utf8(call.env(), "patchbay:load", NAPI_AUTO_LENGTH, &name);
  if (napi_create_async_work(call.env(), nullptr, name, execute, complete, job.get(), &job->work) != napi_ok ||
      napi_queue_async_work(call.env(), job->work) != napi_ok)
    throw std::runtime_error("a thread to read weights cannot be had");
  job.release();
  return promise;
}

const Entry kEntries[] = {{"load", load}};

}  // namespace

void defineWeights(napi_env env, napi_value exports) {
  define(env, exports, kEntries, sizeof(kEntries) / sizeof(Entry));
}

}  // namespace patchbay
