#include "../cublas.h"
#include "../runtime.h"
#include "chainrule/backend/blas_matrix.h"
#include "kernels.h"

// Products of matrices, by cuBLAS: a batch becomes as few calls as its strides allow.
namespace chainrule::cuda {
namespace {

// cuBLAS launches a batch as one dimension of a grid.
constexpr std::int64_t kMaxCount = 65535;

// A batch without the dimensions that do nothing, neighbours that step as one joined.
struct Batch {
  int ndim = 0;
  std::int64_t shape[GemmPlan::kMaxBatchDims];
  std::int64_t strides[3][GemmPlan::kMaxBatchDims];

  explicit Batch(const GemmPlan& plan) {
    for (int i = 0; i < plan.batch_ndim; ++i) {
      if (plan.batch_shape[i] == 1) continue;
      bool joins = ndim > 0;
      for (int k = 0; joins && k < 3; ++k) {
        joins = strides[k][ndim - 1] == plan.batch_strides[k][i] * plan.batch_shape[i];
      }
      if (joins) {
        shape[ndim - 1] *= plan.batch_shape[i];
      } else {
        shape[ndim++] = plan.batch_shape[i];
      }
      for (int k = 0; k < 3; ++k) strides[k][ndim - 1] = plan.batch_strides[k][i];
    }
  }

  // The longest dimension that runs forwards, which one call can do; -1: there is none.
  int longest() const {
    int found = -1;
    for (int i = 0; i < ndim; ++i) {
      const bool forwards = strides[0][i] >= 0 && strides[1][i] >= 0 && strides[2][i] > 0;
      if (forwards && (found < 0 || shape[i] > shape[found])) found = i;
    }
    return found;
  }

  // Takes a dimension out.
  void erase(int at) {
    --ndim;
    for (int i = at; i < ndim; ++i) {
      shape[i] = shape[i + 1];
      for (auto& of : strides) of[i] = of[i + 1];
    }
  }
};

ColumnMajor column_major(const Matrix& x) {
  const BlasMatrix blas = blas_matrix(x);
  return {blas.transposed == 'N', x.data, blas.leading, 0};
}

void run(const GemmPlan& given, Dtype dtype) {
  // Where c lies in rows, its transpose lies in columns.
  const BlasMatrix c = blas_matrix(given.c);
  const GemmPlan plan = c.transposed == 'N' ? transposed(given) : given;
  CublasProduct product{.dtype = dtype,
                        .rows = plan.c.rows,
                        .cols = plan.c.cols,
                        .inner = plan.a.cols,
                        .count = 1,
                        .alpha = plan.alpha,
                        .beta = plan.beta,
                        .a = column_major(plan.a),
                        .b = column_major(plan.b),
                        .c = {false, plan.c.data, c.leading, 0}};
  ColumnMajor* const operands[] = {&product.a, &product.b, &product.c};
  Batch batch(plan);
  std::int64_t all = 1;
  if (const int inner = batch.longest(); inner >= 0) {
    all = batch.shape[inner];
    for (int k = 0; k < 3; ++k) operands[k]->stride = batch.strides[k][inner];
    batch.erase(inner);
  }
  std::int64_t calls = 1;
  for (int i = 0; i < batch.ndim; ++i) calls *= batch.shape[i];
  char* const data[] = {plan.a.data, plan.b.data, plan.c.data};
  for (std::int64_t call = 0; call < calls; ++call) {
    std::int64_t offset[3] = {};
    std::int64_t rest = call;
    for (int i = batch.ndim; i-- > 0;) {
      for (int k = 0; k < 3; ++k) offset[k] += rest % batch.shape[i] * batch.strides[k][i];
      rest /= batch.shape[i];
    }
    for (std::int64_t first = 0; first < all; first += kMaxCount) {
      product.count = all - first < kMaxCount ? all - first : kMaxCount;
      for (int k = 0; k < 3; ++k) {
        const std::int64_t at = offset[k] + first * operands[k]->stride;
        operands[k]->data = data[k] + at * item_size(dtype);
      }
      multiply(product, plan.device);
    }
  }
}

template <Dtype D>
void gemm(const GemmPlan& plan) {
  try {
    const DeviceGuard guard(plan.device);
    check(guard.error(), "choosing the device");
    run(plan, D);
  } catch (const Failure& failure) {
    keep_failure(failure);
  }
}

template <Dtype... Ds>
void add_all(KernelRegistrar add) {
  (add("gemm", static_cast<int>(Ds), reinterpret_cast<void*>(gemm<Ds>)), ...);
}

}  // namespace

void register_gemm(KernelRegistrar add) {
  add_all<Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64>(add);
}

}  // namespace chainrule::cuda
