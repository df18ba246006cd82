#include "chainrule/backend/elementwise.h"

#include "chainrule/backend/parallel.h"

namespace chainrule {
namespace {

ElementwiseKernel fill_kernel("fill");
ElementwiseKernel copy_kernels[kDtypeCount] = {
    ElementwiseKernel("copy.from_bool"),    ElementwiseKernel("copy.from_uint8"),
    ElementwiseKernel("copy.from_int8"),    ElementwiseKernel("copy.from_int16"),
    ElementwiseKernel("copy.from_int32"),   ElementwiseKernel("copy.from_int64"),
    ElementwiseKernel("copy.from_float16"), ElementwiseKernel("copy.from_bfloat16"),
    ElementwiseKernel("copy.from_float32"), ElementwiseKernel("copy.from_float64"),
};

constexpr std::int64_t kGrain = 32768;

void add_operand(ElementwisePlan& plan, const Array& array, const Shape& shape) {
  const int k = plan.operand_count++;
  plan.data[k] = reinterpret_cast<char*>(array.raw());
  const int added = shape.size() - array.ndim();
  for (int i = 0; i < shape.size(); ++i) {
    const bool repeated = i < added || (array.shape()[i - added] == 1 && shape[i] != 1);
    plan.strides[k][i] = repeated ? 0 : array.strides()[i - added];
  }
}

// Drops dimensions of length one and joins neighbours that step as one.
void coalesce(ElementwisePlan& plan, const Shape& shape) {
  int n = 0;
  for (int i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    bool joins = n > 0;
    for (int k = 0; joins && k < plan.operand_count; ++k) {
      joins = plan.strides[k][n - 1] == plan.strides[k][i] * shape[i];
    }
    if (joins) {
      plan.shape[n - 1] *= shape[i];
    } else {
      plan.shape[n++] = shape[i];
    }
    for (int k = 0; k < plan.operand_count; ++k) plan.strides[k][n - 1] = plan.strides[k][i];
  }
  if (n == 0) {
    plan.shape[0] = 1;
    for (int k = 0; k < plan.operand_count; ++k) plan.strides[k][0] = 0;
    n = 1;
  }
  plan.ndim = n;
}

bool all_contiguous(const Array& out, std::initializer_list<const Array*> inputs) {
  if (!out.is_contiguous()) return false;
  for (const Array* x : inputs) {
    if (!x->is_contiguous() || x->size() != out.size()) return false;
  }
  return true;
}

void launch(ElementwiseKernel::Function function, const ElementwisePlan& plan, Device device) {
  if (device.kind != DeviceKind::cpu || plan.size <= kGrain) {
    function(plan, 0, plan.size);
    return;
  }
  parallel_for(plan.size, kGrain,
               [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
}

}  // namespace

void run_elementwise(const ElementwiseKernel& kernel,
                     Dtype dtype,
                     const Array& out,
                     std::initializer_list<const Array*> inputs,
                     const double* params) {
  if (out.size() == 0) return;
  const Device device = out.device();
  if (is_half(dtype) && !kernel.has(device.kind, static_cast<int>(dtype))) {
    initialize_kernels();
    if (!kernel.has(device.kind, static_cast<int>(dtype))) {
      Array wide[ElementwisePlan::kMaxOperands];
      const Array* p[ElementwisePlan::kMaxOperands] = {};
      int n = 0;
      for (const Array* x : inputs) {
        wide[n] = is_half(x->dtype()) ? as_dtype(*x, Dtype::float32) : *x;
        p[n] = &wide[n];
        ++n;
      }
      Array result(out.shape(), is_half(out.dtype()) ? Dtype::float32 : out.dtype(), device);
      switch (n) {
        case 1:
          run_elementwise(kernel, Dtype::float32, result, {p[0]}, params);
          break;
        case 2:
          run_elementwise(kernel, Dtype::float32, result, {p[0], p[1]}, params);
          break;
        default:
          run_elementwise(kernel, Dtype::float32, result, {p[0], p[1], p[2]}, params);
      }
      copy_into(out, result);
      return;
    }
  }
  const ElementwiseKernel::Function function = kernel.get(device, dtype);
  ElementwisePlan plan;
  plan.size = out.size();
  plan.device = device.index;
  plan.params = params;
  plan.operand_count = 0;
  if (all_contiguous(out, inputs)) {
    plan.ndim = 1;
    plan.shape[0] = plan.size;
    const auto add = [&](const Array& x) {
      plan.data[plan.operand_count] = reinterpret_cast<char*>(x.raw());
      plan.strides[plan.operand_count++][0] = item_size(x.dtype());
    };
    add(out);
    for (const Array* x : inputs) add(*x);
  } else {
    add_operand(plan, out, out.shape());
    for (const Array* x : inputs) add_operand(plan, *x, out.shape());
    coalesce(plan, out.shape());
  }
  launch(function, plan, device);
}

Device common_device(const char* op, std::initializer_list<const Array*> arrays) {
  const Device device = (*arrays.begin())->device();
  for (const Array* array : arrays) {
    if (array->device() != device) {
      throw TypeError(cat("[", op, "] arrays on different devices: got ", device, " and ",
                          array->device(), ", expected one device"));
    }
  }
  return device;
}

void fill(const Array& out, double value) {
  run_elementwise(fill_kernel, out.dtype(), out, {}, &value);
}

Array filled(const Shape& shape, Dtype dtype, Device device, double value) {
  Array out(shape, dtype, device);
  fill(out, value);
  return out;
}

void copy_into(const Array& out, const Array& x) {
  const Array source = x.broadcast_to("copy", out.shape());
  common_device("copy", {&out, &x});
  run_elementwise(copy_kernels[static_cast<int>(x.dtype())], out.dtype(), out, {&source});
}

Array as_dtype(const Array& x, Dtype dtype) {
  if (x.dtype() == dtype) return x;
  Array out(x.shape(), dtype, x.device());
  copy_into(out, x);
  return out;
}

Array as_contiguous(const Array& x) { return x.is_contiguous() ? x : copied(x); }

Array copied(const Array& x) {
  Array out(x.shape(), x.dtype(), x.device());
  copy_into(out, x);
  return out;
}

}  // namespace chainrule
