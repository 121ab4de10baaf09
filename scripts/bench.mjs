// npm run bench -- NAME [options]: runs bench/NAME.mjs.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../bench/", import.meta.url));
const [name, ...options] = process.argv.slice(2);
const script = `${folder}${name}.mjs`;
if (name === undefined || !existsSync(script)) {
  const names = readdirSync(folder).filter((file) => file.endsWith(".mjs"));
  console.error(
    `usage: npm run bench -- NAME [options], where NAME is one of ${names.map((file) => file.slice(0, -4)).join(", ")}`,
  );
  process.exit(2);
}
process.exit(spawnSync(process.execPath, [script, ...options], { stdio: "inherit" }).status ?? 1);
