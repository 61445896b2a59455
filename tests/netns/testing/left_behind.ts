/** Makes a network with somebody on it, says where its folder is, and goes on until it is killed. */
import { Network } from "../network.ts";

await using network = await Network.open(["one"]);
network.host("one").start("sleep", ["1000000"]);
console.log(network.folder);
await new Promise((resolve) => setTimeout(resolve, 1_000_000));
