#pragma once

#include <vector>

// The headers that kernels are made of, by the names they include each other by.
namespace chainrule::cuda {

struct DeviceHeader {
  const char* name;
  const char* text;
};

// Written by cmake/DeviceHeaders.cmake.
const std::vector<DeviceHeader>& device_headers();

}  // namespace chainrule::cuda
