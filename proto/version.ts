/** Of the command line, the servers and the TypeScript SDK: they are released together. */
export const VERSION = "0.1.0";
