// SPDX-License-Identifier: BSD-3-Clause

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include <support/allocation_counter.hpp>

// glibc keeps its own malloc under a second name, so that a program may define malloc and forward. Sanitizers define it
// themselves, and nvcc takes a definition of malloc for the device's.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__CUDACC__)
#define PARTITA_INTERPOSES_MALLOC 1
#else
#define PARTITA_INTERPOSES_MALLOC 0
#endif

namespace partita::test {
namespace {

std::atomic<bool> counting{false};
std::atomic<std::size_t> all{0}, by_vendor{0}, by_openmp{0}, by_mpi{0};
std::atomic<const char*> last_of_ours{""};

[[maybe_unused]] void count(const void* caller) {
  if (!counting.load(std::memory_order_relaxed)) return;
  ++all;
  Dl_info info{};
  if (dladdr(caller, &info) == 0 || info.dli_fname == nullptr) return;
  const char* const slash = std::strrchr(info.dli_fname, '/');
  const char* const file = slash == nullptr ? info.dli_fname : slash + 1;
  const auto inside = [&](const char* library) { return std::strstr(file, library) != nullptr; };
  if (inside("libdnnl") || inside("blas"))
    ++by_vendor;
  else if (inside("libgomp") || inside("libomp") || inside("libiomp"))
    ++by_openmp;
  else if (inside("libmpi") || inside("libuc") || inside("libfabric") || inside("libpmi"))
    ++by_mpi;
  else
    last_of_ours = info.dli_fname;
}

}  // namespace

void start_counting_allocations() {
  all = by_vendor = by_openmp = by_mpi = 0;
  counting = true;
}

AllocationCount stop_counting_allocations() {
  counting = false;
  return {all, by_vendor, by_openmp, by_mpi, last_of_ours};
}

bool allocation_counter_works() { return PARTITA_INTERPOSES_MALLOC; }

}  // namespace partita::test

#if PARTITA_INTERPOSES_MALLOC

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  *to = __libc_memalign(alignment, bytes);
  return *to == nullptr ? 12 : 0;  // ENOMEM
}
}

// operator new, so that the caller is not libstdc++ but who wrote `new`. Freeing stays as it is: all memory is glibc's.
void* operator new(std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  if (void* memory = __libc_malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t bytes) {
  partita::test::count(__builtin_return_address(0));
  if (void* memory = __libc_malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  partita::test::count(__builtin_return_address(0));
  if (void* memory = __libc_memalign(static_cast<std::size_t>(alignment), bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
