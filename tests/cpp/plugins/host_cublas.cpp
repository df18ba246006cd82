#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "chainrule/functors/half.h"

// Stands for cuBLAS where devices are emulated (tests/cpp/emulation): products by three loops, of
// column-major matrices, on the memory of the current device. Refuses what cuBLAS refuses, and
// what the plug-in must not ask for. CHAINRULE_EMULATE may say "no_handle" or "no_product".

struct CublasContext {
  bool stream = false;
  int math_mode = 0;
};

namespace {

using chainrule::BFloat16;
using chainrule::Float16;

enum Status { kSuccess = 0, kNotInitialized = 1, kInvalid = 7, kFailed = 13 };
int products = 0;

bool told(const char* what) {
  const char* wanted = std::getenv("CHAINRULE_EMULATE");
  return wanted && std::strcmp(wanted, what) == 0;
}

struct Product {
  int operation[2];
  std::int64_t m, n, k;
  const void* alpha;
  const void* beta;
  const void* data[2];
  void* c;
  std::int64_t leading[3];
  long long stride[3];
  std::int64_t count;
};

template <class T, class Sum>
void multiply(const Product& p) {
  const Sum alpha = *static_cast<const Sum*>(p.alpha);
  const Sum beta = *static_cast<const Sum*>(p.beta);
  const auto at = [&](int which, std::int64_t batch, std::int64_t row, std::int64_t col) {
    const bool turned = p.operation[which] != 0;
    const std::int64_t place = turned ? row * p.leading[which] + col : col * p.leading[which] + row;
    return static_cast<Sum>(static_cast<const T*>(p.data[which])[batch * p.stride[which] + place]);
  };
  for (std::int64_t batch = 0; batch < p.count; ++batch) {
    for (std::int64_t j = 0; j < p.n; ++j) {
      for (std::int64_t i = 0; i < p.m; ++i) {
        Sum sum = 0;
        for (std::int64_t l = 0; l < p.k; ++l) sum += at(0, batch, i, l) * at(1, batch, l, j);
        T& out = static_cast<T*>(p.c)[batch * p.stride[2] + j * p.leading[2] + i];
        sum *= alpha;
        if (beta != 0) sum += beta * static_cast<Sum>(out);
        out = static_cast<T>(sum);
      }
    }
  }
}

// By the number of a type in library_types.h.
void run(int type, const Product& p) {
  switch (type) {
    case 0:
      return multiply<float, float>(p);
    case 1:
      return multiply<double, double>(p);
    case 2:
      return multiply<Float16, float>(p);
    default:
      return multiply<BFloat16, float>(p);
  }
}

struct Task {
  int type;
  const Product* product;
};

int check_and_run(CublasContext* handle, int types[3], int compute, int algorithm, Product& p) {
  if (!handle || !handle->stream || handle->math_mode != 16 || algorithm != -1) return kInvalid;
  const int type = types[0];
  if (types[1] != type || types[2] != type) return kInvalid;
  if (type != 0 && type != 1 && type != 2 && type != 14) return kInvalid;
  if (compute != (type == 1 ? 70 : 68)) return kInvalid;
  if (p.m <= 0 || p.n <= 0 || p.k <= 0 || p.count <= 0 || p.count > 65535) return kInvalid;
  if (p.leading[0] < (p.operation[0] ? p.k : p.m)) return kInvalid;
  if (p.leading[1] < (p.operation[1] ? p.n : p.k)) return kInvalid;
  if (p.leading[2] < p.m) return kInvalid;
  if (p.count > 1 && (p.stride[0] < 0 || p.stride[1] < 0 || p.stride[2] <= 0)) return kInvalid;
  if (told("no_product")) return kFailed;
  using Touch = void (*)(void (*)(void*), void*);
  void* plugin = dlopen(std::getenv("CHAINRULE_CUDA_PLUGIN"), RTLD_NOW | RTLD_NOLOAD);
  const auto touch = reinterpret_cast<Touch>(dlsym(plugin, "emulated_touch"));
  if (!touch) return kFailed;
  Task task{type, &p};
  touch(
      [](void* context) {
        run(static_cast<Task*>(context)->type, *static_cast<Task*>(context)->product);
      },
      &task);
  ++products;
  return kSuccess;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// How often it was called, for tests to ask.
EXPORT int host_cublas_products() { return products; }

EXPORT int cublasGetProperty(int which, int* value) {
  const int version[] = {13, 0, 7};
  *value = version[which];
  return kSuccess;
}
EXPORT const char* cublasGetStatusString(int status) {
  return status == kNotInitialized ? "the library was not initialized"
         : status == kInvalid      ? "an unsupported value was passed"
                                   : "the GPU program failed to execute";
}
EXPORT int cublasCreate_v2(CublasContext** handle) {
  if (told("no_handle")) return kNotInitialized;
  *handle = new CublasContext;
  return kSuccess;
}
EXPORT int cublasDestroy_v2(CublasContext* handle) {
  delete handle;
  return kSuccess;
}
EXPORT int cublasSetStream_v2(CublasContext* handle, void* stream) {
  handle->stream = stream == nullptr;
  return kSuccess;
}
EXPORT int cublasSetMathMode(CublasContext* handle, int mode) {
  handle->math_mode = mode;
  return kSuccess;
}
EXPORT int cublasGemmEx_64(CublasContext* handle,
                           int operation_a,
                           int operation_b,
                           std::int64_t m,
                           std::int64_t n,
                           std::int64_t k,
                           const void* alpha,
                           const void* a,
                           int a_type,
                           std::int64_t lda,
                           const void* b,
                           int b_type,
                           std::int64_t ldb,
                           const void* beta,
                           void* c,
                           int c_type,
                           std::int64_t ldc,
                           int compute,
                           int algorithm) {
  Product p{{operation_a, operation_b}, m, n, k, alpha, beta, {a, b}, c, {lda, ldb, ldc}, {}, 1};
  int types[] = {a_type, b_type, c_type};
  return check_and_run(handle, types, compute, algorithm, p);
}
EXPORT int cublasGemmStridedBatchedEx_64(CublasContext* handle,
                                         int operation_a,
                                         int operation_b,
                                         std::int64_t m,
                                         std::int64_t n,
                                         std::int64_t k,
                                         const void* alpha,
                                         const void* a,
                                         int a_type,
                                         std::int64_t lda,
                                         long long a_stride,
                                         const void* b,
                                         int b_type,
                                         std::int64_t ldb,
                                         long long b_stride,
                                         const void* beta,
                                         void* c,
                                         int c_type,
                                         std::int64_t ldc,
                                         long long c_stride,
                                         std::int64_t count,
                                         int compute,
                                         int algorithm) {
  Product p{{operation_a, operation_b},     m,    n, k, alpha, beta, {a, b}, c, {lda, ldb, ldc},
            {a_stride, b_stride, c_stride}, count};
  int types[] = {a_type, b_type, c_type};
  return check_and_run(handle, types, compute, algorithm, p);
}
