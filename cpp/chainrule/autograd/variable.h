#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"

namespace chainrule {

class Node;
class VariableImpl;

// An array in a graph: the handle that user code, C++ and Python alike, holds. Copies share
// data, gradient and place in the graph. References lead only backwards in time: a variable
// keeps its creator alive, a creator never its outputs.
class CHAINRULE_API Variable {
 public:
  Variable() = default;
  explicit Variable(Array data, bool requires_grad = false);
  explicit Variable(Ref<VariableImpl> impl) : impl_(std::move(impl)) {}

  bool defined() const { return static_cast<bool>(impl_); }
  VariableImpl* operator->() const { return impl_.get(); }
  const Ref<VariableImpl>& impl() const { return impl_; }

  const Array& array() const;
  const Shape& shape() const { return array().shape(); }
  int ndim() const { return array().ndim(); }
  std::int64_t size() const { return array().size(); }
  Dtype dtype() const { return array().dtype(); }
  Device device() const { return array().device(); }

 private:
  Ref<VariableImpl> impl_;
};

class CHAINRULE_API VariableImpl : public RefCounted {
 public:
  explicit VariableImpl(Array data, bool requires_grad = false);
  ~VariableImpl();

  const Array& data() const { return data_; }
  // Replaces the data; what was recorded before keeps what it saved.
  void set_data(Array data);

  const Variable& grad() const { return grad_; }
  // Throws where shape, dtype or device differ from the data's.
  void set_grad(Variable grad);
  // One that is known to fit.
  void put_grad(Variable grad) { grad_ = std::move(grad); }
  void clear_grad() { grad_ = {}; }
  Variable take_grad() { return std::exchange(grad_, {}); }

  bool requires_grad() const { return requires_grad_; }
  void set_requires_grad(bool requires_grad) { requires_grad_ = requires_grad; }
  // A frozen variable is left out of graphs recorded from now on, whatever it requires.
  bool frozen() const { return frozen_; }
  void set_frozen(bool frozen) { frozen_ = frozen; }
  bool participates() const { return requires_grad_ && !frozen_; }

  // The node that made this variable; null for leaves and after the graph was cut or freed.
  const Ref<Node>& creator() const;
  // The node that is kept alive, also after its graph was cut or freed.
  const Ref<Node>& kept_creator() const { return creator_; }
  int output_index() const { return output_index_; }
  int rank() const;
  void set_creator(Ref<Node> node, int output_index);
  void unchain();

  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }

  // The host language's own object for `data`, so that asking twice gives the same one.
  HostObject& host_array() { return host_array_; }

 private:
  Variable grad_;  // beside the beginning of `data_`: an update looks at both
  Array data_;
  mutable Ref<Node> creator_;
  std::int32_t output_index_ = 0;
  bool requires_grad_;
  bool frozen_ = false;
  HostObject host_array_;
  std::string name_;
};

// Numbers of live graph nodes and variables, for leak tests.
CHAINRULE_API std::int64_t live_node_count();
CHAINRULE_API std::int64_t live_variable_count();

// What a backward function keeps of an input: its place in the graph, and the data it had.
class CHAINRULE_API Saved {
 public:
  Saved() = default;
  explicit Saved(const Variable& variable) : variable_(variable), data_(variable.array()) {}

  const Array& array() const { return data_; }
  const Variable& variable() const { return variable_; }
  // The variable to compute gradients with; throws if its data was replaced since and the
  // result would have to be differentiated again.
  Variable unpack(const char* op) const;

 private:
  Variable variable_;
  Array data_;
};

}  // namespace chainrule
