import { checkout } from './checkout.ts';
import { deploys } from './deploy.ts';
import { deliveries } from './deliveries.ts';
import { dockerInJobs } from './docker.ts';
import { jobs } from './jobs.ts';
import { met, type Row, table } from './measure.ts';
import { reliability } from './reliability.ts';
import { server } from './server.ts';

/** Measures everything, or what is named: `npm run bench -- deliveries`. Exits with 1 if a target is missed. */
const benches: Readonly<Record<string, () => Promise<readonly Row[]>>> = {
  jobs: () => jobs(9),
  deliveries: () => deliveries(9),
  server: () => server(7),
  docker: () => dockerInJobs(9),
  checkout: () => checkout(5),
  reliability: () => reliability(200),
  deploys: () => deploys(9),
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}.`);
  process.exit(2);
}
const rows: Row[] = [];
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  console.error(`measuring ${name} ...`);
  rows.push(...((await benches[name]?.()) ?? []));
}
console.log(table(rows));
process.exitCode = rows.every(met) ? 0 : 1;
