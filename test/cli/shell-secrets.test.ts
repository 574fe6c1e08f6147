import { expect, it } from '@jest/globals';
import { shellSecrets } from '#src/cli/shell-secrets.ts';
import { UserError } from '#src/model/outcome.ts';
import { push, shop } from '#test/contracts/store-fixtures.ts';

const asked = { repository: shop, trigger: push('a'.repeat(40)), environment: null };
const shell = { TOKEN: 'hunter22', OTHER: 'not named', EMPTY: '' };

it('gives a local run the named variables of the shell, and no others', async () => {
  const secrets = shellSecrets(['TOKEN'], shell);
  expect(await secrets.values(asked, ['TOKEN'])).toEqual(new Map([['TOKEN', 'hunter22']]));
  await expect(secrets.values(asked, ['TOKEN', 'OTHER'])).rejects.toThrow(UserError);
  await expect(secrets.values(asked, ['TOKEN', 'OTHER'])).rejects.toThrow('add --secret OTHER');
  await expect(secrets.unseal(shop, 'sealed:v1:x')).rejects.toThrow(UserError);
});

it.each(['EMPTY', 'NONE'])('says at once that the shell has no %s', (name) => {
  expect(() => shellSecrets([name], shell)).toThrow(`--secret ${name}: your shell has no variable ${name}`);
});
