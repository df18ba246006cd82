#include <cmath>
#include <limits>

#include "../../update/expressions.h"
#include "../../update/support.h"
#include "../device_test.h"
#include "chainrule/core/error.h"
#include "chainrule/update/rule_list.h"
#include "chainrule/update/traced.h"

namespace chainrule::testing {
namespace {

class CudaUpdate : public CudaTest {};

struct Chosen {
  const char* algorithm;
  std::vector<Setting> own;
};
const std::vector<Chosen> kChosen = {
    {"SGD", {}},
    {"MomentumSGD", {}},
    {"Adam", {}},
    {"Adam", {{"amsgrad", 1}}},
    {"Adam", {{"adabound", 1}}},
    {"Adam", {{"amsgrad", 1}, {"adabound", 1}, {"weight_decay_rate", 0.01}}},
    {"CorrectedMomentumSGD", {}},
    {"NesterovAG", {}},
    {"AdaGrad", {}},
    {"AdaDelta", {}},
    {"RMSprop", {}},
    {"RMSpropGraves", {}},
    {"SMORMS3", {}},
    {"MSVAG", {}},
    {"Lion", {{"weight_decay", 0.1}}},
    {"NAdam", {}},
    {"RAdam", {}},
    {"AdEMAMix", {{"warmup", 10}}},
    {"ADOPT", {}},
    {"AdaBelief", {}},
    {"Adamax", {}},
    {"Rprop", {}},
    {"ScheduleFreeSGD", {{"warmup_steps", 5}}},
    {"ScheduleFreeAdamW", {}},
    {"LAMB", {}},
    {"LARS", {}},
    {"StableAdamW", {}},
};

// Every rule with every dtype, sizes around those that kernels treat apart, hooks here and
// there; the same numbers on every device.
struct Zoo {
  std::vector<Ref<VariableImpl>> params;
  std::vector<Ref<UpdateRule>> rules;
  UpdateTable table;

  // On the given devices in turn. The second half lies one element past the start of its
  // memory, so that nothing there is aligned.
  explicit Zoo(std::initializer_list<Device> devices) {
    const std::int64_t sizes[] = {1, 3, 17, 0, 256, 1024, 4096, 4097, 9001};
    const Dtype dtypes[] = {Dtype::float32, Dtype::float64, Dtype::float16, Dtype::bfloat16};
    std::uint64_t seed = 1;
    std::size_t i = 0;
    for (bool shifted : {false, true}) {
      for (const Chosen& chosen : kChosen) {
        for (Dtype dtype : dtypes) {
          const Device device = devices.begin()[i % devices.size()];
          const std::int64_t size = sizes[i % 9];
          const auto place = [&](std::uint64_t s) {
            const Array all = to_device(array_of(noise(size + 1, s), dtype), device);
            const std::int64_t skipped = shifted ? item_size(dtype) : 0;
            return all.view({size}, {item_size(dtype)}, skipped);
          };
          auto param = make_ref<VariableImpl>(place(seed), true);
          param->set_grad(Variable(place(seed + 1)));
          seed += 2;
          auto rule = rule_of(chosen.algorithm);
          for (const auto& [name, value] : chosen.own) {
            rule->hyperparam()->set(intern(name), Value::real(value));
          }
          // Each its own rate, as one launch has to serve.
          const char* rate = rule->algorithm()->fields[0].name;
          const double base = rule->algorithm()->fields[0].value;
          rule->hyperparam()->set(intern(rate),
                                  Value::real(base * (1 + 0.1 * static_cast<double>(i % 7))));
          if (i % 3 == 1) add_hook(*rule, GradientHook::Kind::weight_decay, 0.1);
          if (i % 4 == 1) add_hook(*rule, GradientHook::Kind::hard_clip, -0.5, 0.25);
          if (i % 5 == 1) add_hook(*rule, GradientHook::Kind::lasso, 0.01);
          rule->fp32_update = i % 2 == 0;
          rule->enabled = i % 11 != 5;
          table.add(param, rule, cat("/p", i), false);
          params.push_back(param);
          rules.push_back(rule);
          ++i;
        }
      }
    }
  }

  static void add_hook(UpdateRule& rule, GradientHook::Kind kind, double a, double b = 0) {
    rule.hooks.push_back(make_ref<GradientHook>(kind, a, b));
  }
};

std::vector<double> brought(const Array& x) { return values_of(to_device(x, {})); }

void expect_near(const Array& here, const Array& there, bool delicate, const std::string& what) {
  ASSERT_EQ(here.defined(), there.defined()) << what;
  if (!here.defined()) return;
  ASSERT_EQ(here.dtype(), there.dtype()) << what;
  const std::vector<double> a = brought(here);
  const std::vector<double> b = brought(there);
  // Differences of rounding, which a rule that divides a gradient by its own size, or takes the
  // difference of two sums of squares, may make large in a few elements.
  const bool half = is_half(here.dtype());
  const double unit = here.dtype() == Dtype::float64   ? 1e-12
                      : here.dtype() == Dtype::float32 ? 4e-6
                      : here.dtype() == Dtype::float16 ? 0x1p-9
                                                       : 0x1p-6;
  // In float64 a gradient that hooks cancel to eps loses that many digits.
  const double most = half ? 4 : here.dtype() == Dtype::float64 ? 1e4 : 100;
  std::size_t rough = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    // A rule may overflow a half, on both sides.
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double scale = std::max(1.0, std::abs(a[i]));
    ASSERT_NEAR(a[i], b[i], most * unit * scale)
        << what << " element " << i << " of " << a.size() << " " << here.dtype();
    rough += std::abs(a[i] - b[i]) > unit * scale;
  }
  EXPECT_LE(rough, delicate ? a.size() : 1 + a.size() / 100) << what << " " << here.dtype();
}

void expect_same(Zoo& here, Zoo& there) {
  for (std::size_t i = 0; i < here.params.size(); ++i) {
    UpdateRule& a = *here.rules[i];
    UpdateRule& b = *there.rules[i];
    const std::string name = cat("/p", i, " ", a.algorithm()->name);
    // What MSVAG takes for the variance of the first gradient is rounding and nothing else.
    const bool delicate = a.algorithm()->name == "MSVAG";
    expect_near(here.params[i]->data(), there.params[i]->data(), delicate, name);
    expect_near(here.params[i]->grad().array(), there.params[i]->grad().array(), false,
                name + " grad");
    for (std::size_t s = 0; s < a.algorithm()->states.size(); ++s) {
      const int place = static_cast<int>(s);
      expect_near(a.state(place), b.state(place), false,
                  name + " " + a.algorithm()->states[s].name);
    }
    EXPECT_EQ(a.t, b.t);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST_F(CudaUpdate, EveryRuleAgreesWithTheCpu) {
  Zoo here({Device{}});
  Zoo there({kCuda});
  for (int step = 0; step < 3; ++step) {
    here.table.update({});
    there.table.update({});
    expect_same(here, there);
  }
}

// Rules of users': Adam as the paper has it, and one of all other operations.
std::vector<Ref<const Algorithm>> traced_algorithms() {
  Writer w;
  int sum = w.grad();
  for (const Op op : {Op::absolute, Op::sign, Op::floor, Op::expm1, Op::log1p, Op::tanh, Op::exp}) {
    sum = w.make(op, w.make(Op::absolute, w.make(Op::add, sum, w.param())));
    sum = w.make(Op::minimum, sum, w.make(Op::maximum, w.state(0), w.constant(2)));
  }
  const int small = w.make(Op::less, sum, w.constant(0.5));
  const int equal = w.make(Op::equal, w.param(), w.grad());
  const int chosen = w.make(Op::where, small, w.make(Op::power, w.constant(2), sum), equal);
  w.results(w.make(Op::subtract, w.param(), w.make(Op::multiply, w.constant(0.1), chosen)),
            {w.make(Op::maximum, sum, w.constant(-3))});
  TracedRule all;
  all.name = "everything";
  all.states = {{"s", 0.5}};
  all.variants.push_back({{}, {0}, w.expression});
  return {make_algorithm(traced_adam(0.01)), make_algorithm(all)};
}

TEST_F(CudaUpdate, TracedRulesAgreeWithTheCpu) {
  const auto algorithms = traced_algorithms();
  const auto fill_table = [&](Device device, UpdateTable& table,
                              std::vector<Ref<VariableImpl>>& params,
                              std::vector<Ref<UpdateRule>>& rules) {
    std::uint64_t seed = 1;
    for (const Dtype dtype : {Dtype::float32, Dtype::float64, Dtype::float16, Dtype::bfloat16}) {
      for (const std::int64_t size : {1, 17, 1024, 4097, 9001}) {
        const auto& algorithm = algorithms[seed / 2 % 2];
        auto param =
            make_ref<VariableImpl>(to_device(array_of(noise(size, seed), dtype), device), true);
        param->set_grad(Variable(to_device(array_of(noise(size, seed + 1), dtype), device)));
        auto rule = make_ref<UpdateRule>(algorithm.get(), default_hyperparameter(*algorithm));
        rule->fp32_update = size != 17;
        if (size == 1024) Zoo::add_hook(*rule, GradientHook::Kind::weight_decay, 0.1);
        if (size == 4097) Zoo::add_hook(*rule, GradientHook::Kind::hard_clip, -0.5, 0.25);
        rule->observed = size > 1000;
        table.add(param, rule, cat("/p", seed), false);
        params.push_back(param);
        rules.push_back(rule);
        seed += 3;
      }
    }
  };
  UpdateTable here;
  UpdateTable there;
  std::vector<Ref<VariableImpl>> params[2];
  std::vector<Ref<UpdateRule>> rules[2];
  fill_table({}, here, params[0], rules[0]);
  fill_table(kCuda, there, params[1], rules[1]);
  for (int step = 0; step < 3; ++step) {
    here.update({});
    there.update({});
    for (std::size_t i = 0; i < params[0].size(); ++i) {
      const std::string name = cat("parameter ", i, " step ", step);
      expect_near(params[0][i]->data(), params[1][i]->data(), false, name);
      expect_near(rules[0][i]->state(0), rules[1][i]->state(0), false, name + " state");
      for (int k = 0; k < update::kStatistics; ++k) {
        const double a = rules[0][i]->statistics[k];
        EXPECT_NEAR(rules[1][i]->statistics[k], a, 1e-5 * std::max(1.0, a)) << name << " " << k;
      }
    }
  }
}

TEST_F(CudaUpdate, HooksOnAllAndGradientsInMemory) {
  for (bool chainer_order : {false, true}) {
    Zoo here({Device{}});
    Zoo there({kCuda});
    UpdateOptions options;
    options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::weight_decay, 0.01));
    options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::clip_norm, 5));
    options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::lasso, 0.001));
    options.loss_scale = 2;
    options.chainer_order = chainer_order;
    options.write_gradients = true;
    for (int step = 0; step < 2; ++step) {
      here.table.update(options);
      there.table.update(options);
      expect_same(here, there);
    }
    options.gradients_only = true;
    here.table.update(options);
    there.table.update(options);
    expect_same(here, there);
  }
}

TEST_F(CudaUpdate, CautiousUpdatesAgreeWithTheCpu) {
  Zoo here({Device{}});
  Zoo there({kCuda});
  for (Zoo* zoo : {&here, &there}) {
    for (std::size_t i = 0; i < zoo->rules.size(); ++i) {
      // Signs of what is rounding and nothing else are anybody's guess.
      const Algorithm& algorithm = *zoo->rules[i]->algorithm();
      const Algorithm::Variant& variant = algorithm.variants.front();
      zoo->rules[i]->cautious =
          i % 2 == 0 && variant.additive && variant.sums == 0 && algorithm.name != "MSVAG";
    }
  }
  for (int step = 0; step < 2; ++step) {
    here.table.update({});
    there.table.update({});
    expect_same(here, there);
  }
}

TEST_F(CudaUpdate, ParametersMayLieOnSeveralDevices) {
  Zoo here({Device{}});
  const Device second{DeviceKind::cuda, static_cast<std::int8_t>(cuda::device_count() - 1)};
  Zoo there({kCuda, Device{}, second});
  UpdateOptions options;
  options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::clip_norm, 3));
  for (int step = 0; step < 2; ++step) {
    here.table.update(options);
    there.table.update(options);
  }
  expect_same(here, there);
}

TEST_F(CudaUpdate, AMasterCopyFollowsWhatTheUserSets) {
  Zoo here({Device{}});
  Zoo there({kCuda});
  for (int step = 0; step < 3; ++step) {
    for (Zoo* zoo : {&here, &there}) {
      if (step > 0) {
        for (const auto& param : zoo->params) {
          const Array& data = param->data();
          if (data.size() > 2) {
            const std::int64_t size = item_size(data.dtype());
            fill(data.view({data.size() / 2}, {2 * size}, size), 0.75);
          }
        }
      }
      zoo->table.update({});
    }
  }
  expect_same(here, there);
}

TEST_F(CudaUpdate, FindsGradientsThatAreNotFinite) {
  Zoo there({kCuda});
  EXPECT_TRUE(there.table.nonfinite_gradients(true).empty());
  const Array& grad = there.params[7]->grad().array();
  ASSERT_GT(grad.size(), 0);
  fill(grad.view({1}, {item_size(grad.dtype())}), std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(there.table.nonfinite_gradients(true), std::vector<std::string>{"/p7"});
}

TEST_F(CudaUpdate, AFailureIsReportedAndNothingIsTakenForGood) {
  if (!emulated_) GTEST_SKIP() << "a GPU cannot be told to fail";
  Zoo there({kCuda});
  setenv("CHAINRULE_EMULATE", "no_launch", 1);
  // The sum of squares cannot be computed: no gradient counts as finite.
  EXPECT_FALSE(there.table.nonfinite_gradients(false).empty());
  unsetenv("CHAINRULE_EMULATE");
  EXPECT_THROW(cuda::synchronize(0), DeviceError);
  EXPECT_NO_THROW(cuda::synchronize(0));
}

}  // namespace
}  // namespace chainrule::testing
