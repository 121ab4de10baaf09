// amaro ships no types of its own. https://github.com/nodejs/amaro#usage
declare module "amaro" {
  export function transformSync(
    source: string,
    options: { readonly mode: "strip-only" | "transform"; readonly sourceMap: boolean; readonly filename: string },
  ): { readonly code: string; readonly map?: string };
}
