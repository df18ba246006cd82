#include <pybind11/pybind11.h>

#include "borrowed_tensors.h"
#include "chainrule/backend/cpu/gemm.h"
#include "chainrule/backend/cpu/register.h"
#include "chainrule/backend/cpu/traced_code.h"
#include "chainrule/backend/kernel.h"
#include "chainrule/backend/parallel.h"
#include "chainrule/core/storage.h"
#include "cuda.h"
#include "errors.h"
#include "function_node.h"
#include "node.h"
#include "numpy_array.h"
#include "ops.h"
#include "ops_array.h"
#include "ops_nn.h"
#include "overlap.h"
#include "update.h"
#include "variable.h"
#include "xla_call.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
  using namespace chainrule;
  using namespace chainrule::python;
  m.doc() = "chainrule's native core. Use it through the package chainrule.";
  m.attr("__version__") = CHAINRULE_VERSION;
  initialize_kernels();

  bind_errors(m);
  bind_numpy(m);
  bind_overlap(m);
  bind_node(m);
  bind_variable(m);
  bind_function_node(m);
  bind_ops(m);
  bind_update(m);
  bind_nn_ops(m);
  bind_array_ops(m);
  bind_borrowed_tensors(m);
  bind_xla_call(m);
  bind_cuda(m);

  m.def(
      "instruction_set", [] { return std::string(cpu::instruction_set()); },
      "The CPU instruction set of the kernels in use: baseline, avx2 or avx512.");
  m.def("problem_with_traced_code", &cpu::problem_with_traced_code,
        "Why the CPU interprets all traced rules; empty where it makes machine code of those it "
        "can.");
  m.def("onednn_version", &cpu::onednn_version, "The version of the oneDNN in use.");
  m.def("set_num_threads", &set_num_threads, py::arg("count"),
        "Sets the number of threads that kernels use.");
  m.def("num_threads", &num_threads, "The number of threads that kernels use.");
  m.def(
      "cpu_memory",
      [] {
        const MemoryInfo info = cpu_memory_info();
        return py::make_tuple(info.in_use, info.cached);
      },
      "Bytes of CPU memory in use by arrays, and bytes kept for reuse.");
  m.def("release_cached_memory", &cpu_memory_release_cached,
        "Returns the CPU memory kept for reuse to the system.");
}
