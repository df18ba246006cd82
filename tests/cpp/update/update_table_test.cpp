#include "chainrule/update/update_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "chainrule/backend/parallel.h"
#include "update/support.h"

namespace chainrule {
namespace {

using namespace testing;

// Every algorithm, and Adam's variants.
const std::vector<std::pair<const char*, std::vector<Setting>>> kRules = {
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
    {"RMSprop", {{"eps_inside_sqrt", 1}}},
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

Ref<UpdateRule> rule_number(std::size_t i) {
  auto rule = rule_of(kRules[i].first);
  for (const auto& [name, value] : kRules[i].second) {
    rule->hyperparam()->set(intern(name), Value::real(value));
  }
  return rule;
}

// A mix of every rule, dtype and size, with hooks on some of the rules.
struct Zoo {
  std::vector<Ref<VariableImpl>> params;
  std::vector<Ref<UpdateRule>> rules;

  Zoo() {
    const std::int64_t sizes[] = {1, 0, 17, 256, 1024, 4096, 4097, 10000, 30000};
    const Dtype dtypes[] = {Dtype::float32, Dtype::float64, Dtype::float16, Dtype::bfloat16};
    std::uint64_t seed = 1;
    for (std::size_t r = 0; r < kRules.size(); ++r) {
      for (int d = 0; d < 4; ++d) {
        const std::int64_t size = sizes[(r + 3 * static_cast<std::size_t>(d)) % 9];
        seed += 2;
        params.push_back(parameter(noise(size, seed), noise(size, seed + 1), dtypes[d]));
        rules.push_back(rule_number(r));
        std::vector<Ref<GradientHook>> hooks;
        if (r % 3 == 1) {
          hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::weight_decay, 0.1));
        }
        if (r % 4 == 1) {
          hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::hard_clip, -0.5, 0.25));
        }
        rules.back()->hooks = hooks;
        rules.back()->fp32_update = r % 2 == 0;
      }
    }
  }

  void add(UpdateTable& table, std::size_t i) const {
    table.add(params[i], rules[i], "/p" + std::to_string(i), false);
  }
  std::vector<double> result() const {
    std::vector<double> out;
    for (std::size_t i = 0; i < params.size(); ++i) {
      for (double x : values_of(params[i]->data())) out.push_back(x);
      for (std::size_t s = 0; s < rules[i]->algorithm()->states.size(); ++s) {
        const Array& state = rules[i]->state(static_cast<int>(s));
        if (!state.defined()) continue;
        for (double x : values_of(state)) out.push_back(x);
      }
    }
    return out;
  }
};

TEST(UpdateTable, MomentumByHand) {
  auto p = parameter({1, 2}, {0.5, -1}, Dtype::float64);
  auto rule = rule_of("MomentumSGD", {{"lr", 0.1}, {"momentum", 0.5}});
  UpdateTable table;
  table.add(p, rule, "/p", false);
  table.update({});
  EXPECT_EQ(values_of(p->data()), (std::vector<double>{1 - 0.05, 2 + 0.1}));
  table.update({});
  EXPECT_NEAR(values_of(p->data())[0], 0.95 - 0.075, 1e-15);
  EXPECT_EQ(rule->t, 2);
}

TEST(UpdateTable, AdamByHand) {
  auto p = parameter({1}, {0.5}, Dtype::float64);
  auto rule = rule_of("Adam");
  UpdateTable table;
  table.add(p, rule, "/p", false);
  table.update({});
  // The first step is alpha long, whatever the gradient.
  EXPECT_NEAR(values_of(p->data())[0], 1 - 0.001, 1e-9);
  EXPECT_NEAR(values_of(rule->state(0))[0], 0.05, 1e-16);
}

TEST(UpdateTable, SameBitsForEveryNumberOfThreads) {
  const int before = num_threads();
  std::vector<std::vector<double>> results;
  for (int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    Zoo zoo;
    UpdateTable table;
    for (std::size_t i = 0; i < zoo.params.size(); ++i) zoo.add(table, i);
    UpdateOptions options;
    options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::clip_norm, 0.5));
    for (int step = 0; step < 3; ++step) table.update(options);
    results.push_back(zoo.result());
  }
  set_num_threads(before);
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST(UpdateTable, SameBitsTogetherAndOneByOne) {
  Zoo together;
  Zoo alone;
  UpdateTable table;
  for (std::size_t i = 0; i < together.params.size(); ++i) together.add(table, i);
  for (int step = 0; step < 3; ++step) {
    table.update({});
    for (std::size_t i = 0; i < alone.params.size(); ++i) {
      UpdateTable single;
      alone.add(single, i);
      single.update({});
    }
  }
  EXPECT_EQ(together.result(), alone.result());
}

TEST(UpdateTable, AStateMayBeginAsTheParameter) {
  for (const Dtype dtype : {Dtype::float32, Dtype::float16}) {
    auto p = parameter({1, 2}, {0, 0}, dtype);
    auto rule = rule_of("ScheduleFreeSGD");
    rule->fp32_update = true;
    UpdateTable table;
    table.add(p, rule, "/p", false);
    table.update({});
    for (const int place : {0, 1}) {
      EXPECT_EQ(values_of(rule->state(place)), (std::vector<double>{1, 2}));
      EXPECT_EQ(rule->state(place).dtype(), Dtype::float32);
      EXPECT_NE(rule->state(place).raw(), p->data().raw());
    }
    EXPECT_EQ(values_of(p->data()), (std::vector<double>{1, 2}));
  }
}

// One estimate for all, whatever thread or chunk sums; a parameter that was away takes it over.
TEST(UpdateTable, RulesThatMeasureTogetherShareTheirScalars) {
  const int before = num_threads();
  std::vector<std::vector<double>> results;
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads);
    std::vector<Ref<VariableImpl>> params;
    std::vector<Ref<UpdateRule>> rules;
    UpdateTable table;
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::int64_t size = i == 1 ? 30000 : 5;
      params.push_back(parameter(noise(size, i), noise(size, 9), Dtype::float64));
      rules.push_back(rule_of("Prodigy", {{"d0", 0.01}}));
      table.add(params.back(), rules.back(), cat("/p", i), false);
    }
    rules[2]->enabled = false;
    for (int step = 0; step < 4; ++step) table.update({});
    EXPECT_EQ(rules[0]->scalars[0], rules[1]->scalars[0]);
    EXPECT_GT(rules[0]->scalars[0], 0.01);
    rules[2]->enabled = true;
    table.update({});
    EXPECT_EQ(rules[2]->scalars[0], rules[0]->scalars[0]);
    EXPECT_EQ(rules[2]->t, 1);
    std::vector<double> result{rules[0]->scalars[0]};
    for (const auto& p : params) {
      for (double x : values_of(p->data())) result.push_back(x);
    }
    results.push_back(std::move(result));
  }
  set_num_threads(before);
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST(UpdateTable, LeavesOutDisabledAndGradientless) {
  auto off = parameter({1}, {1});
  auto bare = parameter({1}, {});
  auto on = parameter({1}, {1});
  auto off_rule = rule_of("MomentumSGD");
  auto bare_rule = rule_of("MomentumSGD");
  auto on_rule = rule_of("MomentumSGD");
  off_rule->enabled = false;
  UpdateTable table;
  table.add(off, off_rule, "/off", false);
  table.add(bare, bare_rule, "/bare", false);
  table.add(on, on_rule, "/on", false);
  UpdateOptions options;
  options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::weight_decay, 1));
  table.update(options);
  EXPECT_EQ(values_of(off->data())[0], 1);
  EXPECT_EQ(values_of(bare->data())[0], 1);
  EXPECT_NE(values_of(on->data())[0], 1);
  EXPECT_EQ(off_rule->t, 0);
  EXPECT_EQ(bare_rule->t, 0);
  EXPECT_FALSE(off_rule->has_states());
  off_rule->enabled = true;
  bare->set_grad(Variable(array_of({2}, Dtype::float32)));
  table.update(options);
  EXPECT_EQ(off_rule->t, 1);
  EXPECT_EQ(bare_rule->t, 1);
  EXPECT_EQ(on_rule->t, 2);
}

TEST(UpdateTable, FollowsTheOptimizersValuesUnlessOverridden) {
  const Algorithm& sgd = find_algorithm("SGD");
  auto shared = default_hyperparameter(sgd);
  auto a = parameter({0}, {1}, Dtype::float64);
  auto b = parameter({0}, {1}, Dtype::float64);
  auto own = make_ref<Hyperparameter>(shared, &sgd);
  own->set(intern("lr"), Value::real(10));
  UpdateTable table;
  table.add(a, make_ref<UpdateRule>(&sgd, make_ref<Hyperparameter>(shared, &sgd)), "/a", false);
  table.add(b, make_ref<UpdateRule>(&sgd, own), "/b", false);
  table.update({});
  shared->set(intern("lr"), Value::real(1));
  table.update({});
  EXPECT_NEAR(values_of(a->data())[0], -1.01, 1e-15);
  EXPECT_NEAR(values_of(b->data())[0], -20, 1e-15);
  own->erase(intern("lr"));
  table.update({});
  EXPECT_NEAR(values_of(b->data())[0], -21, 1e-15);
}

TEST(UpdateTable, HooksRunInOrder) {
  const auto decay = make_ref<GradientHook>(GradientHook::Kind::weight_decay, 0.5);
  const auto clip = make_ref<GradientHook>(GradientHook::Kind::hard_clip, -1, 1);
  auto lasso = make_ref<GradientHook>(GradientHook::Kind::lasso, 0.25);
  const auto run = [&](std::vector<Ref<GradientHook>> shared, std::vector<Ref<GradientHook>> own) {
    auto p = parameter({-2}, {3}, Dtype::float64);
    auto rule = rule_of("SGD", {{"lr", 1}});
    rule->hooks = std::move(own);
    UpdateTable table;
    table.add(p, rule, "/p", false);
    UpdateOptions options;
    options.hooks = std::move(shared);
    table.update(options);
    EXPECT_EQ(values_of(p->grad().array())[0], 3);  // the gradient in memory stays
    return -2 - values_of(p->data())[0];
  };
  EXPECT_EQ(run({decay, clip}, {}), 1);
  EXPECT_EQ(run({clip, decay}, {}), 0);
  EXPECT_EQ(run({clip}, {decay}), 0);
  EXPECT_EQ(run({clip, lasso}, {decay, decay}), -1.25);
  lasso->a = 0.5;
  EXPECT_EQ(run({lasso}, {}), 2.5);
}

TEST(UpdateTable, ClipsTheNormOfAllGradientsAfterEarlierHooks) {
  auto a = parameter({0, 4}, {3, 0}, Dtype::float64);
  auto b = parameter({0}, {0}, Dtype::float64);
  b->set_grad(Variable(array_of({0}, Dtype::float64)));
  auto rule_a = rule_of("SGD", {{"lr", 1}});
  auto rule_b = rule_of("SGD", {{"lr", 1}});
  UpdateTable table;
  table.add(a, rule_a, "/a", false);
  table.add(b, rule_b, "/b", false);
  UpdateOptions options;
  options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::weight_decay, 1));
  options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::clip_norm, 1));
  table.update(options);  // the gradient is (3, 4), its norm 5
  EXPECT_NEAR(values_of(a->data())[0], -0.6, 1e-15);
  EXPECT_NEAR(values_of(a->data())[1], 4 - 0.8, 1e-15);
  options.hooks[1]->a = 1000;
  options.hooks[0]->a = 0;
  table.update(options);
  EXPECT_NEAR(values_of(a->data())[0], -3.6, 1e-15);
}

TEST(UpdateTable, UnscalesBeforeTheHooksOrAfterThemAsChainerDid) {
  for (bool chainer : {false, true}) {
    auto p = parameter({2}, {8}, Dtype::float64);
    auto rule = rule_of("SGD", {{"lr", 1}});
    UpdateTable table;
    table.add(p, rule, "/p", false);
    UpdateOptions options;
    options.loss_scale = 8;
    options.chainer_order = chainer;
    options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::lasso, 1));
    table.update(options);
    EXPECT_EQ(2 - values_of(p->data())[0], chainer ? (8 + 1) / 8.0 : 8 / 8.0 + 1);
  }
}

TEST(UpdateTable, DecayOnARuleIsMultipliedByTheLossScaleOnlyAsChainerDid) {
  for (bool chainer : {false, true}) {
    auto p = parameter({2}, {8}, Dtype::float64);
    auto q = parameter({2}, {8}, Dtype::float64);
    auto rule = rule_of("SGD", {{"lr", 1}});
    const auto decay = make_ref<GradientHook>(GradientHook::Kind::weight_decay, 1);
    rule->hooks = {decay};
    UpdateTable table;
    table.add(p, rule, "/p", false);
    UpdateOptions options;
    options.loss_scale = 8;
    options.chainer_order = chainer;
    table.update(options);
    EXPECT_EQ(2 - values_of(p->data())[0], chainer ? 8 / 8.0 + 8 * 2 : 8 / 8.0 + 2);
    UpdateTable other;
    other.add(q, rule_of("SGD", {{"lr", 1}}), "/q", false);
    options.hooks.push_back(decay);
    other.update(options);
    EXPECT_EQ(2 - values_of(q->data())[0], 8 / 8.0 + 2);
  }
}

TEST(UpdateTable, HandlesAnyLayout) {
  Array base({3, 4}, Dtype::float32);
  for (int i = 0; i < 12; ++i) base.data<float>()[i] = static_cast<float>(i);
  auto p = make_ref<VariableImpl>(base.transposed({1, 0}), true);
  Array grads({8, 3}, Dtype::float32);
  for (int i = 0; i < 24; ++i) grads.data<float>()[i] = 1;
  p->set_grad(Variable(grads.view({4, 3}, {2 * grads.strides()[0], grads.strides()[1]})));
  auto rule = rule_of("SGD", {{"lr", 1}});
  UpdateTable table;
  table.add(p, rule, "/p", false);
  table.update({});
  for (int i = 0; i < 12; ++i) EXPECT_EQ(base.data<float>()[i], static_cast<float>(i) - 1);
}

TEST(UpdateTable, MasterCopyKeepsWhatHalfPrecisionLosesAndFollowsTheUser) {
  auto p = parameter({1}, {1}, Dtype::bfloat16);
  auto rule = rule_of("SGD", {{"lr", 0.0009765625}});
  rule->fp32_update = true;
  UpdateTable table;
  table.add(p, rule, "/p", false);
  for (int i = 0; i < 4; ++i) table.update({});
  EXPECT_EQ(values_of(p->data())[0], 1 - 4 * 0.0009765625);
  p->data().data<BFloat16>()[0] = BFloat16(2.0f);
  table.update({});
  EXPECT_EQ(values_of(rule->master(p->data()))[0], 2 - 0.0009765625);
}

TEST(UpdateTable, DenormalsAreFlushedAndTheModeRestored) {
  const double tiny = std::numeric_limits<float>::denorm_min() * 1000;
  auto p = parameter({0}, {0});
  auto rule = rule_of("MomentumSGD");
  rule->set_state(0, array_of({tiny}, Dtype::float32));
  UpdateTable table;
  table.add(p, rule, "/p", false);
  table.update({});
  EXPECT_EQ(rule->state(0).data<float>()[0], 0.0f);
  volatile float denormal = static_cast<float>(tiny);
  EXPECT_NE(denormal * 0.5f, 0.0f);
}

TEST(UpdateTable, OneRowForAParameterAddedTwice) {
  auto p = parameter({1}, {1}, Dtype::float64);
  auto rule = rule_of("SGD", {{"lr", 1}});
  UpdateTable table;
  table.add(p, rule, "/a", false);
  table.add(p, rule, "/b", false);
  EXPECT_EQ(table.size(), 1);
  table.update({});
  EXPECT_EQ(values_of(p->data())[0], 0);
}

TEST(UpdateTable, AHostsRuleGetsItsGradientAndNothingElse) {
  auto p = parameter({1}, {1}, Dtype::float64);
  auto q = parameter({1}, {1}, Dtype::float64);
  auto host = make_ref<UpdateRule>(nullptr, make_ref<Hyperparameter>());
  UpdateTable table;
  table.add(p, host, "/p", true);
  table.add(q, rule_of("SGD", {{"lr", 1}}), "/q", false);
  UpdateOptions options;
  options.hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::weight_decay, 1));
  table.update(options);
  EXPECT_EQ(values_of(p->data())[0], 1);
  EXPECT_EQ(values_of(p->grad().array())[0], 2);
  EXPECT_EQ(values_of(q->data())[0], -1);
  EXPECT_EQ(host->t, 0);
}

TEST(UpdateTable, FindsGradientsThatAreNotFinite) {
  UpdateTable table;
  std::vector<Ref<VariableImpl>> params;
  for (int i = 0; i < 4; ++i) {
    auto grad = noise(9000, 1 + static_cast<std::uint64_t>(i));
    if (i == 1) grad[8999] = std::nan("");
    if (i == 2) grad[0] = -std::numeric_limits<double>::infinity();
    if (i == 3) grad[5] = 3e38;  // its square is not a float
    params.push_back(parameter(noise(9000, 9), grad));
    table.add(params.back(), rule_of("SGD"), "/p" + std::to_string(i), false);
  }
  EXPECT_EQ(table.nonfinite_gradients(false), (std::vector<std::string>{"/p1", "/p2"}));
}

// What must be refused; nothing may have changed afterwards.
struct Refusal {
  const char* word;
  std::function<void(VariableImpl&, UpdateRule&)> spoil;
};

TEST(UpdateTable, StatesHaveTheDtypeOfTheParameter) {
  auto param = parameter({1}, {1});
  auto rule = rule_of("Adam");
  rule->set_state(0, array_of({1}, Dtype::float32));
  rule->set_state(1, array_of({1}, Dtype::float64));
  UpdateTable table;
  table.add(param, rule, "/w", false);
  table.update({});
  EXPECT_EQ(rule->state(0).dtype(), Dtype::float32);
  EXPECT_EQ(rule->state(1).dtype(), Dtype::float32);
}

TEST(UpdateTable, RefusesBeforeAnythingIsChanged) {
  const Refusal refusals[] = {
      {"not finite: got nan",
       [](VariableImpl&, UpdateRule& rule) {
         rule.hyperparam()->set(intern("alpha"), Value::real(std::nan("")));
       }},
      {"no finite step 1",
       [](VariableImpl&, UpdateRule& rule) {
         rule.hyperparam()->set(intern("beta1"), Value::real(1));
       }},
      {"too small for float32",
       [](VariableImpl&, UpdateRule& rule) {
         rule.hyperparam()->set(intern("eps"), Value::real(1e-60));
       }},
      {"is no number",
       [](VariableImpl&, UpdateRule& rule) {
         rule.hyperparam()->set(intern("alpha"), Value{Value::Kind::object, false, 0, {}});
       }},
      {"not initialized", [](VariableImpl& p, UpdateRule&) { p.set_data({}); }},
      {"gradient of the wrong shape",
       [](VariableImpl& p, UpdateRule&) { p.set_data(array_of({1, 2}, Dtype::float32)); }},
      {"gradient of the wrong dtype",
       [](VariableImpl& p, UpdateRule&) { p.set_data(array_of({1}, Dtype::float64)); }},
      {"state 'v' of the wrong shape",
       [](VariableImpl&, UpdateRule& rule) {
         rule.set_state(1, array_of({1, 2}, Dtype::float32));
       }},
      {"read-only",
       [](VariableImpl& p, UpdateRule&) {
         static float memory[1] = {1};
         static char owner;
         HostObject::set_release([](void*) {});
         auto storage = Storage::adopt(memory, 4, {}, false, HostObject(&owner));
         p.set_data(Array(storage, storage->data(), {1}, {4}, Dtype::float32));
       }},
  };
  for (const Refusal& refusal : refusals) {
    auto good = parameter({1}, {1});
    auto bad = parameter({1}, {1});
    auto good_rule = rule_of("Adam");
    auto bad_rule = rule_of("Adam");
    UpdateTable table;
    table.add(good, good_rule, "/good", false);
    table.add(bad, bad_rule, "/bad", false);
    refusal.spoil(*bad, *bad_rule);
    try {
      table.update({});
      ADD_FAILURE() << "not refused: " << refusal.word;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(refusal.word), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("/bad"), std::string::npos) << error.what();
    }
    EXPECT_EQ(values_of(good->data())[0], 1) << refusal.word;
    EXPECT_EQ(good_rule->t, 0) << refusal.word;
    EXPECT_EQ(bad_rule->t, 0) << refusal.word;
  }
}

}  // namespace
}  // namespace chainrule
