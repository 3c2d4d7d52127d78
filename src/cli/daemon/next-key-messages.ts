/** What a controller and the process that writes its keys say to each other: one line of JSON each way, and no key. */
import { z } from "zod";
import { parsed } from "../../adapters/registry/parsed-field.js";
import { parseKeyId } from "../../core/key-id.js";

const keyId = parsed(z.number(), (value) => parseKeyId(value, 255));

export const keyTaskSchema = z.object({
  place: z.object({
    kubeconfig: z.string().nullable(),
    context: z.string().nullable(),
    namespace: z.string().nullable(),
  }),
  secret: z.object({ name: z.string(), file: z.string(), ring: z.literal([255, 15]) }),
  known: z.object({ current: keyId.nullable(), refused: z.array(keyId) }),
});

export type KeyTask = z.infer<typeof keyTaskSchema>;

export const keyOutcomeSchema = z.union([
  z.object({ keyId }),
  z.object({ code: z.string(), message: z.string() }),
]);

export type KeyOutcome = z.infer<typeof keyOutcomeSchema>;
