// How the client is built, tested and tried against a running node.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Where `npm run dev` finds a node.
const node = process.env['TING_URL'] ?? 'http://127.0.0.1:8080';

// A node takes writes from its own origin only, and a proxied browser's is the dev server's.
const proxied = { target: node, changeOrigin: true, headers: { origin: node } };

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // The page's policy allows scripts from files alone, and this one is inlined.
    modulePreload: { polyfill: false },
    // Nothing is put into a data: URL, so that each file can be cached by its hash.
    assetsInlineLimit: 0,
  },
  server: {
    proxy: {
      '/api': proxied,
      '/restapi': proxied,
      '/socket.io': { ...proxied, ws: true },
    },
  },
  test: { include: ['src/**/*.test.ts'] },
});
