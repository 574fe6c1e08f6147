#!/usr/bin/env node
// Plain JavaScript, so that a Node.js that can't run the rest says so instead of failing on its syntax.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(
    `slipway needs Node.js 24 or newer, and this is ${process.versions.node}. In a checkout "npx slipway" finds the right one after "npm ci".`,
  );
  process.exit(1);
}
await import('./main.ts');
