#include <string>
#include <utility>
#include <vector>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/transfer.h"
#include "chainrule/core/error.h"
#include "device_memory.h"
#include "numpy_array.h"
#include "update.h"
#include "variable.h"

namespace py = pybind11;

// What a rule keeps between updates, as Python sees it.
namespace chainrule::python {
namespace {

int place_of_state(const UpdateRule& rule, const std::string& name) {
  const int place = rule.algorithm() ? rule.algorithm()->find_state(name) : -1;
  if (place < 0) throw KeyError(name);
  return place;
}

// What Python sees of arrays on a CUDA device: a copy that cannot be mistaken for them.
py::object copy_to_numpy(const Array& array) {
  const py::object numpy = to_numpy(to_device(array, {}));
  if (array.device() != Device{}) numpy.attr("setflags")(py::arg("write") = false);
  return numpy;
}

py::object get_state(UpdateRule& self, const std::string& name) {
  const int place = place_of_state(self, name);
  const Array& state = self.state(place);
  if (!state.defined()) return py::none();
  if (state.device() != Device{}) return copy_to_numpy(state);
  py::object numpy = to_numpy(state);
  // From now on the memory belongs to this NumPy array, so that the next look finds the same.
  if (!state.storage()->owner()) {
    self.set_state(place, from_numpy(numpy, "state"), self.stored_state(place).scales);
  }
  return numpy;
}

py::object get_scale(UpdateRule& self, const std::string& name) {
  const Array& scales = self.stored_state(place_of_state(self, name)).scales;
  return scales.defined() ? copy_to_numpy(scales) : py::none();
}

// Of a NumPy array, or of a Variable, which may be on a GPU.
Array given(py::handle value) {
  const VariableImpl* variable = variable_or_null(value);
  return variable ? variable->data() : from_numpy(value, "state");
}

void set_scale(UpdateRule& self, const std::string& name, py::handle value) {
  const Array& scales = self.stored_state(place_of_state(self, name)).scales;
  const Array array = given(value);
  if (!scales.defined()) throw KeyError(name + "_scale");
  if (array.shape() != scales.shape()) {
    throw ValueError(cat("[state] '", name, "_scale' of the wrong shape: got ", array.shape(),
                         ", expected ", scales.shape()));
  }
  copy_into(scales, to_device(array, scales.device()));
}

// The numbers of a state, also where they are kept in 8 bits.
py::object decoded(UpdateRule& self, const std::string& name) {
  const int place = place_of_state(self, name);
  const StoredState& state = self.stored_state(place);
  if (!state.values.defined()) throw KeyError(name);
  const bool square = self.algorithm()->states[static_cast<std::size_t>(place)].square;
  return copy_to_numpy(copied(decoded_state(state, square)));
}

// Writes into a state that is there, and makes one that is not; None removes it.
void set_state(UpdateRule& self, const std::string& name, py::handle value) {
  const int place = place_of_state(self, name);
  const Array& state = self.state(place);
  if (value.is_none()) return self.set_state(place, {});
  Array array = given(value);
  if (!state.defined()) {
    array = to_device(array, {});  // the next update brings it to its parameter
    if (!is_floating(array.dtype())) {
      throw TypeError(cat("[state] '", name, "' must be floating: got ", array.dtype()));
    }
    return self.set_state(place, copied(array));
  }
  if (array.shape() != state.shape()) {
    throw ValueError(cat("[state] '", name, "' of the wrong shape: got ", array.shape(),
                         ", expected ", state.shape()));
  }
  if (!state.writeable()) {
    throw ValueError(cat("[state] '", name, "' is read-only"));
  }
  copy_into(state, to_device(array, state.device()));
}

// Codes and scales that were stored together; what the rule is to store its states as from its next
// update on may be something else already.
void set_coded_state(UpdateRule& self,
                     const std::string& name,
                     py::handle codes,
                     py::handle scales) {
  const int place = place_of_state(self, name);
  const StoredState coded{to_device(given(codes), {}), to_device(given(scales), {})};
  const Shape groups{(coded.values.size() + update::kStateBlock - 1) / update::kStateBlock};
  if (coded.values.dtype() != Dtype::int8 || coded.scales.dtype() != Dtype::float32) {
    throw TypeError(cat("[state] '", name, "' of the wrong dtype: got codes of ",
                        coded.values.dtype(), " and scales of ", coded.scales.dtype(),
                        ", expected int8 and float32"));
  }
  if (coded.scales.shape() != groups) {
    throw ValueError(cat("[state] '", name, "_scale' of the wrong shape: got ",
                         coded.scales.shape(), ", expected ", groups));
  }
  self.set_state(place, copied(coded.values), copied(coded.scales));
}

void init_states(UpdateRule& self, py::handle param) {
  if (!self.algorithm()) return;
  const Ref<VariableImpl> impl = parameter_from(param);
  const Array& data = impl->data();
  if (!data.defined()) return;
  const auto& resolved = self.resolve(label_of(*impl));
  const bool mastered = self.fp32_update && is_half(data.dtype());
  self.prepare_states(*resolved.variant, data, mastered ? Dtype::float32 : data.dtype(),
                      label_of(*impl));
}

// Tells whether the states fit a parameter. What the next update stores otherwise stays as it is.
void check_states(UpdateRule& self, py::handle param) {
  std::vector<StoredState> before;
  const std::size_t count = self.algorithm() ? self.algorithm()->states.size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    before.push_back(self.stored_state(static_cast<int>(i)));
  }
  init_states(self, param);
  for (std::size_t i = 0; i < count; ++i) {
    const int place = static_cast<int>(i);
    const Array& values = before[i].values;
    if (values.defined() && values.dtype() != self.state(place).dtype()) {
      self.set_state(place, values, before[i].scales);
    }
  }
}

// Variables on the very memory of a state or of its scales, where NumPy cannot look: None where
// there is none.
py::object variable_on(const Array& array) {
  return array.defined() ? py::cast(make_ref<VariableImpl>(array, true)) : py::object(py::none());
}

void move_states(UpdateRule& self, std::pair<int, int> device) {
  self.move_states_to(device_from_dlpack("states", "device", device));
}

py::object get_master(const UpdateRule& self) {
  const Array& master = self.master();
  return master.defined() ? copy_to_numpy(copied(master)) : py::object(py::none());
}

void set_master(UpdateRule& self, py::handle value) {
  if (value.is_none()) return self.set_master({});
  self.set_master(copied(as_dtype(from_numpy(value, "fp32_param"), Dtype::float32)));
}

}  // namespace

void bind_rule_states(Class<UpdateRule, Ref<UpdateRule>>& rule) {
  rule.def_property_readonly("_has_states", &UpdateRule::has_states)
      .def("_has_state",
           [](UpdateRule& self, const std::string& name) {
             return self.state(place_of_state(self, name)).defined();
           })
      .def("_clear_states", &UpdateRule::clear_states)
      .def("_get_state", &get_state)
      .def("_set_state", &set_state)
      .def("_get_scale", &get_scale)
      .def("_set_scale", &set_scale)
      .def("_set_coded_state", &set_coded_state, py::arg("name"), py::arg("codes"),
           py::arg("scales"))
      .def("_decoded_state", &decoded)
      .def(
          "_state_variable",
          [](UpdateRule& self, const std::string& name) {
            return variable_on(self.state(place_of_state(self, name)));
          },
          py::arg("name"), "A Variable on a state's memory, whatever device it is on.")
      .def(
          "_scale_variable",
          [](UpdateRule& self, const std::string& name) {
            return variable_on(self.stored_state(place_of_state(self, name)).scales);
          },
          py::arg("name"), "The same for the scales of an 8-bit state.")
      .def_property_readonly(
          "_state_bytes", [](const UpdateRule& self) { return self.state_bytes(); },
          "Size of the states that are there.")
      .def("_move_states", &move_states, py::arg("device"),
           "Brings states and master copy to a device, which is named as DLPack does.")
      .def("_init_states", &init_states)
      .def("_check_states", &check_states, py::arg("param"),
           "Raises where the states that are there do not fit a parameter.")
      .def(
          "_master",
          [](UpdateRule& self, py::handle param) {
            return variable_on(self.master(parameter_from(param)->data()));
          },
          py::arg("param"), "A Variable on the float32 copy of a half-precision parameter.")
      .def_property_readonly("_has_master",
                             [](const UpdateRule& self) { return self.master().defined(); })
      .def_property("_master_copy", &get_master, &set_master,
                    "A NumPy copy of the same as far as it was made, otherwise None.");
}

}  // namespace chainrule::python
