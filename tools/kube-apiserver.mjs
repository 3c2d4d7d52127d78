/**
 * Builds a real Kubernetes API server for the tests: `node tools/kube-apiserver.mjs`.
 *
 * Debian ships the source of Kubernetes but no API server. This fetches the source package with apt
 * into a folder of its own (the machine's package lists stay as they are), builds
 * `cmd/kube-apiserver` with Debian's Go, and keeps only the binary, in the user's cache folder: once
 * per machine, 4 to 10 minutes on 2 cores. Which version, and where it is kept, is said by the built program
 * (src/lab/servers/kubernetes.ts): run `npm run build` first. Whoever has a binary names it in SPINDLE_KUBE_APISERVER.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { root, runCommand } from "./command.mjs";
import { missingPackages, systemPackages } from "./system-packages.mjs";

const packagesNeeded = ["golang-go", "rsync", "jq", "make"];

/** @returns {Promise<boolean>} whether the binary is there; what went wrong has been printed */
export async function buildApiServer() {
  const built = join(root, "dist/src/lab/servers/kubernetes.js");
  if (!existsSync(built)) {
    console.error("no Kubernetes API server is built: run npm run build first");
    return false;
  }
  const { kubeApiServerPath, kubeVersion } = await import(pathToFileURL(built).href);
  const target = kubeApiServerPath();
  if (existsSync(target)) return true;
  const lacking = missingPackages(systemPackages.filter(({ name }) => isNeeded(name)));
  if (lacking.length > 0) {
    const names = lacking.map(({ name }) => name).join(", ");
    console.error(`no Kubernetes API server is built: Debian packages are missing: ${names}`);
    return false;
  }
  const folder = join(target, "..");
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, "kube-apiserver-build-"));
  try {
    return (await fetchSource(work)) && (await compile(work, kubeVersion)) && keep(work, target);
  } finally {
    await runCommand("removing the build folder", "chmod", ["-R", "u+w", work]);
    rmSync(work, { recursive: true, force: true });
  }
}

function isNeeded(name) {
  return packagesNeeded.includes(name);
}

/** The lists and the download live in `work`, so neither root nor a change of the machine is needed. */
async function fetchSource(work) {
  for (const folder of ["lists/partial", "cache/archives/partial", "parts", "etc", "source"])
    mkdirSync(join(work, folder), { recursive: true });
  const count = writeSources(join(work, "parts"));
  if (count === 0) {
    console.error("apt knows no archive of this Debian release to fetch the source from");
    return false;
  }
  const options = [
    ...["-o", "Dir::Etc::sourcelist=/dev/null", "-o", `Dir::Etc::sourceparts=${work}/parts`],
    ...["-o", `Dir::State::lists=${work}/lists`, "-o", `Dir::Cache=${work}/cache`],
    ...["-o", "APT::Sandbox::User=root", "--quiet"],
  ];
  const script = 'cd "$0" && exec apt-get "$@"';
  const apt = (activity, ...args) =>
    runCommand(activity, "sh", ["-c", script, join(work, "source"), ...options, ...args]);
  return (
    (await apt("reading source package lists", "update")) &&
    (await apt("fetching the source of Kubernetes", "source", "--download-only", "kubernetes"))
  );
}

/** The machine's own archives of this release, as sources of source packages. @returns how many */
function writeSources(parts) {
  const release = readFileSync("/etc/os-release", "utf8");
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(release)?.[1] ?? "no-codename";
  const sources = readSourceFiles();
  const stanzas = sources
    .filter(({ path }) => path.endsWith(".sources"))
    .flatMap(({ text }) => text.split(/\n\s*\n/))
    .filter((stanza) => new RegExp(`^Suites:.*\\b${codename}(\\s|$)`, "m").test(stanza))
    .map((stanza) => stanza.replace(/^Types:.*$/m, "Types: deb-src"));
  const lines = sources
    .filter(({ path }) => path.endsWith(".list"))
    .flatMap(({ text }) => text.split("\n"))
    .filter((line) => new RegExp(`^deb\\s.*\\s${codename}\\s`).test(line))
    .map((line) => line.replace(/^deb/, "deb-src"));
  if (stanzas.length > 0) writeFileSync(join(parts, "own.sources"), stanzas.join("\n\n") + "\n");
  if (lines.length > 0) writeFileSync(join(parts, "own.list"), lines.join("\n") + "\n");
  return stanzas.length + lines.length;
}

function readSourceFiles() {
  const folder = "/etc/apt/sources.list.d";
  const names = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return ["/etc/apt/sources.list", ...names]
    .filter((path) => existsSync(path))
    .map((path) => ({ path, text: readFileSync(path, "utf8") }));
}

/** The build wants its tree at src/k8s.io/kubernetes below GOPATH. */
async function compile(work, version) {
  const archives = readdirSync(join(work, "source")).filter((name) => name.includes(".orig.tar."));
  const tree = join(work, "go/src/k8s.io/kubernetes");
  const [archive] = archives;
  if (archive === undefined || !archive.includes(version)) {
    console.error(`the source package is ${archive ?? "missing"}, not of version ${version}`);
    return false;
  }
  mkdirSync(tree, { recursive: true });
  const unpack = ["-xf", join(work, "source", archive), "-C", tree, "--strip-components=1"];
  const env = {
    ...process.env,
    HOME: work,
    GOPATH: join(work, "go"),
    GOCACHE: join(work, "go-cache"),
    CGO_ENABLED: "0",
    KUBE_GIT_COMMIT: "none",
    KUBE_GIT_TREE_STATE: "archive",
    KUBE_GIT_VERSION: `v${version}`,
  };
  const make = ["--silent", "-C", tree, "WHAT=cmd/kube-apiserver"];
  return (
    (await runCommand("unpacking the source of Kubernetes", "tar", unpack)) &&
    mendForNewerGo(join(tree, "vendor")) &&
    (await runCommand("building kube-apiserver, which takes minutes", "make", make, env))
  );
}

const reflection = "github.com/modern-go/reflect2";

/**
 * Two libraries of that time lean on what Go did then; both were corrected later, as here.
 * Reflection walks maps as Go before 1.18 did, and a server built with a newer Go dies of it at the
 * first object with labels: now the caller holds the iterator, in the layout of the runtime
 * (runtime/map.go, type hiter). Validation takes an empty text for null, since both have one address
 * in newer Go.
 */
const mends = [
  {
    file: `${reflection}/unsafe_link.go`,
    from: "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer) *hiter",
    to: "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer, it *hiter)",
  },
  {
    file: `${reflection}/unsafe_link.go`,
    from: "\t// rest fields are ignored\n",
    to: `\tt, h, buckets, bptr unsafe.Pointer
\toverflow, oldoverflow *[]unsafe.Pointer
\tstartBucket uintptr
\toffset uint8
\twrapped bool
\tB, i uint8
\tbucket, checkBucket uintptr
`,
  },
  {
    file: `${reflection}/unsafe_map.go`,
    from: "\treturn &UnsafeMapIterator{\n\t\thiter:      mapiterinit(type2.rtype, *(*unsafe.Pointer)(obj)),",
    to: `\tit := new(hiter)
\tmapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), it)
\treturn &UnsafeMapIterator{
\t\thiter:      it,`,
  },
  {
    file: "k8s.io/kube-openapi/pkg/validation/validate/type.go",
    from: "data == nil || reflect.DeepEqual(reflect.Zero(reflect.TypeOf(data)), reflect.ValueOf(data))",
    to: "data == nil",
  },
];

function mendForNewerGo(folder) {
  for (const { file, from, to } of mends) {
    const path = join(folder, file);
    const text = readFileSync(path, "utf8");
    if (!text.includes(from)) {
      console.error(`${file} is not the version that is known to need mending`);
      return false;
    }
    writeFileSync(path, text.replace(from, () => to));
  }
  return true;
}

/** By renaming, so that a build that was cut off leaves no half binary. */
function keep(work, target) {
  const built = join(work, "go/src/k8s.io/kubernetes/_output/bin/kube-apiserver");
  chmodSync(built, 0o755);
  renameSync(built, target);
  console.error(`${basename(target)} is kept in ${join(target, "..")}`);
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = (await buildApiServer()) ? 0 : 1;
