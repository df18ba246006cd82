#pragma once

#include <cstdint>
#include <optional>

#include "chainrule/core/dtype.h"

// What dlpack.h lays down about a tensor.
namespace chainrule::python::dlpack {

struct Device {
  std::int32_t type;
  std::int32_t id;
};

struct DataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null for C order
  std::uint64_t byte_offset;
};

inline constexpr std::int32_t kCpu = 1;
inline constexpr std::int32_t kCuda = 2;
inline constexpr std::int32_t kCudaHost = 3;
inline constexpr std::int32_t kCudaManaged = 13;

DataType type_of(Dtype dtype);
// Nothing where the library has no such dtype.
std::optional<Dtype> dtype_of(const DataType& type);

}  // namespace chainrule::python::dlpack
