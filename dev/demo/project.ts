import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Files of the demo's repository, a small Node project. `image` is where its image is pushed. */
export function shopFiles(image: string): Readonly<Record<string, string>> {
  return {
    'package.json': `${JSON.stringify({ name: 'shop', version: '1.0.0', type: 'module', private: true, scripts: { lint: 'node lint.js', test: 'node --test' } }, null, 2)}\n`,
    'slipway.yml': `jobs:
  lint:
    image: slipway-dev/node
    run: npm run lint
  test:
    image: slipway-dev/node
    matrix: { currency: [EUR, JPY] }
    env: { CURRENCY: "\${{ matrix.currency }}" }
    run:
      - mkdir -p reports
      - node --test --test-reporter=junit --test-reporter-destination=reports/junit.xml
    reports: { junit: reports/*.xml }
  bundle:
    image: slipway-dev/node
    run: [mkdir -p dist, cp server.js price.js dist/]
    artifacts: [dist/]
  image:
    needs: [lint, test, bundle]
    build: { image: ${image} }

environments:
  staging:
    on: { branch: main }
    stable: 1s
    rollout:
      - { deployment: shop-staging/api, container: api, image: image }
  production:
    on: { tag: "v*" }
    after: staging
    approvals: 1
    steps: [50%, { pause: 1s }, 100%]
    stable: 1s
    rollout:
      - { deployment: shop/api, container: api, image: image }
`,
    Dockerfile: `FROM slipway-dev/node
WORKDIR /app
COPY package.json ./
COPY dist/ ./
CMD ["node", "server.js"]
`,
    'price.js': `export function price(cents, currency) {
  const digits = currency === 'JPY' ? 0 : 2;
  return \`\${(cents / 10 ** digits).toFixed(digits)} \${currency}\`;
}
`,
    'price.test.js': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { price } from './price.js';

const currency = process.env.CURRENCY ?? 'EUR';
test(\`prices in \${currency}\`, () => {
  assert.equal(price(1250, currency), currency === 'JPY' ? '1250 JPY' : '12.50 EUR');
});
`,
    'server.js': `import { createServer } from 'node:http';
import { price } from './price.js';

createServer((_request, response) => response.end(price(1250, 'EUR'))).listen(8080);
`,
    'lint.js': `import { readdirSync, readFileSync } from 'node:fs';

let problems = 0;
for (const file of readdirSync('.').filter((name) => name.endsWith('.js') && name !== 'lint.js')) {
  const found = readFileSync(file, 'utf8').split('\\n').flatMap((line, index) => {
    const column = line.search(/\\bvar\\b/);
    return column < 0 ? [] : [\`  \${index + 1}:\${column + 1}  error  Unexpected var, use let or const instead  no-var\`];
  });
  if (found.length > 0) console.log(\`/workspace/\${file}\\n\${found.join('\\n')}\\n\`);
  problems += found.length;
}
if (problems > 0) {
  console.log(\`\\u2716 \${problems} problem (\${problems} errors, 0 warnings)\`);
  process.exit(1);
}
`,
  };
}

/** The pull request's change with a mistake that the lint finds, and the change that mends it. */
export const changes = {
  withMistake: {
    'discount.js': `import { price } from './price.js';

export function discounted(cents, percent, currency) {
  var left = 100 - percent;
  return price((cents * left) / 100, currency);
}
`,
  },
  mended: {
    'discount.js': `import { price } from './price.js';

export function discounted(cents, percent, currency) {
  const left = 100 - percent;
  return price((cents * left) / 100, currency);
}
`,
  },
  /** Another good version. */
  greeting: {
    'server.js': `import { createServer } from 'node:http';
import { price } from './price.js';

createServer((_request, response) => response.end(\`from \${price(1250, 'EUR')}\`)).listen(8080);
`,
  },
  /** Passes lint and tests, and ends as soon as it is started. */
  broken: {
    'server.js': `import { createServer } from 'node:http';
import { price } from './price.js';

const { SHOP_DATABASE } = process.env;
if (!SHOP_DATABASE) throw new Error('SHOP_DATABASE is not set');
createServer((_request, response) => response.end(price(1250, 'EUR'))).listen(8080);
`,
  },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

/** Writes files into a folder. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}
