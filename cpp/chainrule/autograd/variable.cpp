#include "chainrule/autograd/variable.h"

#include <atomic>

#include "chainrule/autograd/mode.h"
#include "chainrule/autograd/node.h"

namespace chainrule {
namespace {

std::atomic<std::int64_t> live_variables{0};
const Ref<Node> kNoNode;
const Array kNoArray{};

}  // namespace

std::int64_t live_variable_count() { return live_variables; }

Variable::Variable(Array data, bool requires_grad)
    : impl_(make_ref<VariableImpl>(std::move(data), requires_grad)) {}

const Array& Variable::array() const { return impl_ ? impl_->data() : kNoArray; }

VariableImpl::VariableImpl(Array data, bool requires_grad)
    : data_(std::move(data)), requires_grad_(requires_grad) {
  live_variables.fetch_add(1, std::memory_order_relaxed);
}

VariableImpl::~VariableImpl() {
  live_variables.fetch_sub(1, std::memory_order_relaxed);
  if (creator_) Node::forget_output(*creator_, output_index_, this);
}

void VariableImpl::set_data(Array data) {
  data_ = std::move(data);
  host_array_ = {};
}

void VariableImpl::set_grad(Variable grad) {
  if (grad.defined() && data_.defined()) {
    const Array& g = grad.array();
    const std::string label = name_.empty() ? "" : " of '" + name_ + "'";
    if (g.shape() != data_.shape()) {
      throw ValueError(cat("[grad] gradient of the wrong shape", label, ": got ", g.shape(),
                           ", expected ", data_.shape()));
    }
    if (g.dtype() != data_.dtype()) {
      throw TypeError(cat("[grad] gradient of the wrong dtype", label, ": got ", g.dtype(),
                          ", expected ", data_.dtype()));
    }
    if (g.device() != data_.device()) {
      throw TypeError(cat("[grad] gradient on the wrong device", label, ": got ", g.device(),
                          ", expected ", data_.device()));
    }
  }
  grad_ = std::move(grad);
}

const Ref<Node>& VariableImpl::creator() const {
  if (!creator_ || creator_->freed() || creator_->output(output_index_).cut) return kNoNode;
  return creator_;
}

int VariableImpl::rank() const { return creator() ? creator_->rank() + 1 : 0; }

void VariableImpl::set_creator(Ref<Node> node, int output_index) {
  if (creator_) Node::forget_output(*creator_, output_index_, this);
  creator_ = std::move(node);
  output_index_ = output_index;
}

void VariableImpl::unchain() {
  if (!creator_) return;
  const Ref<Node> node = creator_;
  const int index = output_index_;
  set_creator({}, 0);
  node->cut(index);
}

Variable Saved::unpack(const char* op) const {
  if (!variable_.defined()) return variable_;
  const Array& now = variable_.array();
  if (now.raw() == data_.raw() && now.storage() == data_.storage()) return variable_;
  if (backprop_enabled() && variable_->participates()) {
    throw Error(cat("[", op,
                    "] the data of an input was replaced after it was recorded, so its "
                    "gradient cannot be differentiated again"));
  }
  return Variable(data_);
}

}  // namespace chainrule
