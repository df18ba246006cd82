#include <cmath>
#include <cstdlib>
#include <limits>

#include "../../update/expressions.h"
#include "../../update/support.h"
#include "../device_test.h"
#include "chainrule/core/error.h"
#include "chainrule/update/traced.h"

// Reduced states and stochastic rounding against the CPU's: the same random bits for the same
// elements, the same scales, and codes that differ where arithmetic was rounded otherwise.
namespace chainrule::testing {
namespace {

class CudaUpdateReduced : public CudaTest {};

using StateDtype = Policies::StateDtype;

constexpr Dtype kDtypes[] = {Dtype::float32, Dtype::float64, Dtype::float16, Dtype::bfloat16};
constexpr StateDtype kStateDtypes[] = {StateDtype::int8, StateDtype::bfloat16, StateDtype::natural};
// Around a counter's, a group of random bits', a scale's and a chunk's end.
constexpr std::int64_t kSizes[] = {1, 16, 17, 65, 255, 256, 257, 1030, 4096, 4097, 9001};
constexpr std::size_t kSizeCount = sizeof(kSizes) / sizeof(kSizes[0]);

std::vector<double> brought(const Array& x) { return values_of(to_device(x, {})); }

// The same parameters on the CPU and on a CUDA device.
struct Pair {
  struct Side {
    Device device;
    UpdateTable table;
    std::vector<Ref<VariableImpl>> params;
    std::vector<Ref<UpdateRule>> rules;
  };
  Side sides[2];

  Pair() { sides[1].device = kCuda; }

  // One element past the start of its memory, so that nothing there is aligned, where `shifted`.
  template <class MakeRule>
  void add(Dtype dtype,
           std::int64_t size,
           std::uint64_t seed,
           StateDtype states,
           bool shifted,
           const MakeRule& make_rule) {
    for (Side& side : sides) {
      const auto place = [&](std::uint64_t s) {
        const Array all = to_device(array_of(noise(size + 1, s), dtype), side.device);
        return all.view({size}, {item_size(dtype)}, shifted ? item_size(dtype) : 0);
      };
      auto param = make_ref<VariableImpl>(place(seed), true);
      param->set_grad(Variable(place(seed + 1)));
      Ref<UpdateRule> rule = make_rule();
      Policies policies = rule->policies();
      policies.state_dtype = states;
      policies.stochastic = true;
      policies.seed = seed;
      rule->set_policies(policies);
      side.table.add(param, rule, cat("/p", side.params.size()), false);
      side.params.push_back(param);
      side.rules.push_back(rule);
    }
  }

  void give_gradients(std::uint64_t seed) {
    for (Side& side : sides) {
      for (std::size_t i = 0; i < side.params.size(); ++i) {
        const Array& grad = side.params[i]->grad().array();
        const Array values = array_of(noise(grad.size(), seed + i), grad.dtype());
        copy_into(grad, to_device(values, side.device));
      }
    }
  }

  void update(const UpdateOptions& options = {}) {
    for (Side& side : sides) side.table.update(options);
  }

  // What differs by rounding alone must not add up over steps.
  void level() {
    for (std::size_t i = 0; i < sides[0].params.size(); ++i) {
      copy_into(sides[1].params[i]->data(), to_device(sides[0].params[i]->data(), kCuda));
      UpdateRule& from = *sides[0].rules[i];
      UpdateRule& to = *sides[1].rules[i];
      for (std::size_t s = 0; s < from.algorithm()->states.size(); ++s) {
        const StoredState& state = from.stored_state(static_cast<int>(s));
        if (!state.values.defined()) continue;
        to.set_state(static_cast<int>(s), to_device(state.values, kCuda),
                     state.is_coded() ? to_device(state.scales, kCuda) : Array());
      }
      if (from.master().defined()) to.set_master(to_device(from.master(), kCuda));
    }
  }
};

// How far two numbers lie apart, in steps of what stores them.
double steps_between(Dtype dtype, double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  if (dtype == Dtype::int8) return std::abs(a - b);
  const double size = std::max({std::abs(a), std::abs(b), 1e-2});
  const double unit = dtype == Dtype::float64   ? 1e-12
                      : dtype == Dtype::float32 ? 4e-6
                      : dtype == Dtype::float16 ? 0x1p-10
                                                : 0x1p-7;
  return std::abs(a - b) / (unit * size);
}

// Equal but for a few elements, and those next to each other.
void expect_close(const Array& here, const Array& there, double share, const std::string& what) {
  ASSERT_EQ(here.defined(), there.defined()) << what;
  if (!here.defined()) return;
  ASSERT_EQ(here.dtype(), there.dtype()) << what;
  const std::vector<double> a = brought(here);
  const std::vector<double> b = brought(there);
  double differing = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double steps = steps_between(here.dtype(), a[i], b[i]);
    ASSERT_LE(steps, here.dtype() == Dtype::float64 ? 1e4 : 100)
        << what << ": element " << i << " of " << a.size() << ": " << a[i] << " and " << b[i];
    differing += here.dtype() == Dtype::float64 ? steps > 1e4 : steps > 0.9;
  }
  EXPECT_LE(differing, 1 + share * static_cast<double>(a.size())) << what << ", " << here.dtype();
}

void expect_same(const Pair& pair, double share, const std::string& when) {
  const auto& [here, there] = pair.sides;
  for (std::size_t i = 0; i < here.params.size(); ++i) {
    UpdateRule& a = *here.rules[i];
    UpdateRule& b = *there.rules[i];
    const std::string name = cat(when, ", /p", i, ", ", a.algorithm()->name);
    expect_close(here.params[i]->data(), there.params[i]->data(), share, name);
    for (std::size_t s = 0; s < a.algorithm()->states.size(); ++s) {
      const StoredState& mine = a.stored_state(static_cast<int>(s));
      const StoredState& other = b.stored_state(static_cast<int>(s));
      const std::string state = cat(name, ", ", a.algorithm()->states[s].name);
      expect_close(mine.values, other.values, share, state);
      ASSERT_EQ(mine.is_coded(), other.is_coded()) << state;
      if (mine.is_coded()) {
        EXPECT_EQ(brought(mine.scales), brought(other.scales)) << state;
      }
    }
    if (::testing::Test::HasFailure()) return;
  }
}

// Those of which more than rounding can be compared: what MSVAG takes for the variance of the first
// gradient is nothing else.
constexpr const char* kAlgorithms[] = {"SGD",
                                       "MomentumSGD",
                                       "Adam",
                                       "CorrectedMomentumSGD",
                                       "NesterovAG",
                                       "AdaGrad",
                                       "AdaDelta",
                                       "RMSprop",
                                       "RMSpropGraves",
                                       "Lion",
                                       "NAdam",
                                       "RAdam",
                                       "AdEMAMix",
                                       "ADOPT",
                                       "AdaBelief",
                                       "Adamax",
                                       "ScheduleFreeSGD",
                                       "ScheduleFreeAdamW",
                                       "LAMB",
                                       "LARS",
                                       "StableAdamW",
                                       "Prodigy",
                                       "SMORMS3",
                                       "Rprop"};

TEST_F(CudaUpdateReduced, EveryRuleGivesTheSameCodes) {
  for (StateDtype states : kStateDtypes) {
    Pair pair;
    std::uint64_t seed = 1;
    std::size_t i = 0;
    for (const char* algorithm : kAlgorithms) {
      for (Dtype dtype : kDtypes) {
        const std::int64_t size = kSizes[i % kSizeCount];
        pair.add(dtype, size, seed, states, i % 3 == 1, [&] {
          auto rule = rule_of(algorithm);
          rule->fp32_update = i % 5 == 1;
          rule->observed = i % 2 == 0;
          if (i % 3 == 0) {
            rule->hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::weight_decay, 0.1));
          }
          return rule;
        });
        seed += 3;
        ++i;
      }
    }
    for (std::uint64_t step = 0; step < 3; ++step) {
      if (step) {
        pair.level();
        pair.give_gradients(1000 * step);
      }
      UpdateOptions options;
      options.write_gradients = step == 2;
      pair.update(options);
      expect_same(pair, 0.01, cat("step ", step));
      if (HasFailure()) return;
    }
  }
}

// With factors that are powers of two no product is rounded: all bits of the new numbers are the
// same, and so must be what is drawn for each of them.
TEST_F(CudaUpdateReduced, EveryElementHasItsOwnRandomBits) {
  for (StateDtype states : kStateDtypes) {
    Pair pair;
    std::uint64_t seed = 7;
    for (Dtype dtype : kDtypes) {
      for (std::int64_t size : kSizes) {
        pair.add(dtype, size, seed, states, false,
                 [] { return rule_of("MomentumSGD", {{"lr", 0x1p-9}, {"momentum", 0.5}}); });
        seed += 2;
      }
    }
    for (std::uint64_t step = 0; step < 4; ++step) {
      if (step) pair.give_gradients(1000 * step);
      pair.update();
      expect_same(pair, 0, cat("step ", step));
      if (HasFailure()) return;
    }
  }
}

TEST_F(CudaUpdateReduced, TracedRulesGiveTheSameCodes) {
  const auto algorithm = make_algorithm(traced_adam(0.01));
  for (StateDtype states : kStateDtypes) {
    Pair pair;
    std::uint64_t seed = 1;
    for (Dtype dtype : kDtypes) {
      for (std::int64_t size : {17, 257, 4097}) {
        pair.add(dtype, size, seed, states, false, [&] {
          auto rule = make_ref<UpdateRule>(algorithm.get(), default_hyperparameter(*algorithm));
          rule->observed = size > 1000;
          return rule;
        });
        seed += 2;
      }
    }
    for (std::uint64_t step = 0; step < 3; ++step) {
      if (step) {
        pair.level();
        pair.give_gradients(1000 * step);
      }
      pair.update();
      expect_same(pair, 0.01, cat("step ", step));
      if (HasFailure()) return;
    }
  }
}

TEST_F(CudaUpdateReduced, StatisticsAgreeWithTheCpu) {
  Pair pair;
  std::uint64_t seed = 1;
  for (Dtype dtype : kDtypes) {
    for (std::int64_t size : {17, 4097, 9001}) {
      pair.add(dtype, size, seed, StateDtype::int8, false, [] {
        auto rule = rule_of("Adam");
        rule->observed = true;
        return rule;
      });
      for (auto& side : pair.sides) {
        Policies policies = side.rules.back()->policies();
        policies.stochastic = size == 4097;  // nothing of it is ever lost
        side.rules.back()->set_policies(policies);
      }
      seed += 2;
    }
  }
  pair.update();
  for (std::size_t i = 0; i < pair.sides[0].rules.size(); ++i) {
    for (int k = 0; k < update::kStatistics; ++k) {
      const double a = pair.sides[0].rules[i]->statistics[k];
      const double b = pair.sides[1].rules[i]->statistics[k];
      EXPECT_NEAR(b, a, 1e-5 * std::max(1.0, a)) << "/p" << i << ", statistic " << k;
    }
  }
}

TEST_F(CudaUpdateReduced, OnlyTheGroupOfABadGradientIsLost) {
  Pair pair;
  pair.add(Dtype::float32, 4096 + 600, 1, StateDtype::int8, false,
           [] { return rule_of("MomentumSGD", {{"lr", 0x1p-9}, {"momentum", 0.5}}); });
  pair.update();
  const std::pair<std::int64_t, double> bad[] = {
      {300, std::numeric_limits<double>::quiet_NaN()},
      {4096 + 599, -std::numeric_limits<double>::infinity()}};
  for (auto& side : pair.sides) {
    const Array& grad = side.params[0]->grad().array();
    for (const auto& [place, value] : bad) fill(grad.view({1}, {4}, 4 * place), value);
  }
  pair.update();
  const auto scales = [&](int side) {
    return brought(pair.sides[side].rules[0]->stored_state(0).scales);
  };
  const std::vector<double> here = scales(0);
  const std::vector<double> there = scales(1);
  ASSERT_EQ(here.size(), 19u);
  ASSERT_EQ(there.size(), 19u);
  for (std::size_t g = 0; g < here.size(); ++g) {
    const bool lost = g == 1 || g == 18;
    EXPECT_EQ(std::isnan(here[g]), lost) << g;
    EXPECT_EQ(std::isnan(there[g]), lost) << g;
    if (!lost) {
      EXPECT_EQ(here[g], there[g]) << g;
    }
  }
}

// States are converted, parked and brought back where they lie.
TEST_F(CudaUpdateReduced, PoliciesChangeOnTheDevice) {
  Pair pair;
  pair.add(Dtype::float32, 1030, 1, StateDtype::int8, false,
           [] { return rule_of("MomentumSGD", {{"lr", 0x1p-9}, {"momentum", 0.5}}); });
  for (StateDtype states : {StateDtype::int8, StateDtype::float32, StateDtype::bfloat16,
                            StateDtype::int8, StateDtype::natural}) {
    for (auto& side : pair.sides) {
      Policies policies = side.rules[0]->policies();
      policies.state_dtype = states;
      side.rules[0]->set_policies(policies);
    }
    pair.update();
    expect_same(pair, 0, cat("state dtype ", static_cast<int>(states)));
    if (HasFailure()) return;
    pair.sides[1].rules[0]->move_states_to({});
    EXPECT_EQ(pair.sides[1].rules[0]->state(0).device(), Device{});
    pair.update();
    EXPECT_EQ(pair.sides[1].rules[0]->state(0).device(), kCuda);
    expect_same(pair, 0, "parked");
    if (HasFailure()) return;
  }
}

// A master copy goes and comes with the states, and keeps what its parameter has no room for.
TEST_F(CudaUpdateReduced, MasterCopiesMoveWithTheStates) {
  Pair pair;
  pair.add(Dtype::bfloat16, 1030, 1, StateDtype::natural, false, [] {
    Ref<UpdateRule> rule = rule_of("MomentumSGD", {{"lr", 0x1p-9}, {"momentum", 0.5}});
    rule->fp32_update = true;
    return rule;
  });
  UpdateRule& rule = *pair.sides[1].rules[0];
  for (int step = 0; step < 3; ++step) {
    pair.update();
    expect_same(pair, 0, cat("step ", step));
    const std::vector<double> before = brought(rule.master());
    rule.move_states_to({});
    EXPECT_EQ(rule.master().device(), Device{});
    EXPECT_EQ(brought(rule.master()), before);
    EXPECT_EQ(rule.state_bytes(), 1030 * 4);
    EXPECT_EQ(brought(rule.master(pair.sides[1].params[0]->data())), before);
    EXPECT_EQ(rule.master().device(), kCuda);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace chainrule::testing
