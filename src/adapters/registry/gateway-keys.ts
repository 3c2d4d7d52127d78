/** Where the records of VPN links live; beside keys.ts. */
export const gatewayPrefixes = {
  links: "gateway-links/",
  /** With the site's name and a slash: its own links. */
  sites: "gateway-sites/",
  reports: "gateway-reports/",
  requests: "gateway-requests/",
} as const;
