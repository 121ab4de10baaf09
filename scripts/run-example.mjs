// Runs a TypeScript example on every supported Node: kdata's own loader strips the types where Node cannot. What a module
// exports as `main` is called.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { importModule } from "../dist/cli/module.js";

const [path] = process.argv.splice(2, 1);
const { main } = await importModule(pathToFileURL(resolve(path)).href);
await main?.();
