#include "chainrule/update/tensor_rules/linear_algebra.h"

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

LinearAlgebra functions{};

}  // namespace

void set_linear_algebra(const LinearAlgebra& given) { functions = given; }

bool has_linear_algebra() { return functions.eigenvectors && functions.orthogonal_factor; }

const LinearAlgebra& linear_algebra() {
  if (!has_linear_algebra()) {
    throw NotSupportedError("[update] nothing here decomposes matrices: call set_linear_algebra");
  }
  return functions;
}

}  // namespace chainrule
