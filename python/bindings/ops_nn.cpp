#include "ops_nn.h"

#include <optional>
#include <string_view>

#include "chainrule/core/error.h"
#include "chainrule/ops/linear.h"
#include "chainrule/ops/loss.h"
#include "chainrule/ops/softmax.h"
#include "numpy_array.h"
#include "ops.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

LossReduce reduce_from(const char* op, std::string_view reduce) {
  if (reduce == "mean") return LossReduce::mean;
  if (reduce == "no") return LossReduce::none;
  throw ValueError(cat("[", op, "] reduce: got '", reduce, "', expected 'mean' or 'no'"));
}

SoftTargetLoss soft_target_loss_from(std::string_view loss) {
  if (loss == "cross-entropy") return SoftTargetLoss::cross_entropy;
  if (loss == "kl-divergence") return SoftTargetLoss::kl_divergence;
  throw ValueError(cat("[softmax_cross_entropy] soft_target_loss: got '", loss,
                       "', expected 'cross-entropy' or 'kl-divergence'"));
}

// Labels and weights: no gradient flows to them, whether they come in a Variable or not.
Array constant_from(py::handle object, const char* op) {
  if (auto* impl = variable_or_null(object)) return impl->data();
  return from_numpy(object, op);
}

}  // namespace

void bind_nn_ops(py::module_& m) {
  m.def("matmul", &Op<matmul>::call, py::arg("a"), py::arg("b"), py::arg("transa") = false,
        py::arg("transb") = false);
  m.def("linear", &Op<linear, 2>::call, py::arg("x"), py::arg("W"), py::arg("b") = Variable());
  m.def("softmax", &Op<softmax>::call, py::arg("x"), py::arg("axis") = 1);
  m.def("log_softmax", &Op<log_softmax>::call, py::arg("x"), py::arg("axis") = 1);
  m.def("mean_squared_error", &Op<mean_squared_error>::call, py::arg("x0"), py::arg("x1"));

  m.def(
      "softmax_cross_entropy",
      [](const Variable& x, py::handle t, bool normalize, py::handle class_weight,
         std::int64_t ignore_label, std::string_view reduce, std::string_view soft_target_loss) {
        constexpr char op[] = "softmax_cross_entropy";
        SoftmaxCrossEntropyOptions options;
        options.normalize = normalize;
        options.ignore_label = ignore_label;
        options.reduce = reduce_from(op, reduce);
        options.soft_target_loss = soft_target_loss_from(soft_target_loss);
        if (!class_weight.is_none()) options.class_weight = constant_from(class_weight, op);
        const Array labels = constant_from(t, op);
        ReleaseGil gil(x.size());
        return chainrule::softmax_cross_entropy(x, labels, options);
      },
      py::arg("x"), py::arg("t"), py::arg("normalize"), py::arg("class_weight"),
      py::arg("ignore_label"), py::arg("reduce"), py::arg("soft_target_loss"));
  m.def(
      "sigmoid_cross_entropy",
      [](const Variable& x, py::handle t, bool normalize, std::string_view reduce) {
        constexpr char op[] = "sigmoid_cross_entropy";
        const LossReduce how = reduce_from(op, reduce);
        const Array labels = constant_from(t, op);
        ReleaseGil gil(x.size());
        return chainrule::sigmoid_cross_entropy(x, labels, normalize, how);
      },
      py::arg("x"), py::arg("t"), py::arg("normalize"), py::arg("reduce"));
  m.def(
      "accuracy",
      [](const Variable& y, py::handle t, std::optional<std::int64_t> ignore_label) {
        const Array labels = constant_from(t, "accuracy");
        ReleaseGil gil(y.size());
        return chainrule::accuracy(y, labels, ignore_label);
      },
      py::arg("y"), py::arg("t"), py::arg("ignore_label"));
}

}  // namespace chainrule::python
