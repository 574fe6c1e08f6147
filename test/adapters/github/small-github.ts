import type nock from 'nock';
import { allowTokens, api, appId } from './support.ts';

export interface ShownCheck {
  readonly id: number;
  readonly name: string;
  readonly head_sha: string;
  readonly external_id: string;
  status: string;
  conclusion?: string;
  output: { title: string; summary: string; text?: string; annotations_count: number };
}

export interface ShownDeployment {
  readonly id: number;
  readonly request: Record<string, unknown>;
  readonly statuses: { readonly state: string; readonly description: string; readonly log_url: string }[];
}

/** What happens to a request: refused before it is carried out; carried out and the answer lost; carried out only so many milliseconds after the connection ended; or answered after so many. */
export type Trouble =
  | { readonly status: number; readonly message?: string; readonly headers?: Record<string, string> }
  | { readonly late: number }
  | { readonly slow: number }
  | 'lost before'
  | 'lost after'
  | '502 after';

type Content = Record<string, unknown> & { output?: { annotations?: unknown[] } & Record<string, unknown> };

/** The part of GitHub that a reporter sees, on nock. `troubles` are taken one by one by the requests whose `METHOD path` matches. */
export function smallGitHub(scope: typeof nock, troubles: readonly (readonly [RegExp, Trouble])[] = []) {
  const checks: ShownCheck[] = [];
  const deployments: ShownDeployment[] = [];
  const requests: string[] = [];
  const bodies: Content[] = [];
  const left = [...troubles];
  let nextId = 2 ** 33;
  const root = '/repos/acme/shop';
  allowTokens(scope(api));

  on('post', `${root}/check-runs`, (body) => {
    const check = { id: (nextId += 1), ...body, output: outputOf(body, 0) } as unknown as ShownCheck;
    checks.push(check);
    return [201, check];
  });
  on('patch', new RegExp(`^${root}/check-runs/\\d+$`), (body, path) => {
    const check = checks.find((it) => path.endsWith(`/${it.id}`));
    if (!check) return [404, { message: 'Not Found' }];
    Object.assign(check, body, { output: outputOf(body, check.output.annotations_count) });
    return [200, check];
  });
  on('get', new RegExp(`^${root}/check-runs/\\d+$`), (_body, path) => {
    const check = checks.find((it) => path.endsWith(`/${it.id}`));
    return check ? [200, check] : [404, { message: 'Not Found' }];
  });
  on('get', new RegExp(`^${root}/commits/[0-9a-f]+/check-runs`), (_body, path) => {
    const query = new URLSearchParams(path.split('?')[1]);
    if (query.get('app_id') !== String(appId)) return [422, {}];
    const page = Number(query.get('page') ?? 1);
    return [200, { total_count: checks.length, check_runs: checks.slice(100 * (page - 1), 100 * page) }];
  });
  on('post', `${root}/deployments`, (body) => {
    const deployment = { id: (nextId += 1), request: body, statuses: [] };
    deployments.push(deployment);
    return [201, { id: deployment.id }];
  });
  on('get', new RegExp(`^${root}/deployments\\?`), () => {
    return [200, deployments.map((it) => ({ id: it.id, payload: it.request['payload'] }))];
  });
  on('post', new RegExp(`^${root}/deployments/\\d+/statuses$`), (body, path) => {
    const deployment = deployments.find((it) => path.includes(`/${it.id}/`));
    if (!deployment) return [404, { message: 'Not Found' }];
    deployment.statuses.push(body as unknown as ShownDeployment['statuses'][number]);
    return [201, { id: 1 }];
  });

  return { checks, deployments, requests, bodies, left };

  function on(
    method: 'get' | 'post' | 'patch',
    path: string | RegExp,
    answer: (body: Content, path: string) => [number, unknown],
  ): void {
    const interceptor = scope(api).persist()[method](path);
    interceptor.reply(async (request: Request) => {
      const at = request.url.slice(api.length);
      const call = `${request.method} ${at}`;
      requests.push(call);
      const text = request.method === 'GET' ? '' : await request.text();
      const body = (text === '' ? {} : JSON.parse(text)) as Content;
      bodies.push(body);
      const index = left.findIndex(([pattern]) => pattern.test(call));
      const trouble = index === -1 ? undefined : left.splice(index, 1)[0]?.[1];
      if (trouble === 'lost before') throw new Error('socket hang up');
      if (typeof trouble === 'object' && 'late' in trouble) {
        setTimeout(() => answer(body, at), trouble.late);
        throw new Error('socket hang up');
      }
      if (typeof trouble === 'object' && 'slow' in trouble) {
        await new Promise((resolve) => setTimeout(resolve, trouble.slow));
        return answer(body, at);
      }
      if (typeof trouble === 'object')
        return [trouble.status, { message: trouble.message ?? '' }, trouble.headers ?? {}];
      const result = answer(body, at);
      if (trouble === 'lost after') throw new Error('socket hang up');
      if (trouble === '502 after') return [502, { message: 'Bad Gateway' }];
      return result;
    });
  }
}

function outputOf(body: Content, before: number): ShownCheck['output'] {
  const { annotations = [], ...rest } = body.output ?? {};
  if (annotations.length > 50) throw new Error('More than 50 annotations in a request.');
  return { ...(rest as { title: string; summary: string }), annotations_count: before + annotations.length };
}
