#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "chainrule/core/api.h"

namespace chainrule {

enum class DeviceKind : std::uint8_t { cpu, cuda };
inline constexpr int kDeviceKindCount = 2;

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  std::int8_t index = 0;

  friend bool operator==(const Device&, const Device&) = default;
};

CHAINRULE_API std::string to_string(Device device);
CHAINRULE_API std::ostream& operator<<(std::ostream& out, Device device);

}  // namespace chainrule
