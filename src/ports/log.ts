export type LogLevel = "error" | "warn" | "info" | "debug";
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** Constant message, facts in the fields, never a secret. */
export interface Log {
  write(level: LogLevel, message: string, fields: LogFields): void;
}
