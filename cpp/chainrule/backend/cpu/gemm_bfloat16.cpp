#include "chainrule/backend/cpu/gemm_bfloat16.h"

#include <omp.h>

#include <dnnl.hpp>
#include <optional>

#include "chainrule/backend/cpu/gemm_parts.h"

namespace chainrule::cpu {
namespace {

using dnnl::memory;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

void copy(const Matrix& to, const Matrix& from) {
  auto* y = reinterpret_cast<std::uint16_t*>(to.data);
  const auto* x = reinterpret_cast<const std::uint16_t*>(from.data);
  for (std::int64_t i = 0; i < to.rows; ++i) {
    for (std::int64_t j = 0; j < to.cols; ++j) {
      y[i * to.row_stride + j * to.col_stride] = x[i * from.row_stride + j * from.col_stride];
    }
  }
}

// How one matrix of a product lies: where oneDNN can take it quickly, as it is, or else as a dense
// copy.
class Layout {
 public:
  // What is quick: rows or columns side by side, those without gaps, or rows without gaps.
  enum Quick { lines, dense, dense_rows };

  Layout(const Matrix& x, Quick quick) {
    if (lies_in_rows(x, quick != lines)) {
      shape_ = {nullptr, x.rows, x.cols, x.rows == 1 ? x.cols : x.row_stride, 1};
    } else if (quick != dense_rows && lies_in_rows(x.transposed(), quick != lines)) {
      shape_ = {nullptr, x.rows, x.cols, 1, x.cols == 1 ? x.rows : x.col_stride};
    } else {
      copied_ = true;
      shape_ = {nullptr, x.rows, x.cols, x.cols, 1};
    }
  }
  bool copied() const { return copied_; }
  memory::desc desc() const {
    const memory::dims strides{shape_.row_stride, shape_.col_stride};
    return {{shape_.rows, shape_.cols}, memory::data_type::bf16, strides};
  }
  std::int64_t copied_bytes() const { return copied_ ? shape_.rows * shape_.cols * 2 : 0; }
  Matrix at(char* data) const {
    Matrix matrix = shape_;
    matrix.data = data;
    return matrix;
  }

 private:
  static bool lies_in_rows(const Matrix& x, bool without_gaps) {
    if (x.col_stride != 1 && x.cols != 1) return false;
    return x.rows == 1 || (without_gaps ? x.row_stride == x.cols : x.row_stride >= x.cols);
  }

  Matrix shape_;
  bool copied_ = false;
};

// A product of one size, with one plan's layouts and factors. oneDNN's quick ways are for dense
// results, and with factors for dense operands: others take it several hundred times as long.
class Product {
 public:
  explicit Product(const GemmPlan& plan)
      : a_(plan.a, quick_for(plan)),
        b_(plan.b, quick_for(plan)),
        c_(plan.c, Layout::dense_rows),
        rows_(plan.c.rows),
        cols_(plan.c.cols) {
    dnnl::post_ops then;
    if (plan.alpha != 1) {
      then.append_eltwise(dnnl::algorithm::eltwise_linear, static_cast<float>(plan.alpha), 0.0f);
    }
    if (plan.beta != 0) then.append_sum(static_cast<float>(plan.beta));
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(then);
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description(engine(), a_.desc(), b_.desc(), c_.desc(),
                                                   attributes);
    scratch_ = description.scratchpad_desc();
    matmul_ = dnnl::matmul(description);
  }

  bool fits(const GemmPlan& other) const { return other.c.rows == rows_ && other.c.cols == cols_; }

  void run(const GemmPlan& plan) const {
    const auto rounded = [](std::int64_t bytes) { return (bytes + 63) / 64 * 64; };
    const std::int64_t a_at = rounded(static_cast<std::int64_t>(scratch_.get_size()));
    const std::int64_t b_at = a_at + rounded(a_.copied_bytes());
    const std::int64_t c_at = b_at + rounded(b_.copied_bytes());
    const Scratch room(c_at + c_.copied_bytes() + 1);
    const Matrix a = a_.at(a_.copied() ? room.at(a_at) : plan.a.data);
    const Matrix b = b_.at(b_.copied() ? room.at(b_at) : plan.b.data);
    const Matrix c = c_.at(c_.copied() ? room.at(c_at) : plan.c.data);
    if (a_.copied()) copy(a, plan.a);
    if (b_.copied()) copy(b, plan.b);
    if (c_.copied() && plan.beta != 0) copy(c, plan.c);
    dnnl::stream stream(engine());
    matmul_.execute(stream, {{DNNL_ARG_SRC, memory(a_.desc(), engine(), a.data)},
                             {DNNL_ARG_WEIGHTS, memory(b_.desc(), engine(), b.data)},
                             {DNNL_ARG_DST, memory(c_.desc(), engine(), c.data)},
                             {DNNL_ARG_SCRATCHPAD, memory(scratch_, engine(), room.at(0))}});
    if (c_.copied()) copy(plan.c, c);
  }

 private:
  static Layout::Quick quick_for(const GemmPlan& plan) {
    return plan.alpha == 1 && plan.beta == 0 ? Layout::lines : Layout::dense;
  }

  Layout a_;
  Layout b_;
  Layout c_;
  std::int64_t rows_;
  std::int64_t cols_;
  memory::desc scratch_;
  dnnl::matmul matmul_;
};

// Multiplies parts on one thread; neighbours are mostly of one size.
class Worker {
 public:
  // oneDNN's threads are OpenMP's, and how many they are is part of what it plans.
  Worker() {
    if (omp_get_max_threads() != 1) omp_set_num_threads(1);
  }
  void operator()(const GemmPlan& part) {
    if (!product_ || !product_->fits(part)) product_.emplace(part);
    product_->run(part);
  }

 private:
  std::optional<Product> product_;
};

void gemm(const GemmPlan& plan) {
  std::int64_t count = 1;
  for (int i = 0; i < plan.batch_ndim; ++i) count *= plan.batch_shape[i];
  for_parts(plan, Dtype::bfloat16, count, plan.c.cols, [] { return Worker(); });
}

bool has_instructions() {
  constexpr auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
}

}  // namespace

void add_gemm_bfloat16(KernelRegistrar add) {
  if (!has_instructions()) return;
  add("gemm", static_cast<int>(Dtype::bfloat16), reinterpret_cast<void*>(gemm));
}

}  // namespace chainrule::cpu
