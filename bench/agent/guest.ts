/** In a guest with ESP: measures one agent and prints one line of JSON. `node guest.js PLAN`, a plan as JSON. */
import { measureAgent, type AgentPlan } from "./measure-agent.js";

const plan = JSON.parse(process.argv[2] ?? "") as AgentPlan;
console.log(JSON.stringify(await measureAgent(plan, (doing) => console.error(doing))));
