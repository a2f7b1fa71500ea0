#include "allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <torch/version.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace patchbay {
namespace {

constexpr size_t kAlignment = 64;
/// Smaller blocks go to malloc, which keeps them itself.
constexpr size_t kSmallestKept = 64 * 1024;
/// Blocks are kept up to this many bytes, or half of the peak where that is more.
constexpr size_t kLeastKept = size_t{256} * 1024 * 1024;

/// What precedes a block's first byte.
struct Header {
  size_t size;
};

class Pool {
 public:
  void* take(size_t bytes) {
    const size_t size = rounded(bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (limit_ > 0 && live_ + size > limit_) throw std::bad_alloc();
    void* start = fromKept(size);
    if (start == nullptr) start = fresh(size);
    live_ += size;
    if (live_ > peak_) peak_ = live_;
    return start;
  }

  void giveBack(void* start) {
    const size_t size = headerOf(start)->size;
    const std::lock_guard<std::mutex> lock(mutex_);
    live_ -= size;
    if (size < kSmallestKept || kept_ + size > std::max(kLeastKept, peak_ / 2)) {
      std::free(headerOf(start));
      return;
    }
    kept_ += size;
    blocks_[size].push_back(start);
  }

  MemoryCounts counts() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return {live_, peak_, kept_};
  }

  void setLimit(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    limit_ = bytes;
  }

 private:
  static Header* headerOf(void* start) {
    return reinterpret_cast<Header*>(static_cast<char*>(start) - kAlignment);
  }

  /// Sizes come in eighths of a power of two, so that a block fits the next request of about its size.
  static size_t rounded(size_t bytes) {
    if (bytes < kSmallestKept) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
    size_t power = kSmallestKept;
    while (power * 2 <= bytes) power *= 2;
    const size_t step = power / 8;
    return (bytes + step - 1) / step * step;
  }

  void* fromKept(size_t size) {
    if (size < kSmallestKept) return nullptr;
    const auto found = blocks_.find(size);
    if (found == blocks_.end() || found->second.empty()) return nullptr;
    void* start = found->second.back();
    found->second.pop_back();
    kept_ -= size;
    return start;
  }

  void* fresh(size_t size) {
    void* whole = nullptr;
    if (posix_memalign(&whole, kAlignment, size + kAlignment) != 0) {
      release();
      if (posix_memalign(&whole, kAlignment, size + kAlignment) != 0) throw std::bad_alloc();
    }
    static_cast<Header*>(whole)->size = size;
    return static_cast<char*>(whole) + kAlignment;
  }

  void release() {
    for (auto& [size, starts] : blocks_) {
      for (void* start : starts) std::free(headerOf(start));
      starts.clear();
    }
    kept_ = 0;
  }

  std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> blocks_;
  size_t live_ = 0;
  size_t peak_ = 0;
  size_t kept_ = 0;
  size_t limit_ = 0;
};

/// Never destroyed: tensors that outlive main still give their memory back.
Pool& pool() {
  static Pool* const one = new Pool();
  return *one;
}

void giveBack(void* start) {
  if (start != nullptr) pool().giveBack(start);
}

#if TORCH_VERSION_MAJOR >= 2
#define PATCHBAY_ALLOCATE at::DataPtr allocate(size_t bytes) override
#else
#define PATCHBAY_ALLOCATE at::DataPtr allocate(size_t bytes) const override
#endif

class CountingAllocator final : public c10::Allocator {
 public:
  PATCHBAY_ALLOCATE {
    void* start = bytes == 0 ? nullptr : pool().take(bytes);
    return {start, start, &giveBack, at::Device(at::DeviceType::CPU)};
  }
  at::DeleterFnPtr raw_deleter() const override { return &giveBack; }
#if TORCH_VERSION_MAJOR >= 2
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
#endif
};

}  // namespace

void installAllocator() {
  static CountingAllocator* const one = new CountingAllocator();
  c10::SetCPUAllocator(one, 255);
}

MemoryCounts memoryCounts() { return pool().counts(); }

void setMemoryLimit(size_t bytes) { pool().setLimit(bytes); }

}  // namespace patchbay
