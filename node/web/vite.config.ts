// How the client is built, tested and tried against a running node.
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// Where `npm run dev` finds a node.
const node = process.env['TING_URL'] ?? 'http://127.0.0.1:8080';

// A node takes writes from its own origin only, and a proxied browser's is the dev server's.
const proxied = { target: node, changeOrigin: true, headers: { origin: node } };

// Ting's events are text, over WebSocket or polling: what socket.io brings for WebTransport and
// for binary events is never reached, and takes 2 kB of every visitor's load.
const UNREACHED: Readonly<Record<string, string>> = {
  'engine.io-client/build/esm/transports/webtransport.js': 'export class WT {}',
  'engine.io-parser/build/esm/contrib/base64-arraybuffer.js': 'export const decode = () => null;',
  'socket.io-parser/build/esm/is-binary.js': 'export const isBinary = () => false, hasBinary = isBinary;',
  'socket.io-parser/build/esm/binary.js':
    'export const deconstructPacket = (packet) => ({ packet, buffers: [] }), reconstructPacket = (packet) => packet;',
};

function leaveOutUnreached(): Plugin {
  const waiting = new Set(Object.keys(UNREACHED));
  return {
    name: 'leave-out-unreached',
    apply: 'build',
    load(id) {
      const file = Object.keys(UNREACHED).find((file) => id.endsWith(`/node_modules/${file}`));
      if (file === undefined) return null;
      waiting.delete(file);
      return UNREACHED[file];
    },
    // A newer socket.io may be made of other files.
    buildEnd() {
      for (const file of waiting) this.error(`${file} is not part of the client any more`);
    },
  };
}

export default defineConfig({
  plugins: [react(), leaveOutUnreached()],
  build: {
    target: 'es2022',
    // No property here does anything when it is read.
    rolldownOptions: { treeshake: { propertyReadSideEffects: false } },
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
