#include <algorithm>
#include <cmath>
#include <numeric>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/gemm.h"
#include "chainrule/backend/transfer.h"
#include "chainrule/core/error.h"
#include "chainrule/update/rule_list.h"
#include "chainrule/update/sweep.h"
#include "chainrule/update/tensor_rules/linear_algebra.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"

namespace chainrule {
namespace {

using update::place_of;
using Values = update::SOAP::Values;

enum State { kMean, kSquare, kLeft, kRight, kLeftBasis, kRightBasis };

const Values& values_of(const double* values) { return *reinterpret_cast<const Values*>(values); }

struct Sides {
  std::int64_t rows;
  std::int64_t cols;
};

// What has more than two dimensions is a matrix (out, -1); a vector is a column.
Sides sides_of(const Shape& shape) {
  if (shape.size() == 0) return {1, 1};
  Sides sides{shape[0], 1};
  for (int i = 1; i < shape.size(); ++i) sides.cols *= shape[i];
  return sides;
}

void check(const double* values, const Shape&, const std::string& label) {
  const Values& h = values_of(values);
  const auto refuse = [&](const char* field, double value, const char* expected) {
    throw ValueError(cat("[update] ", label, ": hyperparameter '", field, "' of SOAP: got ", value,
                         ", expected ", expected));
  };
  if (!(h.beta1 >= 0 && h.beta1 < 1)) refuse("beta1", h.beta1, "0 <= beta1 < 1");
  if (!(h.beta2 >= 0 && h.beta2 < 1)) refuse("beta2", h.beta2, "0 <= beta2 < 1");
  if (!(h.shampoo_beta >= 0 && h.shampoo_beta < 1)) {
    refuse("shampoo_beta", h.shampoo_beta, "0 <= shampoo_beta < 1");
  }
  const double every = h.precondition_frequency;
  if (!(every >= 1 && every == std::floor(every) && every < 1e9)) {
    refuse("precondition_frequency", every, "a whole number from 1 on");
  }
  linear_algebra();
}

std::optional<Shape> state_shape(const double* values, const Shape& shape, int place) {
  if (place == kMean || place == kSquare) return shape;
  const Values& h = values_of(values);
  const Sides sides = sides_of(shape);
  const bool left = place == kLeft || place == kLeftBasis;
  const std::int64_t side = left ? sides.rows : sides.cols;
  const bool vector = shape.size() < 2;
  if (vector && (!left || shape.size() == 0 || h.precondition_1d == 0)) return std::nullopt;
  if (static_cast<double>(side) > h.max_precondition_dim) return std::nullopt;
  return Shape{side, side};
}

// A job as a matrix, and what has to be done to it. Decompositions are done on the host.
class Soap {
 public:
  explicit Soap(TensorJob& job)
      : job_(job),
        h_(values_of(job.values)),
        shape_({sides_of(job.shape).rows, sides_of(job.shape).cols}),
        grad_(matrix(job.grad)),
        mean_(matrix(job.states[kMean].values)),
        square_(matrix(job.states[kSquare].values)) {}

  // Decompositions, which may fail; no state is changed.
  void prepare() {
    const std::int64_t t = job_.step.t - 1;
    if (t >= 1 && t % static_cast<std::int64_t>(h_.precondition_frequency) != 0) return;
    for (const int side : {kLeft, kRight}) {
      if (!job_.states[side].values.defined()) continue;
      Turn& turn = turns_[side - kLeft];
      turn.statistics = copied(job_.states[side].values);
      observe(side, turn.statistics);
      t < 1 ? begin(turn) : follow(side, turn);
    }
  }

  void run() {
    job_.direction = Array(job_.shape, job_.dtype, job_.device);
    if (job_.step.t <= 1) {
      fill(job_.direction, 0);
    } else {
      step();
    }
    for (const int side : {kLeft, kRight}) {
      if (!job_.states[side].values.defined()) continue;
      const Turn& turn = turns_[side - kLeft];
      if (!turn.basis.defined()) {
        observe(side, job_.states[side].values);
        continue;
      }
      copy_into(job_.states[side].values, turn.statistics);
      copy_into(basis(side), turn.basis);
      sort(side == kLeft ? 0 : 1, turn.order);
    }
  }

 private:
  Array matrix(const Array& x) const {
    return x.view(shape_, contiguous_strides(shape_, item_size(job_.dtype)));
  }
  Array empty(const Shape& shape) const { return Array(shape, job_.dtype, job_.device); }
  const Array& basis(int side) const { return job_.states[side + kLeftBasis - kLeft].values; }

  // x in the eigenbases, or back from there.
  Array rotated(const Array& x, bool back) const {
    Array out = x;
    if (const Array& left = basis(kLeft); left.defined()) {
      const Array next = empty(shape_);
      gemm(next, left, out, {.transpose_a = !back, .reproducible = true});
      out = next;
    }
    if (const Array& right = basis(kRight); right.defined()) {
      const Array next = empty(shape_);
      gemm(next, out, right, {.transpose_b = back, .reproducible = true});
      out = next;
    }
    return out;
  }

  // Adam in the eigenbases.
  void step() {
    Sweep sweep(job_.device);
    sweep.add_stage(place_of<update::MeanStage>, {1 - h_.beta1}, mean_, grad_);
    sweep.run();
    const Array grad = rotated(grad_, false);
    Array quotient = rotated(mean_, false);
    if (quotient.raw() == mean_.raw()) quotient = copied(quotient);
    sweep.add_stage(place_of<update::QuotientStage>, {1 - h_.beta2, h_.eps}, quotient, grad,
                    {&square_});
    sweep.run();
    copy_into(matrix(job_.direction), rotated(quotient, true));
  }

  // What a turn of one side's basis comes to; undefined where there is none in this step.
  struct Turn {
    Array statistics;
    Array basis;
    std::vector<std::int64_t> order;  // of the old vectors; empty: they stay where they are
  };

  // Takes the gradient into Shampoo's statistics of one side.
  void observe(int side, const Array& statistics) const {
    const bool left = side == kLeft;
    gemm(statistics, grad_, grad_,
         {.transpose_a = !left,
          .transpose_b = left,
          .alpha = 1 - h_.shampoo_beta,
          .beta = h_.shampoo_beta,
          .reproducible = true});
  }

  // A decomposition, of and to the CPU's memory.
  static Array decomposed(void (*function)(const Array&, const Array&), const Array& matrix) {
    const Array found(matrix.shape(), matrix.dtype());
    function(matrix, found);
    return found;
  }

  void begin(Turn& turn) const {
    const Array found = decomposed(linear_algebra().eigenvectors, to_device(turn.statistics, {}));
    // The greatest eigenvalue's comes first.
    const Strides strides{found.strides()[0], -found.strides()[1]};
    const std::int64_t last = (found.shape()[1] - 1) * found.strides()[1];
    turn.basis = to_device(copied(found.view(found.shape(), strides, last)), job_.device);
  }

  // One step of power iteration: the basis follows the eigenvectors, sorted by eigenvalue.
  void follow(int side, Turn& turn) const {
    const Array there = empty(turn.statistics.shape());
    gemm(there, turn.statistics, basis(side), {.reproducible = true});
    const Array product = to_device(there, {});
    turn.order = sorted(to_device(basis(side), {}), product);
    const Array in_order(product.shape(), product.dtype());
    for (std::size_t i = 0; i < turn.order.size(); ++i) {
      copy_into(line(in_order, 1, static_cast<std::int64_t>(i)), line(product, 1, turn.order[i]));
    }
    turn.basis = to_device(decomposed(linear_algebra().orthogonal_factor, in_order), job_.device);
  }

  // Mean squares go where their vectors went.
  void sort(int axis, const std::vector<std::int64_t>& order) const {
    if (order.empty()) return;
    const Array before = copied(square_);
    for (std::size_t i = 0; i < order.size(); ++i) {
      copy_into(line(square_, axis, static_cast<std::int64_t>(i)), line(before, axis, order[i]));
    }
  }

  // Row or column i.
  static Array line(const Array& x, int axis, std::int64_t i) {
    return x.view({x.shape()[1 - axis]}, {x.strides()[1 - axis]}, i * x.strides()[axis]);
  }

  // Places of the estimates of eigenvalues, the greatest first; NaN counts as the least.
  std::vector<std::int64_t> sorted(const Array& basis, const Array& product) const {
    const Array a = as_dtype(basis, Dtype::float64);
    const Array b = as_dtype(product, Dtype::float64);
    const std::int64_t n = a.shape()[0];
    std::vector<double> estimate(static_cast<std::size_t>(n), 0);
    for (std::int64_t i = 0; i < n * n; ++i) {
      estimate[static_cast<std::size_t>(i % n)] += a.data<double>()[i] * b.data<double>()[i];
    }
    for (double& x : estimate) x = x == x ? x : -HUGE_VAL;
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t k) {
      return estimate[static_cast<std::size_t>(i)] > estimate[static_cast<std::size_t>(k)];
    });
    return order;
  }

  TensorJob& job_;
  const Values& h_;
  Shape shape_;
  Array grad_;
  Array mean_;
  Array square_;
  Turn turns_[2];
};

void direct(std::vector<TensorJob>& jobs) {
  std::vector<Soap> all;
  all.reserve(jobs.size());
  for (TensorJob& job : jobs) all.emplace_back(job).prepare();
  for (Soap& soap : all) soap.run();
}

}  // namespace

const TensorRule kSoap{"SOAP",      {"m", "v", "left", "right", "left_basis", "right_basis"},
                       {"gemm"},    check,
                       state_shape, direct};

}  // namespace chainrule
