#pragma once

#include "chainrule/core/api.h"
#include "chainrule/core/device.h"
#include "chainrule/update/plan.h"

// Runs an update on the device its arrays lie on: the CPU's chunks are shared among threads, a
// plug-in gets the whole batch.
namespace chainrule {

CHAINRULE_API void run_update(Device device, const update::Batch& batch);

// First sweep of the rules that measure: kMaxSums numbers per chunk, untouched for other rows.
CHAINRULE_API void run_measure(Device device, const update::Batch& batch, double* sums);

// Sum of squares of all gradients as they are after the first `shared_limit` steps of the
// shared program; the same bits for any number of threads. `partial` has room for all chunks.
CHAINRULE_API double sum_squares(Device device,
                                 const update::Batch& batch,
                                 int shared_limit,
                                 double* partial);

}  // namespace chainrule
