#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"
#include "chainrule/update/rule.h"
#include "chainrule/update/state_dtype.h"

// A rule that looks at a tensor as a whole. Its host part makes a direction out of arrays with the
// backend's operations; a rule of update/rules/ of the same name, which sees the direction in the
// gradient's place, is the last step, in the sweep with all other rows.
namespace chainrule {

// One parameter that wants a direction. All arrays are contiguous and of `dtype`.
struct TensorJob {
  const double* values;  // hyperparameters
  update::Step step;
  const StoredState* states;  // by place in TensorRule::states; undefined where there is none
  Shape shape;
  Dtype dtype;  // the type computed in
  Device device;
  // The parameter before the update, of a type of its own.
  const void* param;
  Dtype param_dtype;
  Array grad;  // as the hooks leave it; not to be written
  // To be filled in.
  Array direction;
  double* coefs;  // of the last step; they hold what `prepare` or an earlier step put there
};

struct TensorRule {
  const char* name;
  std::vector<const char*> states;
  // Kernels that a device must have.
  std::vector<const char*> kernels;
  // Throws where the rule is not for such values or such a parameter; nothing has happened yet.
  void (*check)(const double* values, const Shape& shape, const std::string& label);
  // The shape of a state; none where these values or this parameter have no use for it.
  std::optional<Shape> (*state_shape)(const double* values, const Shape& shape, int place);
  // Writes states and directions. All jobs lie on one device and are of one dtype, and none is
  // empty. A direction must not depend on the other jobs, nor on the number of threads; on CUDA
  // its last bits may depend on other jobs of its shape (GemmOptions::reproducible).
  void (*direct)(std::vector<TensorJob>& jobs);

  // Throws where `device` lacks a kernel.
  void check_device(Device device, Dtype dtype, const std::string& label) const;
};

CHAINRULE_API const std::vector<const TensorRule*>& tensor_rules();

extern const TensorRule kAdafactor;
extern const TensorRule kMuon;
extern const TensorRule kSoap;

}  // namespace chainrule
