// Compiles each kernels/*.ts (AssemblyScript) to dist/kernels/*.wasm, with SIMD and without a runtime: kernels allocate nothing,
// their caller lays the memory out behind what they export as `heapBase()`.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** Compiles every kernel of the checkout at `root`. Throws with the compiler's messages when one does not compile. */
export async function compileKernels(root) {
  const { main } = await import("assemblyscript/asc");
  mkdirSync(join(root, "dist", "kernels"), { recursive: true });
  for (const file of readdirSync(join(root, "kernels")).filter((name) => name.endsWith(".ts"))) {
    const output = join("dist", "kernels", `${basename(file, ".ts")}.wasm`);
    const flags = ["--runtime", "stub", "--use", "abort=", "--enable", "simd", "-O3", "--converge"];
    const { error, stderr } = await main([join("kernels", file), "-o", output, "--baseDir", root, ...flags], {
      writeFile: (name, contents) => writeFileSync(join(root, name), contents),
    });
    if (error) throw new Error(`${stderr.toString()}\nCannot compile ${file}: ${error.message}`);
  }
}
