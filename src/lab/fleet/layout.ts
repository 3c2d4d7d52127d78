/**
 * Where the files of one lab are: a private directory with short names, because a unix socket's
 * path is short.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface NodeLayout {
  readonly directory: string;
  readonly config: string;
  readonly keyFile: string;
  readonly stateDir: string;
  /** The dataplane's control socket, in a directory of mode 0700. */
  readonly dataplaneSocket: string;
  readonly statusSocket: string;
}

export interface LabLayout {
  readonly directory: string;
  readonly controllerDirectory: string;
  readonly controllerConfig: string;
  readonly controllerStateDir: string;
  readonly controllerStatusSocket: string;
  readonly registrySocket: string;
  readonly nodes: readonly NodeLayout[];
}

export const directoryPrefix = "spindle-lab-";

export function nodeNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `node-${index + 1}`);
}

/** Makes the directory, with mode 0700, and those in it. */
export async function makeLayout(names: readonly string[]): Promise<LabLayout> {
  // mkdtemp gives mode 0700 whatever the umask.
  const directory = await mkdtemp(join(tmpdir(), directoryPrefix));
  const controllerDirectory = join(directory, "controller");
  const layout: LabLayout = {
    directory,
    controllerDirectory,
    controllerConfig: join(controllerDirectory, "controller.yaml"),
    controllerStateDir: join(controllerDirectory, "state"),
    controllerStatusSocket: join(controllerDirectory, "status.sock"),
    registrySocket: join(directory, "registry.sock"),
    nodes: names.map((name) => nodeLayout(join(directory, name))),
  };
  const directories = [controllerDirectory, ...layout.nodes.map((node) => node.directory)];
  await Promise.all(directories.map((path) => mkdir(path, { mode: 0o700 })));
  return layout;
}

function nodeLayout(directory: string): NodeLayout {
  return {
    directory,
    config: join(directory, "agent.yaml"),
    keyFile: join(directory, "keys"),
    stateDir: join(directory, "state"),
    dataplaneSocket: join(directory, "dataplane.sock"),
    statusSocket: join(directory, "status.sock"),
  };
}

export async function removeLayout(layout: LabLayout): Promise<void> {
  await rm(layout.directory, { recursive: true, force: true, maxRetries: 3 });
}
