/** The `registry.etcd` section of both programs' files: members, TLS and user of an etcd cluster. */
import { resolve } from "node:path";
import { z } from "zod";
import type { EtcdTarget } from "../../adapters/registry/connect.js";
import type { EtcdTls } from "../../adapters/registry/etcd/options.js";
import { isLoopback } from "../../http/listen.js";
import type { FieldPath } from "./document.js";
import { pathField } from "./fields.js";
import type { Remark } from "./sections.js";

const endpointWords = "https://HOST:PORT, or http://HOST:PORT on loopback";
const prefixWords = "one or more names of a-z, 0-9, . and -, each between slashes, as /spindle/";
const endpointsMax = 16;

const endpointField = z
  .string()
  .transform((text, context) => {
    const [, scheme, bracketed, plain, port] =
      /^(https?):\/\/(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})\/?$/i.exec(text) ?? [];
    const host = bracketed ?? plain;
    const isPort = Number(port) >= 1 && Number(port) <= 65_535;
    if (host !== undefined && isPort) {
      return { isSecure: scheme?.toLowerCase() === "https", host, port: Number(port) };
    }
    context.issues.push({ code: "custom", message: `must be ${endpointWords}`, input: text });
    return z.NEVER;
  })
  .describe(endpointWords);

export const etcdSection = z.strictObject({
  endpoints: z
    .array(endpointField)
    .min(1)
    .max(endpointsMax)
    .describe(`a list of 1 to ${endpointsMax}, each ${endpointWords}`),
  prefix: z
    .string()
    .regex(/^\/([a-z0-9][a-z0-9.-]*\/)+$/, { error: `must be ${prefixWords}` })
    .max(200)
    .default("/spindle/")
    .describe(prefixWords),
  tls: z
    .strictObject({
      ca: pathField.optional(),
      certificate: pathField.optional(),
      key: pathField.optional(),
    })
    .optional(),
  login: z.strictObject({ user: z.string().min(1).max(256), passwordFile: pathField }).optional(),
});

type EtcdSection = z.output<typeof etcdSection>;

export function checkEtcd({ endpoints, tls }: EtcdSection, path: FieldPath): readonly Remark[] {
  const isSecure = endpoints.some((endpoint) => endpoint.isSecure);
  const plain = endpoints.find((endpoint) => !endpoint.isSecure);
  const remarks: Remark[] = [];
  if (isSecure && plain !== undefined) {
    remarks.push({ path: [...path, "endpoints"], message: "mixes https and http" });
  }
  if (plain !== undefined && !isLocal(plain.host)) {
    const message = "has http beyond loopback: whoever reads the way can act for the fleet; use https";
    remarks.push({ path: [...path, "endpoints"], message });
  }
  if (tls !== undefined && !isSecure) {
    remarks.push({ path: [...path, "tls"], message: "has no effect with http endpoints" });
  }
  if ((tls?.certificate === undefined) !== (tls?.key === undefined)) {
    remarks.push({ path: [...path, "tls"], message: "needs certificate and key, or neither" });
  }
  return remarks;
}

/** @param section one that `checkEtcd` found nothing wrong with */
export function toEtcdTarget(section: EtcdSection, folder: string): EtcdTarget {
  const { endpoints, prefix, login } = section;
  return {
    kind: "etcd",
    endpoints: endpoints.map(({ host, port }) => ({ host, port })),
    prefix,
    tls: toTls(section, folder),
    login:
      login === undefined
        ? null
        : { user: login.user, passwordFile: resolve(folder, login.passwordFile) },
  };
}

function toTls({ endpoints, tls = {} }: EtcdSection, folder: string): EtcdTls | null {
  if (endpoints[0]?.isSecure !== true) return null;
  const { ca, certificate, key } = tls;
  const hasClient = certificate !== undefined && key !== undefined;
  return {
    caFile: ca === undefined ? null : resolve(folder, ca),
    client: hasClient
      ? { certificateFile: resolve(folder, certificate), keyFile: resolve(folder, key) }
      : null,
  };
}

function isLocal(host: string): boolean {
  return host === "localhost" || isLoopback(host);
}
