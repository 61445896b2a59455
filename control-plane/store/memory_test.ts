import { openMemoryStore } from "./memory.ts";
import { testStore } from "./suite.ts";

testStore("memory store", (limits) => {
  const store = openMemoryStore(limits);
  return Promise.resolve({ store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() });
});
