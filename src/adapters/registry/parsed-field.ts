/** A field from a core parser, so that only the parser makes the branded value. */
import { z } from "zod";
import type { Result } from "../../core/result.js";

export function parsed<I, O>(input: z.ZodType<I>, parse: (value: I) => Result<O, string>) {
  return input.transform((value, context): O => {
    const result = parse(value);
    if (result.ok) return result.value;
    context.addIssue({ code: "custom", message: result.error });
    return z.NEVER;
  });
}
