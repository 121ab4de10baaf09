// Which of several processes this one is, as the launchers tell their children by environment variables.
//
// torchrun https://docs.pytorch.org/docs/stable/elastic/run.html, Open MPI https://docs.open-mpi.org/en/main/tuning-apps/environment-var.html,
// Slurm https://slurm.schedmd.com/srun.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES, Kubernetes
// https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode; MPICH and Intel MPI speak PMI.

import { KdataError } from "../core/errors.ts";

/** One process among those that share a data set. */
export interface Place {
  /** From 0 on. */
  readonly rank: number;
  readonly worldSize: number;
}

/** Environment variables, as `process.env` gives them. An empty one counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A place, and the variables that tell it. */
interface Told extends Place {
  readonly names: string;
  /** The launcher is known to start its processes itself, so that an outer one's numbers are not theirs. */
  readonly isInner: boolean;
}

/** From the inside out: torchrun and mpirun may run inside an srun step, never the other way round. */
const launchers = [
  { rank: "RANK", worldSize: "WORLD_SIZE" },
  { rank: "OMPI_COMM_WORLD_RANK", worldSize: "OMPI_COMM_WORLD_SIZE" },
  { rank: "PMI_RANK", worldSize: "PMI_SIZE" },
  { rank: "SLURM_PROCID", worldSize: "SLURM_NTASKS" },
] as const;

const TORCHRUN = "TORCHELASTIC_RUN_ID";
const KUBERNETES_INDEX = "JOB_COMPLETION_INDEX";
const SLURM_STEP = "SLURM_STEP_ID";
// Slurm numbers its own steps from the end of 32 bits down: batch scripts, interactive shells and the like run one process
// whatever SLURM_NTASKS says.
const FIRST_SPECIAL_SLURM_STEP = 0xfffffff0;
const HINT = "Give rank and worldSize as options: { rank: 0, worldSize: 1 } for a process on its own.";

/**
 * Finds the place of this process: what is given counts; what is not is read from the environment of torchrun, Open MPI, PMI, an
 * srun step or a Kubernetes indexed job, in this order; without any of them the process is on its own. With both numbers given
 * the environment is not looked at.
 *
 * Launchers may be nested (torchrun on each node of an srun step): the inner one counts where its processes are a multiple of
 * the outer one's. A Kubernetes job tells an index and no size: that comes from WORLD_SIZE or from the option.
 *
 * @throws {KdataError} `usage`, naming the variables, when one of a pair is missing, a value is no rank or size, or two
 *   launchers contradict each other.
 *
 * @example
 * assert.deepEqual(findPlace({}, { RANK: "1", WORLD_SIZE: "4" }), { rank: 1, worldSize: 4 });
 */
export function findPlace(given: Partial<Place>, environment: Environment = process.env): Place {
  const { rank, worldSize } = given;
  if (rank !== undefined && worldSize !== undefined) return { rank, worldSize };
  const told = readEnvironment(environment, given);
  return { rank: rank ?? told?.rank ?? 0, worldSize: worldSize ?? told?.worldSize ?? 1 };
}

function readEnvironment(environment: Environment, given: Partial<Place>): Place | undefined {
  const index = environment[KUBERNETES_INDEX] ? readNumber(environment, KUBERNETES_INDEX) : undefined;
  const told: Told[] = [];
  for (const names of launchers) {
    const hasRank = Boolean(environment[names.rank]);
    const hasSize = Boolean(environment[names.worldSize]);
    if (names.rank === "SLURM_PROCID" && !isSlurmStep(environment)) continue;
    if (!hasRank && !hasSize) continue;
    // The size may be meant for the index of a Kubernetes job; and an option may stand in for either half.
    if (!hasRank && names.worldSize === "WORLD_SIZE" && index !== undefined) continue;
    if (!hasRank && given.rank === undefined) throw refuseHalf(names.worldSize, names.rank);
    if (!hasSize && given.worldSize === undefined) throw refuseHalf(names.rank, names.worldSize);
    const place = {
      rank: given.rank ?? readNumber(environment, names.rank),
      worldSize: given.worldSize ?? readNumber(environment, names.worldSize),
    };
    const isInner = names.rank === "RANK" && Boolean(environment[TORCHRUN]);
    const described = `${names.rank}=${environment[names.rank] ?? ""}, ${names.worldSize}=${environment[names.worldSize] ?? ""}`;
    told.push({ ...place, names: described, isInner });
  }
  const [inner, ...outer] = told;
  if (!inner) return index === undefined ? undefined : ofIndexedJob(index, environment, given);
  checkPlace(inner, inner.names);
  for (const other of outer) refuseContradiction(inner, other);
  return inner;
}

/** A bare sbatch script sees SLURM_PROCID=0 and SLURM_NTASKS=2 though it runs once: only srun starts that many. */
function isSlurmStep(environment: Environment): boolean {
  const step = environment[SLURM_STEP] ?? "";
  return /^\d+$/.test(step) && Number(step) < FIRST_SPECIAL_SLURM_STEP;
}

function ofIndexedJob(index: number, environment: Environment, given: Partial<Place>): Place {
  if (given.worldSize === undefined && !environment["WORLD_SIZE"]) {
    const reason = `${KUBERNETES_INDEX} is ${index}, but Kubernetes tells no number of processes`;
    throw new KdataError("usage", `Cannot find rank: ${reason}`, {
      hint: "Set WORLD_SIZE to the job's completions, or give worldSize as an option.",
    });
  }
  const place = { rank: index, worldSize: given.worldSize ?? readNumber(environment, "WORLD_SIZE") };
  checkPlace(given.rank === undefined ? place : { ...place, rank: given.rank }, `${KUBERNETES_INDEX}, WORLD_SIZE`);
  return place;
}

function readNumber(environment: Environment, name: string): number {
  const text = environment[name] ?? "";
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new KdataError("usage", `Cannot find rank: ${name} is ${JSON.stringify(text)}, not a whole number`, {
    hint: HINT,
  });
}

function checkPlace({ rank, worldSize }: Place, names: string): void {
  if (rank < worldSize) return;
  const reason = `rank ${rank} of ${worldSize} processes does not exist (${names})`;
  throw new KdataError("usage", `Cannot find rank: ${reason}`, { hint: HINT });
}

function refuseHalf(there: string, missing: string): KdataError {
  return new KdataError("usage", `Cannot find rank: ${there} is set, ${missing} is not`, { hint: HINT });
}

/** Each outer process may have started several inner ones; two launchers of as many processes must number them alike. */
function refuseContradiction(inner: Told, outer: Told): void {
  const isNested = inner.worldSize % outer.worldSize === 0 && (inner.isInner || inner.worldSize > outer.worldSize);
  if (isNested || (inner.rank === outer.rank && inner.worldSize === outer.worldSize)) return;
  throw new KdataError(
    "usage",
    `Cannot find rank: the environment contradicts itself: ${inner.names}; ${outer.names}`,
    {
      hint: HINT,
    },
  );
}
