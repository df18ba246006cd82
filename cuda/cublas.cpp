#include "cublas.h"

#include <atomic>
#include <mutex>

#include "runtime.h"

namespace chainrule::cuda {
namespace {

// As cublas_api.h and library_types.h have them, in versions 12 and 13: no header of the toolkit
// is needed.
using Handle = struct CublasContext*;

enum Status { kSuccess = 0, kAllocationFailed = 3 };
enum Property { kMajor, kMinor, kPatch };
enum Operation { kAsItIs = 0, kTransposed = 1 };
enum Type { kFloat32 = 0, kFloat64 = 1, kFloat16 = 2, kBFloat16 = 14 };
enum Compute { kInFloat32 = 68, kInFloat64 = 70 };
constexpr int kAnyAlgorithm = -1;
// Partial sums stay in float32 where the result is narrower. TF32 would have to be asked for.
constexpr int kNoReducedSums = 16;

struct Cublas {
  int (*property)(int which, int* value);
  const char* (*status_text)(int status);
  int (*create)(Handle* handle);
  int (*destroy)(Handle handle);
  int (*set_stream)(Handle handle, cudaStream_t stream);
  int (*set_math_mode)(Handle handle, int mode);
  int (*gemm)(Handle handle,
              int operation_a,
              int operation_b,
              std::int64_t m,
              std::int64_t n,
              std::int64_t k,
              const void* alpha,
              const void* a,
              int a_type,
              std::int64_t a_leading,
              const void* b,
              int b_type,
              std::int64_t b_leading,
              const void* beta,
              void* c,
              int c_type,
              std::int64_t c_leading,
              int compute,
              int algorithm);
  int (*gemm_batch)(Handle handle,
                    int operation_a,
                    int operation_b,
                    std::int64_t m,
                    std::int64_t n,
                    std::int64_t k,
                    const void* alpha,
                    const void* a,
                    int a_type,
                    std::int64_t a_leading,
                    long long a_stride,
                    const void* b,
                    int b_type,
                    std::int64_t b_leading,
                    long long b_stride,
                    const void* beta,
                    void* c,
                    int c_type,
                    std::int64_t c_leading,
                    long long c_stride,
                    std::int64_t count,
                    int compute,
                    int algorithm);

  OpenedLibrary state;
};

std::string joined(const std::vector<std::string>& places) {
  std::string out;
  for (const std::string& place : places) out += (out.empty() ? "" : ", ") + place;
  return out;
}

Cublas open_cublas() {
  Cublas out{};
  const Library library =
      open_library("CHAINRULE_CUBLAS", {"libcublas.so.13", "libcublas.so.12", "libcublas.so"},
                   {"nvidia/cu13/lib/libcublas.so.13", "nvidia/cublas/lib/libcublas.so.12"});
  if (!library.handle) {
    out.state.problem = cat(
        "cuBLAS is not here: pip install nvidia-cublas, or set CHAINRULE_CUBLAS to libcublas.so; "
        "looked for ",
        joined(library.looked));
    return out;
  }
  int version[3] = {};
  const bool known = find(library, "cublasGetProperty", out.property) &&
                     out.property(kMajor, &version[0]) == kSuccess &&
                     out.property(kMinor, &version[1]) == kSuccess &&
                     out.property(kPatch, &version[2]) == kSuccess;
  const bool complete = known && find(library, "cublasGetStatusString", out.status_text) &&
                        find(library, "cublasCreate_v2", out.create) &&
                        find(library, "cublasDestroy_v2", out.destroy) &&
                        find(library, "cublasSetStream_v2", out.set_stream) &&
                        find(library, "cublasSetMathMode", out.set_math_mode) &&
                        find(library, "cublasGemmEx_64", out.gemm) &&
                        find(library, "cublasGemmStridedBatchedEx_64", out.gemm_batch);
  if (!complete) {
    out.state.problem = cat(library.name, " does not do: got ",
                            known ? cat("cuBLAS ", version[0], ".", version[1])
                                  : std::string("a library that names no version of cuBLAS"),
                            ", expected cuBLAS 12.0 or newer");
    return out;
  }
  out.state.name = cat(library.name, " ", version[0], ".", version[1], ".", version[2]);
  return out;
}

const Cublas& cublas() {
  static const Cublas opened = open_cublas();
  return opened;
}

void check_status(int status, const std::string& what) {
  if (status == kSuccess) return;
  cudaGetLastError();  // which it may have left behind
  throw Failure{status == kAllocationFailed ? kPluginOutOfMemory : kPluginError,
                cat("[gemm] ", what, ": ", cublas().status_text(status))};
}

// A handle per device, made once and never destroyed: cuBLAS may be gone before static objects
// are. It works on one stream alone, for which it promises the same bits from run to run.
struct Shared {
  std::mutex mutex;
  std::atomic<Handle> handle{nullptr};
};

Shared& shared(int index) {
  static auto* all = new Shared[kMaxDevices];
  return all[index];
}

Handle make_handle(int index) {
  const Cublas& lib = cublas();
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  Handle handle = nullptr;
  int status = lib.create(&handle);
  if (status != kSuccess) {  // for want of memory too, whatever it calls that
    cudaGetLastError();
    release_cached(index);
    status = lib.create(&handle);
  }
  check_status(status, cat("cuBLAS could not be started on cuda:", index));
  status = lib.set_stream(handle, stream());
  if (status == kSuccess) status = lib.set_math_mode(handle, kNoReducedSums);
  if (status != kSuccess) lib.destroy(handle);
  check_status(status, cat("cuBLAS could not be set up on cuda:", index));
  return handle;
}

Type type_of(Dtype dtype) {
  if (dtype == Dtype::float16) return kFloat16;
  if (dtype == Dtype::bfloat16) return kBFloat16;
  return dtype == Dtype::float64 ? kFloat64 : kFloat32;
}

const char* name_of(Dtype dtype) {
  if (dtype == Dtype::float16) return "float16";
  if (dtype == Dtype::bfloat16) return "bfloat16";
  return dtype == Dtype::float64 ? "float64" : "float32";
}

int run(const CublasProduct& p, Handle handle) {
  const Type type = type_of(p.dtype);
  const Compute compute = type == kFloat64 ? kInFloat64 : kInFloat32;
  const float narrow[] = {static_cast<float>(p.alpha), static_cast<float>(p.beta)};
  const double wide[] = {p.alpha, p.beta};
  const void* alpha = type == kFloat64 ? static_cast<const void*>(&wide[0]) : &narrow[0];
  const void* beta = type == kFloat64 ? static_cast<const void*>(&wide[1]) : &narrow[1];
  const int left = p.a.transposed ? kTransposed : kAsItIs;
  const int right = p.b.transposed ? kTransposed : kAsItIs;
  if (p.count == 1) {
    return cublas().gemm(handle, left, right, p.rows, p.cols, p.inner, alpha, p.a.data, type,
                         p.a.leading, p.b.data, type, p.b.leading, beta, p.c.data, type,
                         p.c.leading, compute, kAnyAlgorithm);
  }
  return cublas().gemm_batch(handle, left, right, p.rows, p.cols, p.inner, alpha, p.a.data, type,
                             p.a.leading, p.a.stride, p.b.data, type, p.b.leading, p.b.stride, beta,
                             p.c.data, type, p.c.leading, p.c.stride, p.count, compute,
                             kAnyAlgorithm);
}

}  // namespace

OpenedLibrary cublas_state() { return cublas().state; }

void require_cublas(int index) {
  Shared& mine = shared(index);
  if (mine.handle.load(std::memory_order_acquire)) return;
  if (!cublas().state.problem.empty()) {
    throw Failure{kPluginError, cat("[gemm] ", cublas().state.problem)};
  }
  const std::lock_guard lock(mine.mutex);
  if (!mine.handle) mine.handle = make_handle(index);
}

void multiply(const CublasProduct& product, int index) {
  require_cublas(index);
  Shared& mine = shared(index);
  const std::lock_guard lock(mine.mutex);
  const int status = run(product, mine.handle);
  if (status == kSuccess) return;
  check_status(status,
               cat("a product of ", name_of(product.dtype), " matrices failed, ", product.rows,
                   " x ", product.inner, " times ", product.inner, " x ", product.cols));
}

}  // namespace chainrule::cuda
