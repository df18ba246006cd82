#include "chainrule/backend/gemm.h"

#include "chainrule/backend/blas_matrix.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/plugin.h"

namespace chainrule {
namespace {

Kernel<void(const GemmPlan&)> gemm_kernel("gemm");

// What products of a dtype are computed in.
Dtype product_dtype(Dtype dtype) {
  if (is_half(dtype)) return Dtype::float32;
  return item_size(dtype) < 4 ? Dtype::int32 : dtype;
}

Matrix last_two(const Array& x, bool transpose) {
  const int rows = x.ndim() - 2;
  const int cols = x.ndim() - 1;
  const int size = item_size(x.dtype());
  const Matrix matrix{reinterpret_cast<char*>(x.raw()), x.shape()[rows], x.shape()[cols],
                      x.strides()[rows] / size, x.strides()[cols] / size};
  return transpose ? matrix.transposed() : matrix;
}

bool counts_in_elements(const Array& x) {
  for (std::int64_t stride : x.strides()) {
    if (stride % item_size(x.dtype()) != 0) return false;
  }
  return true;
}

// Whether a kernel can take it as it lies: on the CPU all but unaligned elements, elsewhere what
// BLAS can.
bool is_operand(const Array& x) {
  if (!counts_in_elements(x)) return false;
  return x.device().kind == DeviceKind::cpu || x.ndim() < 2 ||
         blas_matrix(last_two(x, false)).leading > 0;
}

// An operand, or a copy of it where it does not lie as a kernel wants it.
class Operand {
 public:
  explicit Operand(const Array& x) : array_(&x) {
    if (is_operand(x)) return;
    copy_ = copied(x);
    array_ = &copy_;
  }
  const Array& operator*() const { return *array_; }

 private:
  Array copy_;
  const Array* array_;
};

void add_batch(GemmPlan& plan, int operand, const Array& x, int dims) {
  const int added = dims - (x.ndim() - 2);
  for (int i = 0; i < dims; ++i) {
    const bool repeated = i < added || x.shape()[i - added] == 1;
    plan.batch_strides[operand][i] = repeated ? 0 : x.strides()[i - added] / item_size(x.dtype());
  }
}

void combine(const char* name, const Array& out, const Array& a, const Array& b) {
  const auto* kernel = static_cast<const ElementwiseKernel*>(KernelBase::find(name));
  run_elementwise(*kernel, out.dtype(), out, {&a, &b});
}

// What other devices' kernels are not asked for, done around them. False where nothing is.
bool done_around(const Array& out, const Array& a, const Array& b, const GemmOptions& options) {
  GemmOptions inner = options;
  inner.bias = nullptr;
  if (options.bias && options.beta == 0) {
    copy_into(out, *options.bias);
    inner.beta = 1;
    gemm(out, a, b, inner);
    return true;
  }
  if (options.bias) {
    gemm(out, a, b, inner);
    combine("add", out, out, *options.bias);
    return true;
  }
  if (a.shape()[a.ndim() - (options.transpose_a ? 2 : 1)] == 0) {  // a sum of nothing
    if (options.beta == 0) {
      fill(out, 0);
    } else {
      combine("multiply", out, out, filled({1}, out.dtype(), out.device(), options.beta));
    }
    return true;
  }
  if (is_operand(out)) return false;
  const Array dense(out.shape(), out.dtype(), out.device());
  if (options.beta != 0) copy_into(dense, out);
  gemm(dense, a, b, options);
  copy_into(out, dense);
  return true;
}

}  // namespace

void require_gemm(Device device) {
  if (device.kind == DeviceKind::cuda) cuda::require_products(device.index);
}

bool has_bfloat16_gemm(Device device) {
  initialize_kernels();
  return gemm_kernel.has(device.kind, static_cast<int>(Dtype::bfloat16));
}

void gemm(const Array& out, const Array& a, const Array& b, const GemmOptions& options) {
  if (out.size() == 0) return;
  const Device device = out.device();
  const bool elsewhere = device.kind != DeviceKind::cpu;
  if (elsewhere) require_gemm(device);
  // Other devices' kernels sum halves in float32; only a bias beside other terms needs more.
  const bool as_it_is = elsewhere && !(options.bias && options.beta != 0) &&
                        gemm_kernel.has(device.kind, static_cast<int>(out.dtype()));
  const Dtype dtype = options.narrow || as_it_is ? out.dtype() : product_dtype(out.dtype());
  if (dtype != out.dtype()) {
    Array wide = options.beta != 0 ? as_dtype(out, dtype) : Array(out.shape(), dtype, device);
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
  if (elsewhere && done_around(out, a, b, options)) return;
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
  plan.device = device.index;
  plan.batch_ndim = out.ndim() - 2;
  for (int i = 0; i < plan.batch_ndim; ++i) plan.batch_shape[i] = out.shape()[i];
  add_batch(plan, 0, *left, plan.batch_ndim);
  add_batch(plan, 1, *right, plan.batch_ndim);
  add_batch(plan, 2, out, plan.batch_ndim);
  gemm_kernel.get(device, dtype)(plan);
}

}  // namespace chainrule
