#pragma once

#include <cstdint>

// One update of many tensors, as the devices see it: plain data, resolved and validated.
namespace chainrule::update {

inline constexpr int kMaxStates = 4;
inline constexpr int kMaxCoefs = 16;
inline constexpr int kMaxSums = 4;
inline constexpr std::int16_t kNoRule = -1;
inline constexpr std::int16_t kTracedRule = -2;

struct TracedProgram;

// What happens to a gradient on its way to the rule, in order, element by element.
enum class GradientOp : std::int32_t {
  scale,         // g *= a
  weight_decay,  // g += a p
  lasso,         // g += a sign(p)
  clip,          // g = min(max(g, a), b)
};

struct GradientStep {
  GradientOp op;
  double a;
  double b;
};

// What most programs come to: g = min(max(g_scale g + p_scale p + sign_scale sign(p), low), high).
// A program of this form costs nothing in a sweep that memory limits; others pass through a
// buffer.
enum class Fused : std::uint8_t {
  none,     // not of this form, or no program at all
  linear,   // g_scale g + p_scale p alone
  bounded,  // all of it
};

struct FusedProgram {
  double g_scale;
  double p_scale;
  double sign_scale;
  double low;
  double high;
};

// What a sweep sums up on the way, over the elements of a chunk, without another look at memory.
// g is the gradient as the rule sees it, p the parameter before the update.
enum Statistic : int {
  kGradSquares,    // sum of g^2
  kParamSquares,   // sum of p^2
  kUpdateSquares,  // sum of (change of p)^2, before p is rounded to what is stored
  kMaxAbs,         // largest |g|, NaN left out
  kNonfinite,      // elements of g that are not finite
  kLost,           // elements whose change was rounded away where p was stored
  kStatistics,
};

// One parameter. Dtypes are numbers of chainrule::Dtype; all arrays are contiguous and `size`
// elements long. Elements are computed in double where `param` is float64, in float otherwise.
struct Row {
  void* param;
  // Mixed precision: `param` is then a float32 master copy, and this the half-precision array
  // that users see. Elements of it that are no longer the rounded master were set by somebody
  // and replace the master's.
  void* half;
  void* grad;
  // What a rule for whole tensors worked out in the gradient's place: contiguous, of the type
  // computed in; null where the rule sees the gradient itself.
  const void* direction;
  void* state[kMaxStates];
  float* scale[kMaxStates];  // of 8-bit states: the largest of each kStateBlock elements
  std::int64_t size;
  // Two programs run over the gradient: one shared by all rows, then the row's own.
  const GradientStep* shared_steps;
  const GradientStep* own_steps;
  std::int16_t shared_count;
  std::int16_t own_count;
  std::int16_t rule;  // place in Rules; kNoRule: only the programs run; kTracedRule: `traced` does
  std::int16_t sums;  // what the rule measures in a first sweep; 0: nothing
  std::uint8_t param_dtype;
  std::uint8_t half_dtype;
  std::uint8_t grad_dtype;
  std::uint8_t state_dtype;
  std::uint8_t state_count;
  bool write_grad;         // store the gradient as the programs left it
  bool in_place;           // every array is of the type computed in
  bool programmed;         // there are steps in the programs
  Fused fused;             // how the programs come to `program`, where nobody wants to see g
  bool observed;           // statistics are wanted
  bool clear_grad;         // the gradient is zero afterwards
  bool skip;               // nothing happens
  bool stochastic;         // a half-precision parameter is rounded stochastically
  bool stochastic_states;  // so are bfloat16 states; 8-bit ones always are
  std::uint8_t squares;    // bit k: state k holds squares
  std::uint32_t key[2];    // of this step's random bits
  FusedProgram program;
  const TracedProgram* traced;  // a user's rule (update/traced_program.h)
  double coefs[kMaxCoefs];
};

// A piece of a row. Rows are cut at multiples of kChunk, however the work is shared, so that
// results do not depend on the number of threads or on the other rows.
inline constexpr std::int64_t kChunk = 4096;

// Neighbours that share the scale of an 8-bit state.
inline constexpr std::int64_t kStateBlock = 256;

struct Chunk {
  std::int64_t begin;
  std::int32_t row;
  std::int32_t count;
};

struct Batch {
  const Row* rows;
  const Chunk* chunks;
  const std::int64_t* starts;  // work before each chunk, and in all: chunk_count + 1 numbers
  std::int64_t row_count;
  std::int64_t chunk_count;
  double* statistics;  // kStatistics numbers per chunk, written for observed rows; or null
};

// Kernel slots. CPU: chunks begin..end of a batch, on the calling thread. A plug-in's kernels
// have no use for ranges: they get the whole batch.
//   "update"              runs programs and rules
//   "update_measure"      sums[c * kMaxSums + k] = sum k of chunk c, of rows that measure
//   "update_sum_squares"  partial[c] = sum of squares of chunk c's gradient after the first
//                         `shared_limit` steps of the shared program; not finite where the
//                         gradient is not
using UpdateFunction = void(const Batch& batch, std::int64_t begin, std::int64_t end);
using MeasureFunction = void(const Batch& batch,
                             std::int64_t begin,
                             std::int64_t end,
                             double* sums);
using SumSquaresFunction = void(const Batch& batch,
                                std::int64_t begin,
                                std::int64_t end,
                                int shared_limit,
                                double* partial);

}  // namespace chainrule::update
