import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

/** Where `npm run dev` finds the Python server. The built page is served by that server itself. */
const server = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [preact()],
  // Nothing may become a data: URL or an inline script: the page's CSP is `script-src 'self'`.
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, sourcemap: true },
  server: { proxy: { "/api": { target: server, ws: true } } },
  preview: { proxy: { "/api": { target: server, ws: true } } },
});
