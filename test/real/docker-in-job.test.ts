import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { accounts, type Registry, startRegistry } from '#dev/registry.ts';
import { leaveBy } from '#test/contracts/executor.ts';
import { busyboxImage, derivedImage, docker, openSite, type Site } from './docker.ts';
import { allowing, dockerImage, dockerJob, leftovers, runJob, runSteps } from './docker-client.ts';

// Each is a job with many containers, on an engine that others use.
jest.setTimeout(180_000);

let site: Site;
let image: string;
let box: string;
beforeAll(async () => {
  site = await openSite();
  [image, box] = [await dockerImage(), await busyboxImage()];
}, 180_000);
afterAll(() => site.dispose());
// Whatever a job did, nothing of it is left.
afterEach(async () => expect(await leftovers(site)).toEqual([]));

const run = (...steps: readonly string[]) => runSteps(site, image, steps);

describe('a job with docker: true', () => {
  it('finds its engine by the variable and at the usual place, and nothing of others in it', async () => {
    const lines = await run(
      'say $(docker ps -qa | wc -l) containers, $(docker volume ls -q | wc -l) volumes, $(docker image ls -q | wc -l) images',
      'say $(docker network ls --format "{{.Name}}")',
      'env -u DOCKER_HOST docker version --format "{{.Server.Os}}" | told',
      'docker20 version --format "{{.Server.Os}}" | told',
    );
    expect(lines).toEqual(['0 containers, 0 volumes, 0 images', 'bridge', 'linux', 'linux']);
  });

  it('runs containers with standard input, both outputs and the exit code', async () => {
    const lines = await run(
      `echo in | docker run -i --rm ${box} cat | told`,
      `docker run --rm ${box} sh -c 'echo out; echo err >&2; exit 7' >o 2>e || say $? $(cat o) $(cat e)`,
      'head -c 20000000 /dev/urandom >big',
      `[ "$(docker run -i --rm ${box} md5sum <big | cut -c1-32)" = "$(md5sum <big | cut -c1-32)" ] && say same`,
      `docker20 run -i --rm ${box} wc -c <big | told`,
    );
    expect(lines).toEqual(['in', '7 out err', 'same', '20000000']);
  });

  it('looks after its containers', async () => {
    const lines = await run(
      `docker run -d --name web ${box} sh -c 'while :; do echo tick; sleep 0.2; done'`,
      'docker ps --format "{{.Names}} {{.State}}" | told',
      'echo hello | docker exec -i web cat | told; docker exec web sh -c "exit 3" || say $?',
      'docker logs -f web | head -3 | told',
      'echo one >file; docker cp file web:/file; docker exec web cat /file | told; docker cp web:/file - | tar x -O | told',
      'docker inspect --format "{{.Name}} {{.HostConfig.Privileged}}" web | told',
      'docker rename web web2; docker stop -t 0 web2 | told; docker wait web2 | told; docker start web2 | told',
      'docker top web2 >/dev/null; docker rm -f web2 >/dev/null; say $(docker ps -qa | wc -l)',
    );
    const some = ['web running', 'hello', '3', 'tick', 'tick', 'tick', 'one', 'one', '/web false'];
    expect(lines).toEqual([...some, 'web2', '137', 'web2', '0']);
  });

  it('finds its containers by name, on its own network and on others that it makes', async () => {
    const lines = await run(
      `docker run -d --name web ${box} sh -c 'echo pong >/tmp/index.html; exec httpd -f -p 80 -h /tmp'`,
      'sleep 0.5; wget -qO- http://web/index.html | told',
      `docker run --rm ${box} wget -qO- http://web/index.html | told`,
      `docker network create back; docker run -d --network back --network-alias api --name one ${box} sh -c 'echo deep >/tmp/index.html; exec httpd -f -p 80 -h /tmp'`,
      `sleep 0.5; docker run --rm --network back ${box} wget -qO- http://api/index.html | told`,
      'wget -qO- http://api/index.html | told',
      'docker network rm back || say in use; docker rm -f one >/dev/null; docker network rm back | told',
    );
    expect(lines).toEqual(['pong', 'pong', 'deep', 'deep', 'in use', 'back']);
  });

  it('reaches its services from its containers', async () => {
    const command = ['sh', '-c', 'echo pong >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'];
    const db = { name: 'db', image: box, env: {}, port: 8080, readyTimeoutSeconds: 20, command };
    const job = dockerJob(image, [`docker run --rm ${box} wget -qO- http://db:8080/index.html | told`], {
      services: [db],
    });
    expect((await runJob(site, job)).lines).toEqual(['pong']);
  });

  it('has volumes, and shares its workspace and what is in it', async () => {
    const lines = await run(
      `docker volume create data; docker run --rm -v data:/d ${box} sh -c 'echo kept >/d/f'; docker run --rm -v data:/d ${box} cat /d/f | told`,
      'docker volume ls -q | told; docker volume rm data',
      `docker run --rm -v $PWD:/app -w /app ${box} sh -c 'cat hello.txt; echo made >made' | told; told <made`,
      `mkdir -p sub/deep; echo below >sub/deep/f; docker run --rm -v $PWD/sub/deep:/d ${box} cat /d/f | told`,
      `docker run --rm -v $PWD/sub/deep/f:/f:ro ${box} cat /f | told`,
      `ln -s deep sub/link; docker run --rm -v $PWD/sub/link:/d ${box} cat /d/f | told`,
      `docker run --rm -v $PWD/new/one:/d ${box} touch /d/x; ls new/one | told`,
      `docker run --rm --mount type=bind,source=$PWD/none,target=/d ${box} true || say none`,
    );
    const own = ['hello from the tree', 'made', 'below', 'below', 'below', 'x', 'none'];
    expect(lines).toEqual(['kept', 'data', ...own]);
  });

  it('gives its engine to a container that asks for the usual socket', async () => {
    const lines = await run(
      `docker run --rm -v /var/run/docker.sock:/var/run/docker.sock ${image} sh -c 'docker ps -qa | wc -l' | told`,
    );
    expect(lines).toEqual(['1']);
  });
});

describe('building', () => {
  const context =
    'mkdir ctx; echo file >ctx/f; printf "FROM ' +
    '$BOX\\nARG A\\nCOPY f /f\\nRUN echo built \\$A >/g\\nCMD [\\"cat\\",\\"/g\\"]\\n" >ctx/Dockerfile';

  it('works with the classic builder and with BuildKit, and on its own images', async () => {
    const lines = await run(
      `BOX=${box}; ${context}`,
      'DOCKER_BUILDKIT=0 docker build -t app:1 --build-arg A=one ctx; docker run --rm app:1 | told',
      'DOCKER_BUILDKIT=1 docker20 build -t app:2 --build-arg A=two ctx; docker run --rm app:2 | told',
      'docker tag app:2 again; docker images --format "{{.Repository}}:{{.Tag}}" | sort | told',
      'printf "FROM $SLIPWAY_IMAGES/app:2\\nRUN cat /g >/h\\n" >D; DOCKER_BUILDKIT=1 docker20 build -f D -t app:3 ctx',
      'DOCKER_BUILDKIT=0 docker build -f D -t app:4 ctx; docker run --rm app:3 cat /h | told; docker run --rm app:4 cat /h | told',
      `echo s3cret >secret; printf "FROM ${box}\\nRUN --mount=type=secret,id=s cat /run/secrets/s >/s\\n" >D`,
      'DOCKER_BUILDKIT=1 docker20 build --secret id=s,src=secret -f D -t app:5 ctx; docker run --rm app:5 cat /s | told',
      `printf "FROM ${box}\\n" | DOCKER_BUILDKIT=0 docker build -t app:6 - >/dev/null; say $?`,
      'docker rmi app:2 >/dev/null; docker commit $(docker create app:1) app:7 >/dev/null; docker save app:7 | tar t | grep -c manifest.json | told',
      `printf "FROM ${box}\\nRUN exit 9\\n" >D; DOCKER_BUILDKIT=0 docker build -f D ctx || say $?`,
    );
    const names = ['again:latest', 'app:1', 'app:2'];
    expect(lines).toEqual(['built one', 'built two', ...names, 'built two', 'built two', 's3cret', '0', '1', '9']);
  });

  it('does not show in the log by what name the engine knows the images', async () => {
    const job = dockerJob(image, [
      `BOX=${box}; ${context}`,
      'DOCKER_BUILDKIT=0 docker build -t app:1 ctx; echo $SLIPWAY_IMAGES',
    ]);
    const { log } = await runJob(site, job);
    expect(log).toContain('Successfully tagged ***/app:1');
    expect(log).not.toContain('slipway.local');
  });
});

describe('pushing', () => {
  let registry: Registry;
  beforeAll(async () => {
    registry = await startRegistry(accounts.anchor);
  });
  afterAll(() => registry.stop());

  const credentialsOf = (host: string) => (host === registry.host ? accounts.anchor : null);
  const tags = async (name: string) => {
    const { username, password } = accounts.anchor;
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const answer = await fetch(`${registry.url}/v2/${name}/tags/list`, { headers: { authorization } });
    return ((await answer.json()) as { tags?: readonly string[] }).tags ?? null;
  };
  const pushes = (name: string) => [
    `printf "FROM ${box}\\nRUN date >/d\\n" | DOCKER_BUILDKIT=0 docker build -t ${name} -`,
    `docker push ${name} 2>&1 | tail -1 | told`,
  ];

  it('goes where the operator allows it, with the account that the operator lends', async () => {
    const name = `${registry.host}/acme/pushed:v1`;
    const lent = allowing([`${registry.host}/acme/`], [registry.host]);
    const { lines } = await runJob(site, dockerJob(image, pushes(name), { docker: lent }), { credentialsOf });
    expect(lines[0]).toMatch(/^v1: digest: sha256:/);
    expect(await tags('acme/pushed')).toEqual(['v1']);
    // On the engine nobody else finds it under this name.
    await expect(docker.getImage(name).inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  it('is refused by the operator’s rule, and by the registry where no account is lent', async () => {
    const [other, own] = [`${registry.host}/other/shop:v1`, `${registry.host}/acme/closed:v1`];
    const rules = allowing([`${registry.host}/acme/`], []);
    const job = dockerJob(image, [...pushes(other), ...pushes(own)], { docker: rules });
    const { lines } = await runJob(site, job, { credentialsOf });
    expect(lines).toEqual([expect.stringContaining("operator doesn't let"), expect.stringContaining('no basic auth')]);
    expect([await tags('other/shop'), await tags('acme/closed')]).toEqual([null, null]);
  });

  it('goes with the job’s own login, and a stranger is lent nothing', async () => {
    const name = `${registry.host}/acme/login:v1`;
    const { username, password } = accounts.anchor;
    const login = `echo ${password} | docker login -u ${username} --password-stdin ${registry.host}`;
    const own = dockerJob(image, [login, ...pushes(name)], { docker: allowing([`${registry.host}/acme/`], []) });
    expect((await runJob(site, own, { credentialsOf })).lines[0]).toMatch(/^v1: digest: sha256:/);
    const docker = allowing([`${registry.host}/acme/`], [registry.host]);
    const push = [`docker tag ${box} ${name}; docker push ${name} 2>&1 | tail -1 | told`];
    const stranger = dockerJob(image, push, { docker, trusted: false });
    expect((await runJob(site, stranger, { credentialsOf })).lines[0]).toContain('no basic auth');
  });

  it('gives a name of the operator’s back', async () => {
    const name = `${registry.host}/acme/kept:v1`;
    await docker.getImage(box).tag({ repo: `${registry.host}/acme/kept`, tag: 'v1' });
    try {
      const lent = allowing([`${registry.host}/acme/`], [registry.host]);
      const { lines } = await runJob(site, dockerJob(image, pushes(name), { docker: lent }), { credentialsOf });
      expect(lines[0]).toMatch(/^v1: digest: sha256:/);
      const [kept, was] = await Promise.all([docker.getImage(name).inspect(), docker.getImage(box).inspect()]);
      expect(kept.Id).toBe(was.Id);
    } finally {
      await docker.getImage(name).remove();
    }
  });
});

describe('two jobs at once', () => {
  it('give their things the same names, and each sees its own', async () => {
    const steps = (word: string) => [
      `docker network create net >/dev/null; docker volume create vol >/dev/null; docker run --rm -v vol:/v ${box} sh -c 'echo ${word} >/v/w'`,
      `printf "FROM ${box}\\nRUN echo ${word} >/w\\n" | DOCKER_BUILDKIT=0 docker build -t app -`,
      `docker run -d --name db --network net app sh -c 'cp /w /tmp/index.html; exec httpd -f -p 80 -h /tmp'; sleep 2`,
      `docker run --rm --network net ${box} wget -qO- http://db/index.html | told; docker run --rm -v vol:/v ${box} cat /v/w | told`,
      'docker ps --format "{{.Names}}" | told; docker rm -f db | told; docker run --rm app cat /w | told',
    ];
    const [one, two] = await Promise.all(['one', 'two'].map((word) => runSteps(site, image, steps(word))));
    expect(one).toEqual(['one', 'one', 'db', 'db', 'one']);
    expect(two).toEqual(['two', 'two', 'db', 'db', 'two']);
  });
});

describe('a job that leaves much behind', () => {
  it('is cleaned up, and what the operator has stays', async () => {
    const lines = await run(
      `for i in 1 2 3 4 5; do docker run -d --name left$i --restart always ${box} sleep 600; done`,
      `docker network create n1; docker volume create v1; docker run -d --network n1 -v v1:/v -v $PWD/sub:/s ${box} sleep 600`,
      `docker tag ${box} mine; docker commit left1 unnamed; docker commit left2; say $(docker ps -q | wc -l)`,
    );
    expect(lines).toEqual(['6']);
    expect(await leftovers(site)).toEqual([]);
    await docker.getImage(box).inspect();
  });

  it("leaves the operator alone who runs an image with a job's labels", async () => {
    await run('true');
    const home = await readFile(join(site.home, 'installation'), 'utf8');
    const job = dockerJob(image, [`docker ps -aq --no-trunc | told; docker rm -f forged >/dev/null 2>&1; say done`]);
    // A committed container's image has them all.
    const labels = {
      'slipway.home': home,
      'slipway.kind': 'inner',
      'slipway.job': job.jobId,
      'slipway.run': job.runId,
      'slipway.attempt': String(job.attempt),
      'slipway.repository': job.repository,
      'slipway.inner': `${home}/${job.jobId}-${job.attempt}`,
    };
    const changes = Object.entries(labels).map(([name, value]) => `LABEL ${name}="${value}"`);
    const forged = await derivedImage('slipway-test/forged', box, changes);
    const mine = await docker.createContainer({ name: `forged-${process.pid}`, Image: forged, Cmd: ['sleep', '600'] });
    try {
      await mine.start();
      expect((await runJob(site, job)).lines).toEqual(['done']);
      const executor = site.open();
      await executor.sweep(async () => new Set());
      await executor.close();
      expect((await mine.inspect()).State.Running).toBe(true);
    } finally {
      await mine.remove({ force: true });
      await docker.getImage(forged).remove();
    }
  });

  it('and is left by its server goes on with the next one', async () => {
    const job = dockerJob(image, [
      `docker run -d --name kept ${box} sleep 600; docker volume create vol`,
      // The server goes meanwhile, and the next one comes.
      'echo "> begun"; sleep 3',
      `docker ps --format "{{.Names}}" | told; echo again | docker run -i --rm -v $PWD:/w ${box} cat | told`,
    ]);
    const server = new AbortController();
    const executor = site.open();
    const running = runJob(site, job, {}, leaveBy(server.signal), (log) => {
      if (log.includes('\n> begun')) server.abort(new Error('the server ends'));
    });
    await expect(running).rejects.toThrow('the server ends');
    const { lines, outcome } = await runJob(site, job, {}, undefined, undefined, 'attach');
    expect(outcome).toEqual({ kind: 'success' });
    expect(lines).toEqual(['begun', 'kept', 'again']);
    await executor.close();
  });
});
