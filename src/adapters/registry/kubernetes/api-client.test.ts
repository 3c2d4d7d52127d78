import assert from "node:assert/strict";
import { test } from "node:test";
import { PortError } from "../../port-error.js";
import { ApiClient } from "./api-client.js";

test("kubernetes api client: a certificate that cannot be used is a server out of reach, which is tried again", async () => {
  const client = new ApiClient({
    url: new URL("https://127.0.0.1:1"),
    namespace: "default",
    ca: undefined,
    tokens: { token: () => null, renew: () => undefined },
    certificates: () => ({ certificate: "no PEM", key: "neither" }),
  });
  await assert.rejects(
    client.fetch({ method: "GET", path: "/version" }),
    (cause) =>
      cause instanceof PortError && cause.code === "REGISTRY_UNREACHABLE" && cause.retryable && !/ECONN/.test(cause.message),
  );
  client.close();
});
