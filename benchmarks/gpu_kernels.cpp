// Times what runs on a GPU, for gpu.py: one line of JSON per measurement, with the seconds of one
// call and the bytes that have to move, or the operations of a product. `--small` runs everything
// once on little data; `--only TEXT` what has the text in its name, for a profiler.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/gemm.h"
#include "chainrule/backend/plugin.h"
#include "chainrule/backend/reduction.h"
#include "chainrule/backend/transfer.h"
#include "chainrule/core/memory.h"
#include "chainrule/update/update_table.h"

namespace chainrule {
namespace {

constexpr Device kGpu{DeviceKind::cuda, 0};

bool small = false;
const char* only = "";

bool wanted(const std::string& name) { return name.find(only) != std::string::npos; }

// Work is started without waiting: the time of many calls up to the end of the last one.
double seconds_per_call(const std::function<void()>& call) {
  const auto time_of = [&](int calls) {
    cuda::synchronize(0);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    cuda::synchronize(0);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return took.count() / calls;
  };
  time_of(2);
  if (small) return time_of(1);
  const int calls = std::clamp(static_cast<int>(0.05 / time_of(5)), 3, 20000);
  std::vector<double> samples;
  for (int i = 0; i < 5; ++i) samples.push_back(time_of(calls));
  std::sort(samples.begin(), samples.end());
  return samples[2];
}

void report(const char* group,
            const std::string& name,
            double bytes,
            const std::function<void()>& call,
            double operations = 0) {
  if (!wanted(name)) return;
  const double seconds = seconds_per_call(call);
  std::printf(
      "{\"group\": \"%s\", \"name\": \"%s\", \"seconds\": %.9g, \"bytes\": %.0f, "
      "\"operations\": %.0f}\n",
      group, name.c_str(), seconds, bytes, operations);
  std::fflush(stdout);
}

Array noise(const Shape& shape, Dtype dtype) {
  Array out(shape, Dtype::float32);
  unsigned x = 12345;
  for (std::int64_t i = 0; i < out.size(); ++i) {
    x = x * 1664525u + 1013904223u;
    out.data<float>()[i] = static_cast<float>(x >> 8) / 8388608.0f - 1.0f;
  }
  return to_device(as_dtype(out, dtype), kGpu);
}

const ElementwiseKernel& kernel(const char* name) {
  return *static_cast<const ElementwiseKernel*>(KernelBase::find(name));
}

void elementwise() {
  const std::int64_t side = small ? 64 : 8192;
  const Shape shape{side, side};
  const double n = static_cast<double>(side * side);
  const Array x = noise(shape, Dtype::float32);
  const Array y = noise(shape, Dtype::float32);
  const Array xh = noise(shape, Dtype::float16);
  const Array yh = noise(shape, Dtype::float16);
  const Array row = noise({side}, Dtype::float32);
  const Array scalar = noise({}, Dtype::float32);
  const Array out(shape, Dtype::float32, kGpu);
  const Array outh(shape, Dtype::float16, kGpu);
  const Array mask(shape, Dtype::bool_, kGpu);
  const double none[] = {0, 0};
  const auto run = [&](const char* name, const char* label, double bytes, const Array& to,
                       std::initializer_list<const Array*> from, Dtype dtype) {
    const std::vector<const Array*> in = from;
    report("elementwise", label, bytes * n, [&, in] {
      if (in.size() == 1) run_elementwise(kernel(name), dtype, to, {in[0]}, none);
      if (in.size() == 2) run_elementwise(kernel(name), dtype, to, {in[0], in[1]}, none);
      if (in.size() == 3) run_elementwise(kernel(name), dtype, to, {in[0], in[1], in[2]}, none);
    });
  };
  const auto f32 = Dtype::float32;
  const auto f16 = Dtype::float16;
  report("limit", "memory to memory", 8 * n,
         [&] { device_memory(DeviceKind::cuda).copy(out.raw(), kGpu, x.raw(), kGpu, x.nbytes()); });
  report("elementwise", "fill", 4 * n, [&] { fill(out, 1); });
  run("add", "x + y", 12, out, {&x, &y}, f32);
  run("add", "x + y, float16", 6, outh, {&xh, &yh}, f16);
  run("multiply", "x * scalar", 8, out, {&x, &scalar}, f32);
  run("add", "x + row", 8, out, {&x, &row}, f32);
  run("tanh", "tanh", 8, out, {&x}, f32);
  run("tanh", "tanh, float16", 4, outh, {&xh}, f16);
  run("tanh.derivative1", "gradient of tanh", 12, out, {&x, &y}, f32);
  run("less", "x < y", 9, mask, {&x, &y}, f32);
  run("where", "where", 13, out, {&mask, &x, &y}, f32);
  run("copy.from_float32", "float32 to float16", 6, outh, {&x}, f16);
  const Array turned = x.transposed({1, 0});
  run("copy.from_float32", "copy of a transposed matrix", 8, out, {&turned}, f32);
  const Array one = noise({1}, f32);
  const Array other({1}, f32, kGpu);
  report("latency", "one launch", 0,
         [&] { run_elementwise(kernel("add"), f32, other, {&one, &one}); });
}

void reductions() {
  const std::int64_t side = small ? 64 : 8192;
  const Array x = noise({side, side}, Dtype::float32);
  const Array out({side}, Dtype::float32, kGpu);
  const auto& sum = *static_cast<const ReductionKernel*>(KernelBase::find("sum"));
  const double bytes = 4.0 * static_cast<double>(x.size());
  report("reduction", "sums of rows", bytes, [&] { run_reduction(sum, out, x, {1}, {}); });
  report("reduction", "sums of columns", bytes, [&] { run_reduction(sum, out, x, {0}, {}); });
  const Array all({}, Dtype::float32, kGpu);
  report("reduction", "sum of everything", bytes, [&] { run_reduction(sum, all, x, {0, 1}, {}); });
}

void products() {
  const std::int64_t n = small ? 64 : 4096;
  const double operations = 2.0 * static_cast<double>(n * n * n);
  for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
    const Array a = noise({n, n}, dtype);
    const Array b = noise({n, n}, dtype);
    const Array c({n, n}, dtype, kGpu);
    report(
        "product", cat("product of 4096 x 4096, ", dtype), 0, [&] { gemm(c, a, b); }, operations);
  }
  const std::int64_t side = small ? 32 : 768;
  const Array a = noise({48, side, side}, Dtype::bfloat16);
  const Array c({48, side, side}, Dtype::bfloat16, kGpu);
  report(
      "product", "48 products of 768 x 768, bfloat16", 0, [&] { gemm(c, a, a); },
      48 * 2.0 * static_cast<double>(side * side * side));
}

struct Model {
  std::vector<Ref<VariableImpl>> params;
  std::vector<Ref<UpdateRule>> rules;
  UpdateTable table;
  UpdateOptions options;

  // `switches` are set to one.
  void add(const char* algorithm,
           const Shape& shape,
           Dtype dtype,
           double rate,
           std::initializer_list<const char*> switches = {}) {
    const Algorithm& found = find_algorithm(algorithm);
    auto values = make_ref<Hyperparameter>(default_hyperparameter(found), &found);
    values->set(intern(found.fields[0].name), Value::real(rate));
    for (const char* name : switches)
      values->set(intern(name), Value::of_field({name, 1, update::FieldKind::boolean}));
    auto rule = make_ref<UpdateRule>(&found, values);
    rule->fp32_update = is_half(dtype);
    auto param = make_ref<VariableImpl>(noise(shape, dtype), true);
    param->set_grad(Variable(noise(shape, dtype)));
    table.add(param, rule, cat("/", params.size()), false);
    params.push_back(param);
    rules.push_back(rule);
  }
  void time(const std::string& name, double bytes) {
    report("update", name, bytes, [&] { table.update(options); });
  }
};

// The sizes of ResNet-50's parameters.
std::vector<std::int64_t> resnet_sizes() {
  std::vector<std::int64_t> sizes{3 * 64 * 49, 64, 64};
  const int blocks[] = {3, 4, 6, 3};
  std::int64_t in = 64;
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t mid = std::int64_t{64} << stage;
    for (int block = 0; block < blocks[stage]; ++block) {
      const auto convolution = [&](std::int64_t weights, std::int64_t channels) {
        sizes.insert(sizes.end(), {weights, channels, channels});
      };
      convolution(in * mid, mid);
      convolution(mid * mid * 9, mid);
      convolution(mid * mid * 4, mid * 4);
      if (block == 0) convolution(in * mid * 4, mid * 4);
      in = mid * 4;
    }
  }
  sizes.insert(sizes.end(), {2048 * 1000, 1000});
  return sizes;
}

// The shapes of BERT-base's parameters.
std::vector<Shape> bert_shapes() {
  const std::int64_t d = small ? 16 : 768;
  std::vector<Shape> shapes{{small ? 100 : 30522, d}, {small ? 8 : 512, d}, {2, d}, {d}, {d}};
  for (int layer = 0; layer < (small ? 1 : 12); ++layer) {
    for (int i = 0; i < 4; ++i) shapes.insert(shapes.end(), {{d, d}, {d}});
    shapes.insert(shapes.end(), {{d}, {d}, {4 * d, d}, {4 * d}, {d, 4 * d}, {d}, {d}, {d}});
  }
  shapes.insert(shapes.end(), {{d, d}, {d}});
  return shapes;
}

// Hidden matrices by one rule, embeddings and vectors by Adam, each its rate.
void bert(const char* matrices, std::initializer_list<const char*> options, const char* name) {
  if (!wanted(name)) return;
  Model model;
  const std::vector<Shape> shapes = bert_shapes();
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const bool hidden = shapes[i].size() == 2 && i > 4;
    const double rate = 1e-4 * (1 + 1e-3 * static_cast<double>(i));
    if (hidden) {
      model.add(matrices, shapes[i], Dtype::float32, 10 * rate, options);
    } else {
      model.add("Adam", shapes[i], Dtype::float32, rate);
    }
  }
  model.time(name, 0);
}

void tensor_rules() {
  bert("Muon", {"ns_bfloat16"}, "Muon in bfloat16 and Adam, BERT-base");
  bert("Muon", {}, "Muon and Adam, BERT-base");
  bert("Adafactor", {}, "Adafactor and Adam, BERT-base");
}

void updates() {
  const std::int64_t large = small ? 5000 : 25'000'000;
  const double n = static_cast<double>(large);
  const struct {
    const char* algorithm;
    double bytes;
  } rules[] = {{"SGD", 12}, {"MomentumSGD", 20}, {"Adam", 28}, {"SMORMS3", 36}};
  for (const auto& rule : rules) {
    const std::string name = cat(rule.algorithm, ", one tensor of 25M");
    if (!wanted(name)) continue;
    Model model;
    model.add(rule.algorithm, {large}, Dtype::float32, 1e-3);
    model.time(name, rule.bytes * n);
  }
  for (const char* name : {"Adam, weight decay, 25M", "Adam, all statistics, 25M"}) {
    if (!wanted(name)) continue;
    Model model;
    model.add("Adam", {large}, Dtype::float32, 1e-3);
    model.rules[0]->observed = std::strstr(name, "statistics") != nullptr;
    if (!model.rules[0]->observed) {
      model.rules[0]->hooks = {make_ref<GradientHook>(GradientHook::Kind::weight_decay, 1e-4)};
    }
    model.time(name, 28 * n);
  }
  if (const char* name = "Adam, clipped by the norm, 25M"; wanted(name)) {
    Model model;
    model.add("Adam", {large}, Dtype::float32, 1e-3);
    model.options.hooks = {make_ref<GradientHook>(GradientHook::Kind::clip_norm, 1.0)};
    model.time(name, 32 * n);
  }
  if (const char* name = "Adam, float16 with a float32 master"; wanted(name)) {
    Model model;
    model.add("Adam", {large}, Dtype::float16, 1e-3);
    model.time(name, 30 * n);
  }
  if (const char* name = "Adam, 2,000 tensors of 256, each its rate"; wanted(name)) {
    Model model;
    for (int i = 0; i < (small ? 20 : 2000); ++i) {
      model.add("Adam", {256}, Dtype::float32, 1e-3 + 1e-7 * i);
    }
    model.time(name, 28.0 * 256 * 2000);
  }
  if (const char* name = "Adam, ResNet-50, each its rate"; wanted(name)) {
    Model model;
    double total = 0;
    int i = 0;
    for (std::int64_t size : resnet_sizes()) {
      if (small) size = std::min<std::int64_t>(size, 100);
      model.add("Adam", {size}, Dtype::float32, 1e-3 + 1e-6 * i++);
      total += static_cast<double>(size);
    }
    model.time(name, 28 * total);
  }
}

}  // namespace
}  // namespace chainrule

int main(int count, char** arguments) {
  using namespace chainrule;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--small") == 0) small = true;
    if (std::strcmp(arguments[i], "--only") == 0 && i + 1 < count) only = arguments[++i];
  }
  const cuda::Status status = cuda::status();
  if (!status.available) {
    std::fprintf(stderr, "CUDA is not available: %s\n", status.reason.c_str());
    return 1;
  }
  std::printf("{\"device\": \"%s\"}\n", cuda::device_name(0).c_str());
  elementwise();
  reductions();
  products();
  updates();
  tensor_rules();
  return 0;
}
