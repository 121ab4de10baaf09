// The optional packages that decode images: loaded where they are used, and named with the command that installs them.

import { createRequire } from "node:module";
import { KdataError } from "../core/errors.ts";

/** The packages, with the versions that were tried. */
const versions = { "@julusian/jpeg-turbo": "2.3.0", sharp: "0.35.5" } as const;

/** What {@link imagePackageVersion} asks: a loaded package that knows its version, or its description. */
interface Versioned {
  readonly version?: string;
  readonly versions?: { readonly sharp?: string };
}

/** The name of an optional package. */
export type ImagePackage = keyof typeof versions;

/** Every one of them. */
export const imagePackages = Object.keys(versions) as readonly ImagePackage[];

const require = createRequire(import.meta.url);

/**
 * Loads an optional package.
 *
 * @throws {KdataError} `package` when it is not installed or does not load here.
 */
export function requireImagePackage(name: ImagePackage): unknown {
  try {
    return require(name) as unknown;
  } catch (cause) {
    throw imagePackageFault(name, cause);
  }
}

/** Says that a package is missing or does not load. */
export function imagePackageFault(name: ImagePackage, cause: unknown): KdataError {
  const isMissing = cause instanceof Error && "code" in cause && cause.code === "MODULE_NOT_FOUND";
  const reason = isMissing ? `the package ${name} is not installed` : `the package ${name} does not load here`;
  return new KdataError("package", `Cannot decode images: ${reason}`, {
    hint: `npm install ${name}@${versions[name]}`,
    cause,
  });
}

/** Says which version of a package is installed and loads; `undefined`: none. */
export function imagePackageVersion(name: ImagePackage): string | undefined {
  try {
    const known = (require(name) as Versioned).versions?.sharp;
    return known ?? (require(`${name}/package.json`) as Versioned).version;
  } catch (error) {
    // Absent, or not for this machine: to the caller one and the same. What is no error of a package is not hidden.
    if (!(error instanceof Error)) throw error;
    return undefined;
  }
}
