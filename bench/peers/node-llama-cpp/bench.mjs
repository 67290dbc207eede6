// GGUF ROWS THREADS REPEATS: milliseconds of a decoding step, as bench/Rlgf.Bench --decoding measures ours: prompts of 16 random tokens, the median of 8 steps after the first of each text, then of the repeats.
// node-llama-cpp chooses a token at every step (here the likeliest), which ours and LLamaSharp's figures leave out; it is little beside the step.
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const promptTokens = 16, steps = 8;
const [path, ...numbers] = process.argv.slice(2);
const [rows, threads, repeats] = numbers.map(Number);
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.disabled, maxThreads: threads });
const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
const vocabulary = 49000;
const processor = [], day = [];
for (let repeat = -1; repeat < repeats; repeat++) {
  const [cpu, wall] = await step();
  if (repeat < 0) continue;
  processor.push(cpu);
  day.push(wall);
}

console.log(JSON.stringify({ peer: "node-llama-cpp", rows, threads, processor_ms: processor, day_ms: day }));
await model.dispose();
process.exit(0);

async function step() {
  const context = await model.createContext({ sequences: rows, contextSize: 64, batchSize: 512, threads });
  const sequences = Array.from({ length: rows }, () => context.getSequence());
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) % vocabulary;
  const read = tokens => Promise.all(sequences.map(sequence => sequence.controlledEvaluate(
    tokens().map((token, i, all) => i === all.length - 1 ? [token, { generateNext: { token: true } }] : token), { temperature: 0 })));
  await read(() => Array.from({ length: promptTokens }, random));
  const processor = [], day = [];
  for (let i = 0; i <= steps; i++) {
    const cpu = process.cpuUsage(), wall = performance.now();
    await read(() => [0]);
    if (i === 0) continue;
    const used = process.cpuUsage(cpu);
    processor.push((used.user + used.system) / 1000);
    day.push(performance.now() - wall);
  }

  await context.dispose();
  return [median(processor), median(day)];
}

function median(values) {
  values.sort((a, b) => a - b);
  return (values[Math.floor((values.length - 1) / 2)] + values[Math.floor(values.length / 2)]) / 2;
}
