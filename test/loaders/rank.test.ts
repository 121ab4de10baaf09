import { describe, expect, test } from "vitest";
import { findPlace, type Environment } from "../../src/loaders/rank.ts";

describe("findPlace()", () => {
  test.each<[string, Environment, number, number]>([
    ["nothing", {}, 0, 1],
    ["torchrun", { RANK: "3", WORLD_SIZE: "8", LOCAL_RANK: "1" }, 3, 8],
    ["Open MPI", { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "2" }, 1, 2],
    ["PMI", { PMI_RANK: "0", PMI_SIZE: "4" }, 0, 4],
    ["an srun step", { SLURM_PROCID: "1", SLURM_NTASKS: "2", SLURM_STEP_ID: "0" }, 1, 2],
    ["a bare sbatch script", { SLURM_PROCID: "0", SLURM_NTASKS: "2" }, 0, 1],
    ["a batch step", { SLURM_PROCID: "0", SLURM_NTASKS: "2", SLURM_STEP_ID: "batch" }, 0, 1],
    ["an interactive shell of salloc", { SLURM_PROCID: "0", SLURM_NTASKS: "2", SLURM_STEP_ID: "4294967290" }, 0, 1],
    ["an indexed job with a size", { JOB_COMPLETION_INDEX: "2", WORLD_SIZE: "3" }, 2, 3],
    ["empty variables", { RANK: "", WORLD_SIZE: "" }, 0, 1],
    [
      "torchrun on each node of an srun step",
      {
        RANK: "5",
        WORLD_SIZE: "8",
        TORCHELASTIC_RUN_ID: "a",
        SLURM_PROCID: "1",
        SLURM_NTASKS: "2",
        SLURM_STEP_ID: "0",
      },
      5,
      8,
    ],
    [
      "torchrun with one process on each node, numbered by its rendezvous",
      {
        RANK: "0",
        WORLD_SIZE: "2",
        TORCHELASTIC_RUN_ID: "a",
        SLURM_PROCID: "1",
        SLURM_NTASKS: "2",
        SLURM_STEP_ID: "0",
      },
      0,
      2,
    ],
    [
      "two launchers that agree",
      { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "2", PMI_RANK: "1", PMI_SIZE: "2" },
      1,
      2,
    ],
    ["torchrun in an indexed job", { RANK: "3", WORLD_SIZE: "4", JOB_COMPLETION_INDEX: "1" }, 3, 4],
  ])("with %s", (_what, environment, rank, worldSize) => {
    expect(findPlace({}, environment)).toEqual({ rank, worldSize });
  });

  test.each<[string, Environment, string]>([
    ["a rank without a size", { RANK: "3" }, "RANK is set, WORLD_SIZE is not"],
    ["a size without a rank", { WORLD_SIZE: "3" }, "WORLD_SIZE is set, RANK is not"],
    ["half of Open MPI", { OMPI_COMM_WORLD_RANK: "0" }, "OMPI_COMM_WORLD_RANK is set, OMPI_COMM_WORLD_SIZE is not"],
    ["half of PMI", { PMI_SIZE: "2" }, "PMI_SIZE is set, PMI_RANK is not"],
    ["no number", { RANK: "one", WORLD_SIZE: "2" }, 'RANK is "one", not a whole number'],
    ["a rank beyond the size", { RANK: "2", WORLD_SIZE: "2" }, "rank 2 of 2 processes does not exist"],
    ["an index without a size", { JOB_COMPLETION_INDEX: "1" }, "Kubernetes tells no number of processes"],
    [
      "launchers that contradict each other",
      { RANK: "1", WORLD_SIZE: "3", PMI_RANK: "1", PMI_SIZE: "2" },
      "the environment contradicts itself: RANK=1, WORLD_SIZE=3; PMI_RANK=1, PMI_SIZE=2",
    ],
    [
      "launchers that number as many processes otherwise",
      { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2", PMI_RANK: "1", PMI_SIZE: "2" },
      "contradicts itself",
    ],
  ])("refuses %s and names the variables", (_what, environment, message) => {
    expect(() => findPlace({}, environment)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(message) as string }),
    );
  });

  test("does not look at the environment when both are given", () => {
    expect(findPlace({ rank: 0, worldSize: 1 }, { RANK: "x" })).toEqual({ rank: 0, worldSize: 1 });
  });

  test("fills in the half that is not given", () => {
    expect(findPlace({ worldSize: 4 }, { JOB_COMPLETION_INDEX: "3" })).toEqual({ rank: 3, worldSize: 4 });
    expect(findPlace({ worldSize: 4 }, { RANK: "3" })).toEqual({ rank: 3, worldSize: 4 });
    expect(findPlace({ rank: 1 }, { RANK: "3", WORLD_SIZE: "4" })).toEqual({ rank: 1, worldSize: 4 });
    expect(findPlace({ worldSize: 4 }, {})).toEqual({ rank: 0, worldSize: 4 });
  });
});
