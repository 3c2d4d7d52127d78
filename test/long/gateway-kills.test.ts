/** Kill -9 of hub, sites and OpenVPN processes at 30 seeded moments. */
import { test } from "node:test";
import { runGatewayKills } from "../support/gateway-kills.js";
import { gatewaysMissing } from "../support/gateways.js";

const seed = Number(process.env["SPINDLE_TEST_SEED"] ?? 1);
const count = Number(process.env["SPINDLE_GATEWAY_KILLS"] ?? 30);

test(`gateway kills: seed ${seed}`, { skip: gatewaysMissing() }, () => runGatewayKills(seed, count));
