#include "chainrule/backend/gemm.h"

#include "chainrule/backend/elementwise.h"

namespace chainrule {
namespace {

Kernel<void(const GemmPlan&)> gemm_kernel("gemm");

// What products of a dtype are computed in.
Dtype product_dtype(Dtype dtype) {
  if (is_half(dtype)) return Dtype::float32;
  return item_size(dtype) < 4 ? Dtype::int32 : dtype;
}

// An operand, or a copy of it where its strides do not count in elements.
class Operand {
 public:
  explicit Operand(const Array& x) : array_(&x) {
    for (std::int64_t stride : x.strides()) {
      if (stride % item_size(x.dtype()) == 0) continue;
      copy_ = copied(x);
      array_ = &copy_;
      return;
    }
  }
  const Array& operator*() const { return *array_; }

 private:
  Array copy_;
  const Array* array_;
};

Matrix last_two(const Array& x, bool transpose) {
  const int rows = x.ndim() - 2;
  const int cols = x.ndim() - 1;
  const int size = item_size(x.dtype());
  const Matrix matrix{reinterpret_cast<char*>(x.raw()), x.shape()[rows], x.shape()[cols],
                      x.strides()[rows] / size, x.strides()[cols] / size};
  return transpose ? matrix.transposed() : matrix;
}

void add_batch(GemmPlan& plan, int operand, const Array& x, int dims) {
  const int added = dims - (x.ndim() - 2);
  for (int i = 0; i < dims; ++i) {
    const bool repeated = i < added || x.shape()[i - added] == 1;
    plan.batch_strides[operand][i] = repeated ? 0 : x.strides()[i - added] / item_size(x.dtype());
  }
}

}  // namespace

bool has_bfloat16_gemm(Device device) {
  initialize_kernels();
  return gemm_kernel.has(device.kind, static_cast<int>(Dtype::bfloat16));
}

void gemm(const Array& out, const Array& a, const Array& b, const GemmOptions& options) {
  if (out.size() == 0) return;
  const Dtype dtype = options.narrow ? out.dtype() : product_dtype(out.dtype());
  if (dtype != out.dtype()) {
    Array wide = options.beta != 0 ? as_dtype(out, dtype) : Array(out.shape(), dtype, out.device());
    GemmOptions inner = options;
    Array bias;
    if (options.bias) {
      bias = as_dtype(*options.bias, dtype);
      inner.bias = &bias;
    }
    gemm(wide, as_dtype(a, dtype), as_dtype(b, dtype), inner);
    copy_into(out, wide);
    return;
  }
  const Operand left(a);
  const Operand right(b);
  GemmPlan plan;
  plan.a = last_two(*left, options.transpose_a);
  plan.b = last_two(*right, options.transpose_b);
  plan.c = last_two(out, false);
  const Operand bias(options.bias ? *options.bias : out);
  plan.bias = {nullptr, plan.c.rows, plan.c.cols, 0, 0};
  if (options.bias) {
    plan.bias.data = reinterpret_cast<char*>((*bias).raw());
    plan.bias.col_stride = (*bias).strides()[0] / item_size(dtype);
  }
  plan.alpha = options.alpha;
  plan.beta = options.beta;
  plan.reproducible = options.reproducible;
  plan.batch_ndim = out.ndim() - 2;
  for (int i = 0; i < plan.batch_ndim; ++i) plan.batch_shape[i] = out.shape()[i];
  add_batch(plan, 0, *left, plan.batch_ndim);
  add_batch(plan, 1, *right, plan.batch_ndim);
  add_batch(plan, 2, out, plan.batch_ndim);
  gemm_kernel.get(out.device(), dtype)(plan);
}

}  // namespace chainrule
