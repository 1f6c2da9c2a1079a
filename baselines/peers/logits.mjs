// Runs ONNX models in ONNX Runtime and prints what they give out, as one JSON object.
//
// usage: node logits.mjs < jobs.json
//
// Standard input is a list of {"model": path, "runs": [feeds, …]}. Feeds are the model's
// inputs by name, each {"type": "float32"|"int32"|"int64", "dims": […], "data": base64 of
// the elements, little-endian}. An output of one run under the name "next/NAME" is the input
// NAME of the run after it, in place of what its feeds say. "outputs" has for each model the
// outputs of each run. A session is the runtime's default, all optimizations included, as a
// user's would be.
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";

const arrays = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array };

function tensor({ type, dims, data }) {
  const bytes = Buffer.from(data, "base64");
  // A Buffer lies anywhere in a larger one, and typed arrays want alignment.
  const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return new ort.Tensor(type, new arrays[type](own), dims);
}

function plain({ type, dims, data }) {
  return { type, dims, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
}

const each = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));

async function outputs({ model, runs }) {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const list = [];
  let carried = {};
  for (const feeds of runs) {
    const out = await session.run({ ...each(feeds, tensor), ...carried });
    carried = Object.fromEntries(Object.entries(out).filter(([name]) => name.startsWith("next/")).map(([name, value]) => [name.slice("next/".length), value]));
    list.push(each(out, plain));
  }
  await session.release();
  return list;
}

const all = [];
for (const job of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    all.push(await outputs(job));
  } catch (error) {
    throw new Error(`${job.model}: ${error.message}`);
  }
}
console.log(JSON.stringify({ peer: `ONNX Runtime ${ort.env.versions.node}`, outputs: all }));
