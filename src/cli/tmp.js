export const placeholder_cli = 1;
//# sourceMappingURL=tmp.js.map