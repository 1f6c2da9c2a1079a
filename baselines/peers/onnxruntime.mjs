// Times one LSTM layer at batch 1 in ONNX Runtime, one turn for each line of standard input.
//
// usage: node onnxruntime.mjs --units U --symbols V --precision float32|int8
//                             [--steps L] [--sequences N] [--threads T]
//
// The model is generated here: one LSTM node (float32), or one
// DynamicQuantizeLSTM node (int8 weights, activations quantised at run time),
// fed one-hot vectors of V symbols for L time steps. Once it is ready it prints
// a JSON object that names ONNX Runtime. Then it runs N sequences for each line
// that it reads, after one that is not timed, and prints the median of their
// seconds divided by L, until its input ends.
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import ort from "onnxruntime-node";
import protobuf from "protobufjs";

// The part of onnx.proto (ONNX IR version 8) that these models need.
const onnx = protobuf.parse(`
  syntax = "proto3";
  message Attribute { string name = 1; int64 i = 3; int32 type = 20; }
  message Node { repeated string input = 1; repeated string output = 2; string op_type = 4; repeated Attribute attribute = 5; string domain = 7; }
  message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
  message Dimension { int64 dim_value = 1; }
  message Shape { repeated Dimension dim = 1; }
  message TensorType { int32 elem_type = 1; Shape shape = 2; }
  message Type { TensorType tensor_type = 1; }
  message ValueInfo { string name = 1; Type type = 2; }
  message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated ValueInfo input = 11; repeated ValueInfo output = 12; }
  message OperatorSet { string domain = 1; int64 version = 2; }
  message Model { int64 ir_version = 1; Graph graph = 7; repeated OperatorSet opset_import = 8; }
`, { keepCase: true }).root;
const FLOAT = 1, INT8 = 3, INT = 2;

const { values: flags } = parseArgs({ options: {
  units: { type: "string" }, symbols: { type: "string" }, precision: { type: "string" },
  steps: { type: "string", default: "200" }, sequences: { type: "string", default: "31" },
  threads: { type: "string", default: "1" },
} });
const [units, symbols, steps, sequences, threads] =
  ["units", "symbols", "steps", "sequences", "threads"].map((name) => {
    const n = Number(flags[name]);
    if (!Number.isInteger(n) || n < 0) throw new Error(`--${name} must be a whole number, not ${flags[name]}`);
    return n;
  });

// A fixed linear congruential generator: the time does not depend on the
// weights, but denormals must not appear.
let state = 1;
const random = () => ((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648) * 2 - 1;

const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const tensor = (name, dims, type, array) => ({ name, dims, data_type: type, raw_data: bytes(array) });
const value = (name, dims) => ({ name, type: { tensor_type: { elem_type: FLOAT, shape: { dim: dims.map((d) => ({ dim_value: d })) } } } });
const floats = (n) => Float32Array.from({ length: n }, () => random() * 0.05);
const int8s = (n) => Int8Array.from({ length: n }, () => Math.round(random() * 127));

function model() {
  const gates = 4 * units;
  const attribute = [{ name: "hidden_size", i: units, type: INT }];
  let node, initializer, domains = [{ domain: "", version: 17 }];
  if (flags.precision === "float32") {
    node = { op_type: "LSTM", input: ["X", "W", "R", "B"], output: ["Y"], attribute };
    initializer = [
      tensor("W", [1, gates, symbols], FLOAT, floats(gates * symbols)),
      tensor("R", [1, gates, units], FLOAT, floats(gates * units)),
      tensor("B", [1, 2 * gates], FLOAT, floats(2 * gates)),
    ];
  } else if (flags.precision === "int8") {
    node = { op_type: "DynamicQuantizeLSTM", domain: "com.microsoft", attribute, output: ["Y"],
      input: ["X", "W", "R", "B", "", "", "", "", "W_scale", "W_zero", "R_scale", "R_zero"] };
    initializer = [
      tensor("W", [1, symbols, gates], INT8, int8s(gates * symbols)),
      tensor("R", [1, units, gates], INT8, int8s(gates * units)),
      tensor("B", [1, 2 * gates], FLOAT, floats(2 * gates)),
      tensor("W_scale", [1], FLOAT, Float32Array.of(0.05 / 127)),
      tensor("W_zero", [1], INT8, Int8Array.of(0)),
      tensor("R_scale", [1], FLOAT, Float32Array.of(0.05 / 127)),
      tensor("R_zero", [1], INT8, Int8Array.of(0)),
    ];
    domains.push({ domain: "com.microsoft", version: 1 });
  } else {
    throw new Error(`--precision must be float32 or int8, not ${flags.precision}`);
  }
  const graph = { name: "lstm", node: [node], initializer, input: [value("X", [steps, 1, symbols])], output: [value("Y", [steps, 1, 1, units])] };
  return onnx.lookupType("Model").encode({ ir_version: 8, opset_import: domains, graph }).finish();
}

const session = await ort.InferenceSession.create(model(), {
  intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: "sequential",
});
const oneHot = new Float32Array(steps * symbols);
for (let t = 0; t < steps; t++) oneHot[t * symbols + (t * 7) % symbols] = 1;
const feeds = { X: new ort.Tensor("float32", oneHot, [steps, 1, symbols]) };
console.log(JSON.stringify({ peer: `ONNX Runtime ${ort.env.versions.node}` }));
for await (const _ of createInterface({ input: process.stdin })) {
  const seconds = [];
  for (let n = -1; n < sequences; n++) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    if (n >= 0) seconds.push(Number(process.hrtime.bigint() - start) / 1e9 / steps);
  }
  seconds.sort((a, b) => a - b);
  console.log(seconds[Math.floor(seconds.length / 2)]);
}
