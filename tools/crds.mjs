/** Writes the custom resource definitions into the Helm chart: `node tools/crds.mjs`, after a build. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { customResourceDefinition, kinds } from "../dist/src/adapters/registry/kubernetes/custom-resources.js";
import { root } from "./command.mjs";

const folder = join(root, "deploy/helm/spindle/crds");
mkdirSync(folder, { recursive: true });
for (const kind of kinds) {
  const text = stringify(customResourceDefinition(kind), { lineWidth: 0, aliasDuplicateObjects: false });
  writeFileSync(join(folder, `${kind.toLowerCase()}s.yaml`), text);
}
