/**
 * Preload of a lab's programs (`node --import …`) that sets the wall clocks of two of them wrong, as no clock daemon would:
 * the agent of node-1 is an hour ahead, the lab's own controller an hour behind.
 */
const hourMs = 3_600_000;

function offMs(): number {
  const command = process.argv.join(" ");
  if (command.includes("/node-1/agent.yaml")) return hourMs;
  return command.includes("/controller/controller.yaml") ? -hourMs : 0;
}

const off = offMs();
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...words: readonly unknown[]) {
    super(...((words.length === 0 ? [RealDate.now() + off] : words) as [number]));
  }

  static override now(): number {
    return RealDate.now() + off;
  }
} as DateConstructor;
