import { ensureImage, imageNames } from './index.ts';

// npx node dev/images/main.ts [NAME...]: makes the base images that tests and the demo run in.
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(imageNames as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`There is no recipe for ${unknown.join(', ')}. There are: ${imageNames.join(', ')}.`);
  process.exit(2);
}
for (const name of imageNames) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const start = performance.now();
  await ensureImage(name);
  console.log(`${name}  ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
