/** How a report looks: one column on a phone, runs side by side where there is room, light or dark as the reader has it. */
export const pageStyle = `
:root {
  --ink: #1b1f24; --ink-soft: #57606a; --line: #d8dee4; --paper: #ffffff; --panel: #f6f8fa; --good: #116329; --bad: #b42318;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --ink-soft: #9ba7b4; --line: #30363d; --paper: #0d1117; --panel: #161b22; --good: #56d364; --bad: #ff8f85; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header, main { max-width: 1500px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; }
h2 { font-size: 18px; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 22px 0 2px; }
p { margin: 4px 0; }
.soft, .note { color: var(--ink-soft); font-size: 13px; }
.runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr)); gap: 20px; padding-block: 20px 40px; }
.run { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 18px; min-width: 0; }
.verdict { font-size: 22px; font-weight: 650; margin: 2px 0; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--ink-soft); font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
code { display: block; overflow-wrap: anywhere; background: var(--paper); border: 1px solid var(--line); border-radius: 6px; padding: 8px 10px; font-size: 12.5px; }
ul { padding-left: 18px; margin: 4px 0; }
.u-legend { color: var(--ink-soft); font-size: 12px; text-align: left; }
.u-legend th, .u-legend td { border: 0; padding: 1px 3px; }
.u-select { background: color-mix(in srgb, var(--ink) 12%, transparent); }
[data-chart] { min-height: 220px; }
`;
