import { writeFileSync } from 'node:fs';
import { jsonSchema } from '#src/dialects/native/schema.ts';

/** Writes schema/slipway.schema.json from the shapes in src/dialects/native/schema.ts. */
writeFileSync(new URL('../schema/slipway.schema.json', import.meta.url), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
