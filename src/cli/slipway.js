#!/usr/bin/env node
// Plain JavaScript, so that a Node.js that can't run the rest takes the one that npm brought along, or says so.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const oldest = 24;
if (Number(process.versions.node.split('.')[0]) >= oldest) await import('./main.ts');
else useBundled();

function useBundled() {
  const name = `${process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'}-${process.platform}-${process.arch}`;
  const bundled = fileURLToPath(new URL(`../../node_modules/${name}/bin/node`, import.meta.url));
  if (!existsSync(bundled)) {
    console.error(
      `slipway needs Node.js ${oldest} or newer, and this is ${process.versions.node}. "npm ci" brings one on Linux and macOS; elsewhere install it from nodejs.org.`,
    );
    process.exit(1);
  }
  const child = spawn(bundled, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 1));
}
