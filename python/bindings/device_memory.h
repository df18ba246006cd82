#pragma once

#include <string>
#include <utility>

#include "chainrule/backend/plugin.h"
#include "chainrule/core/array.h"
#include "dlpack_types.h"

// Devices as other libraries name them, and what goes with giving them memory.
namespace chainrule::python {

namespace dlpack {

// Streams; all other numbers are addresses.
inline constexpr std::int64_t kNoStream = -1;
inline constexpr std::int64_t kLegacyStream = 1;
inline constexpr std::int64_t kThreadStream = 2;

// Of the stream that our work on a device runs on.
std::int64_t stream_of(int device);

Device device_of(const Array& array);
// Of a kind that our kernels for CUDA can work on; whether the device is there is another question.
bool is_cuda(const Device& device);

}  // namespace dlpack

// Why no array can be on a device's memory, after the word "got"; empty where it can.
std::string problem_with(const dlpack::Device& device);

// The same device in our terms, where there is no problem with it.
Device device_from_dlpack(const dlpack::Device& device);

// The device that DLPack calls (type, number); a BufferError if it cannot be used. `op` and
// `argument` are for the message.
Device device_from_dlpack(const char* op, const char* argument, std::pair<int, int> device);

// Waits for our work on a CUDA device, or for everybody's. For destructors: says nothing of
// failures, and lets other Python threads run where this one has the lock.
void drain_device(int index, bool everybody) noexcept;

}  // namespace chainrule::python
