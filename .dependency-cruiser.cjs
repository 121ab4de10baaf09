// The import layers of docs/design.md, held by `npm run check`.
const layer = (from, mayImport) => ({
  name: `${from}-layer`,
  severity: "error",
  from: { path: `^src/${from}/` },
  to: { path: "^src/", pathNot: `^src/(${[from, ...mayImport].join("|")})/` },
});
const packages = ["npm", "npm-dev", "npm-optional", "npm-peer", "npm-no-pkg", "npm-unknown"];

module.exports = {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    { name: "index-is-an-exit", severity: "error", from: { path: "^src/" }, to: { path: "^src/index" } },
    {
      name: "no-junk-drawer",
      severity: "error",
      from: {},
      to: { path: "^src/.*/(util|utils|helpers|common|misc|shared)[.]ts$" },
    },
    {
      name: "no-loose-files",
      severity: "error",
      from: {},
      to: { path: "^src/[^/]+\\.ts$", pathNot: "^src/index\\.ts$" },
    },
    layer("core", []),
    layer("kernels", ["core"]),
    layer("readers", ["core", "kernels"]),
    layer("writers", ["core", "kernels", "readers"]),
    layer("transforms", ["core", "kernels"]),
    layer("loaders", ["core", "kernels", "readers", "transforms"]),
    layer("trainer", ["core", "kernels"]),
    layer("integrations", ["core", "readers", "loaders"]),
    {
      name: "libraries-are-handed-in",
      severity: "error",
      from: { path: "^src/integrations/" },
      to: { dependencyTypes: packages },
    },
    layer("convert", ["core", "readers", "writers", "transforms", "loaders"]),
    {
      name: "core-imports-nothing",
      severity: "error",
      from: { path: "^src/core/" },
      to: { pathNot: "^src/core/" },
    },
    {
      name: "engines-belong-to-their-backend",
      severity: "error",
      from: { path: "^src/trainer/", pathNot: "^src/trainer/backends/" },
      to: { dependencyTypes: packages },
    },
    {
      name: "files-only-at-the-edges",
      severity: "error",
      from: {
        path: "^src/",
        pathNot:
          "^src/(kernels/wasm|readers/(source-file|patterns|class-folders)|writers/|convert/|transforms/(chain-digest|tokenizer-file|typescript-hook)|trainer/(checkpoint|callbacks/(csv-logger|tensor-board)|backends/)|loaders/(entry|cache-folder)|cli/)",
      },
      to: { dependencyTypes: ["core"], path: "^(node:)?fs" },
    },
    {
      name: "threads-only-where-they-are-owned",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(loaders/|trainer/thread|transforms/sharp-)" },
      to: { dependencyTypes: ["core"], path: "worker_threads" },
    },
    {
      name: "backends-are-strangers",
      severity: "error",
      from: { path: "^src/trainer/backends/(onnx|tfjs|jax|reference)[^/]*[.]ts$" },
      to: { path: "^src/trainer/backends/", pathNot: "^src/trainer/backends/$1[^/]*[.]ts$" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
  },
};
