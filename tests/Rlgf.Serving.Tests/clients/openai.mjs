// The official npm package against a server: npm install openai && node openai.mjs http://127.0.0.1:8000/v1 MODEL
// Not among the tests, which need nothing from npm.
import assert from "node:assert";
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: process.env.KEY ?? "none", maxRetries: 0 });
const messages = [{ role: "system", content: "Be short." }, { role: "user", content: "What is the capital of France?" }];
const asked = { model, messages, max_completion_tokens: 12, temperature: 0 };

assert.ok((await client.models.list()).data.some(one => one.id === model));
const whole = await client.chat.completions.create({ ...asked, logprobs: true, top_logprobs: 2 });
const text = whole.choices[0].message.content;
assert.equal(whole.choices[0].logprobs.content.length, whole.usage.completion_tokens);

let streamed = "";
for await (const part of await client.chat.completions.create({ ...asked, stream: true })) streamed += part.choices[0]?.delta?.content ?? "";
assert.equal(streamed, text);

const helper = client.chat.completions.stream(asked);
assert.equal((await helper.finalChatCompletion()).choices[0].message.content, text);

const completion = await client.completions.create({ model, prompt: ["The capital of France is", [504, 3575]], max_tokens: 4, temperature: 0, logprobs: 2, echo: true });
assert.equal(completion.choices.length, 2);
assert.ok(completion.choices[0].text.startsWith("The capital of France is"));
assert.equal(completion.choices[0].logprobs.token_logprobs.length, completion.choices[0].logprobs.tokens.length);

const stopping = await client.chat.completions.create({ ...asked, max_completion_tokens: 500, stream: true });
for await (const part of stopping) { stopping.controller.abort(); break; }

await assert.rejects(client.chat.completions.create({ ...asked, model: "no-such-model" }), error => error.status === 404 && /no-such-model/.test(error.message));
await assert.rejects(client.chat.completions.create({ ...asked, temperature: -1 }), error => error.status === 400 && error.param === "temperature");
console.log(`ok: ${JSON.stringify(text)}`);
