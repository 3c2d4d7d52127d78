/** HTML that cannot be broken by what is put into it: every text is escaped unless it was made here. */

export interface Html {
  readonly kind: "html";
  readonly text: string;
}

export function html(parts: TemplateStringsArray, ...values: readonly (Html | string | number)[]): Html {
  const text = parts.map((part, i) => part + (i < values.length ? textOf(values[i] ?? "") : "")).join("");
  return { kind: "html", text };
}

/** Text of our own that is HTML, a style or a script already. */
export function raw(text: string): Html {
  return { kind: "html", text };
}

export function join(parts: readonly Html[]): Html {
  return raw(parts.map(({ text }) => text).join("\n"));
}

function textOf(value: Html | string | number): string {
  return typeof value === "object" ? value.text : escape(String(value));
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
